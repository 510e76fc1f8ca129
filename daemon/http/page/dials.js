// The artificial horizon and the compass.

import { bearing, signedDegrees } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const PITCH_SCALE = 2; // units of the drawing a degree: 46 degrees up and down are seen

const at = (id) => document.getElementById(id);

function draw(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return parent.appendChild(element);
}

/** A line from one radius to another, `degrees` clockwise from the top. */
function tick(parent, degrees, from, to, kind) {
  draw(parent, "line", { y1: -from, y2: -to, transform: `rotate(${degrees})`, class: kind });
}

function drawHorizon(dial) {
  draw(draw(dial, "clipPath", { id: "glass" }), "circle", { r: 90 });
  const glass = draw(dial, "g", { "clip-path": "url(#glass)" });
  const rolled = draw(glass, "g", { class: "turns" });
  const pitched = draw(rolled, "g", { class: "turns" });
  draw(pitched, "rect", { x: -150, y: -400, width: 300, height: 400, class: "sky" });
  draw(pitched, "rect", { x: -150, y: 0, width: 300, height: 400, class: "earth" });
  draw(pitched, "line", { x1: -150, x2: 150, class: "skyline" });
  for (let degrees = -80; degrees <= 80; degrees += 10) {
    if (degrees === 0) continue;
    const [y, half] = [-degrees * PITCH_SCALE, degrees % 20 ? 14 : 26];
    draw(pitched, "line", { x1: -half, x2: half, y1: y, y2: y, class: "rung" });
    if (degrees % 20 === 0) {
      draw(pitched, "text", { x: half + 5, y: y + 4.5, class: "rung" }, Math.abs(degrees));
    }
  }
  draw(rolled, "path", { d: "M0 -88 l-7 13 h14 z", class: "pointer" });
  for (const degrees of [-60, -45, -30, -20, -10, 0, 10, 20, 30, 45, 60]) {
    tick(dial, degrees, 90, degrees % 30 ? 95 : 99, "scale");
  }
  draw(dial, "circle", { r: 90, class: "rim" });
  for (const kind of ["craft edge", "craft"]) {
    draw(dial, "path", { d: "M-58 0 h32 l9 11 M58 0 h-32 l-9 11", class: kind });
  }
  draw(dial, "circle", { r: 4, class: "eye" });
  return { rolled, pitched };
}

function drawCompass(dial) {
  draw(dial, "circle", { r: 90, class: "face" });
  const rose = draw(dial, "g", { class: "turns" });
  for (let degrees = 0; degrees < 360; degrees += 10) {
    tick(rose, degrees, 88, degrees % 30 ? 81 : 75, degrees % 90 ? "scale" : "scale main");
    if (degrees % 30) continue;
    const name = { 0: "N", 90: "E", 180: "S", 270: "W" }[degrees];
    const kind = name === undefined ? "number" : `letter ${name}`;
    const place = { y: -57, transform: `rotate(${degrees})`, class: kind };
    draw(rose, "text", place, name ?? degrees / 10);
  }
  const course = draw(rose, "g", { class: "turns course" });
  draw(course, "path", { d: "M0 -89 l7 9 l-7 9 l-7 -9 z" });
  draw(dial, "circle", { r: 90, class: "rim" });
  draw(dial, "path", { d: "M0 -74 l-9 -25 h18 z", class: "lubber" });
  const digits = draw(dial, "text", { y: 11, class: "digits" });
  return { rose, course, digits };
}

/** Degrees that go on from the last ones the short way round: 359, 361, not 359, 1. */
function unwound() {
  let last = 0;
  return (degrees) => {
    last += ((((degrees - last) % 360) + 540) % 360) - 180;
    return last;
  };
}

const horizon = drawHorizon(at("horizon"));
const compass = drawCompass(at("compass"));
const [rollOn, headingOn, courseOn] = [unwound(), unwound(), unwound()];

/** Show an orientation and a course in degrees; null where they are not known. */
export function showAttitude(orientation, course) {
  at("attitude").dataset.known = orientation !== null;
  at("course").textContent = course === null ? "–" : bearing(course);
  compass.course.classList.toggle("unknown", course === null);
  if (course !== null) compass.course.style.transform = `rotate(${courseOn(course)}deg)`;
  if (orientation === null) {
    for (const id of ["pitch", "roll", "heading"]) at(id).textContent = "–";
    compass.digits.textContent = "–";
    return;
  }
  const { yaw_deg: yaw, pitch_deg: pitch, roll_deg: roll } = orientation;
  horizon.rolled.style.transform = `rotate(${rollOn(-roll)}deg)`;
  horizon.pitched.style.transform = `translateY(${pitch * PITCH_SCALE}px)`;
  compass.rose.style.transform = `rotate(${headingOn(-yaw)}deg)`;
  compass.digits.textContent = `${String(Math.round(yaw) % 360).padStart(3, "0")}°`;
  at("pitch").textContent = signedDegrees(pitch);
  at("roll").textContent = signedDegrees(roll);
  at("heading").textContent = bearing(yaw);
}
