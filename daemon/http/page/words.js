// Words on the page, and figures as people read them.

const MINUS = "\u2212";

/** Write what has changed, and nothing else: a screen reader would read it out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** 00:12:41, from seconds. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [whole / 3600, (whole / 60) % 60, whole % 60];
  return parts.map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}

/** "6 h 20 min", from seconds. */
export function span(seconds) {
  if (seconds < 60) return "under 1 min";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 100 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

/** "1.24 GB": three digits of a number of bytes, decimal as on the box of a card. */
export function size(bytes) {
  let unit = 0;
  for (; bytes >= 999.5 && unit < 4; unit += 1) bytes /= 1000;
  const digits = unit === 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  return `${bytes.toFixed(digits)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** "225 Hz", "30.0 Hz": as many digits as tell a rate. */
export function rate(hertz) {
  return `${hertz.toFixed(hertz < 50 ? 1 : 0)} Hz`;
}

/** "+3°", always with a sign. */
export function signedDegrees(degrees) {
  const whole = Math.round(degrees);
  return `${whole < 0 ? MINUS : whole > 0 ? "+" : ""}${Math.abs(whole)}°`;
}

/** "274° W". */
export function bearing(degrees) {
  const names = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
  const name = names[Math.round(degrees / 45) % 8];
  return `${String(Math.round(degrees) % 360).padStart(3, "0")}° ${name}`;
}

/** "37.77490° N, 122.41942° W": to a metre. */
export function position(latitude, longitude) {
  const north = `${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}`;
  const east = `${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`;
  return `${north}, ${east}`;
}

/** "350 m", "1.24 km". */
export function distance(metres) {
  if (metres < 999.5) return `${Math.round(metres)} m`;
  return `${(metres / 1000).toFixed(metres < 9995 ? 2 : 1)} km`;
}
