// Numbers as people read them, and round ones for the axes.

const MINUS = "\u2212";
const NOTHING = "\u2013";

/** Write what has changed, and nothing else: a screen reader would read it out again. */
export function say(element, text) {
  if (element !== null && element.textContent !== text) element.textContent = text;
}

/** "−1,234.50": so many digits behind the point; a dash for what is not known. */
export function number(value, digits) {
  if (value === null || !Number.isFinite(value)) return NOTHING;
  const text = Math.abs(value) < 1e7
    ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : value.toExponential(2);
  return text.replace(/^-(?=[0.,]*$)/, "").replace("-", MINUS); // no zero is below zero
}

/** "12.345 s", "1:02:03.4": a moment, as exact as `step` seconds. */
export function moment(seconds, step, long) {
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  if (!long) return `${number(seconds, digits)} s`;
  const tens = 10 ** digits;
  const whole = Math.round(Math.abs(seconds) * tens);
  const rest = whole / tens;
  const [hours, minutes] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60];
  const last = (rest % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const head = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : String(minutes);
  return `${seconds < 0 && whole ? MINUS : ""}${head}:${last}`;
}

/** The roundest step of `steps`, each times a power of ten, that is not below `least`. */
export function roundStep(least, steps = [1, 2, 5]) {
  const ten = 10 ** Math.floor(Math.log10(least));
  return ten * ([...steps, 10 * steps[0]].find((step) => step * ten >= least * (1 - 1e-9)));
}

/** A step for times: round in seconds, minutes or hours. */
export function timeStep(least) {
  if (least <= 30) return least <= 10 ? roundStep(least) : least <= 15 ? 15 : 30;
  return [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000].find((step) => step >= least)
    ?? roundStep(least / 36000) * 36000;
}

/** Multiples of `step` from one value to another. */
export function multiples(step, from, to) {
  const found = [];
  for (let n = Math.ceil(from / step - 1e-9); n * step <= to + step * 1e-9; n += 1) {
    found.push(n * step);
  }
  return found;
}

/** Digits behind the point that tell multiples of a step apart. */
export const digitsOf = (step) => Math.max(0, Math.min(9, -Math.floor(Math.log10(step) + 1e-9)));

/** Powers of ten from one value to another; those between 1 and 10 too where there are few. */
export function powers(from, to) {
  const found = [];
  for (let n = Math.ceil(Math.log10(from) - 1e-9); 10 ** n <= to * (1 + 1e-9); n += 1) found.push(10 ** n);
  if (found.length > 1) return found;
  const some = [];
  for (let n = Math.floor(Math.log10(from)); 10 ** n <= to; n += 1) {
    for (const digit of [1, 2, 5]) {
      if (digit * 10 ** n >= from && digit * 10 ** n <= to) some.push(digit * 10 ** n);
    }
  }
  return some;
}

/** "0.001", "1", "10,000", "1e+7": a label of a logarithmic axis. */
export function power(value) {
  if (value >= 1e6 || value < 1e-4) return value.toExponential(0).replace("-", MINUS).replace("+", "");
  return number(value, digitsOf(value));
}

/** Degrees from −180 to 180. */
export const signed = (degrees) => ((((degrees + 180) % 360) + 360) % 360) - 180;

/** Degrees from 0 to 360. */
export const around = (degrees) => ((degrees % 360) + 360) % 360;

/** "274.2° W". */
export function bearing(degrees) {
  const names = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
  const turned = around(degrees);
  return `${number(Math.round(turned * 10) / 10 % 360, 1)}° ${names[Math.round(turned / 45) % 8]}`;
}
