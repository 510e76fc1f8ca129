// Horizon and compass over the picture.

import { draw } from "./svg.js";
import { around, bearing, number, say, signed } from "./words.js";

const A_DEGREE = 4.4; // units of the drawing: how a camera sees that sees 41 degrees up and down
const NAMES = { 0: "N", 45: "NE", 90: "E", 135: "SE", 180: "S", 225: "SW", 270: "W", 315: "NW" };

/** Draw the dials into `svg`; gives what shows a pose of [heading, pitch, roll], null for none. */
export function dialsOf(svg) {
  const below = draw(svg, "g", { class: "turns ground" });
  const ground = draw(below, "g");
  draw(ground, "rect", { x: -600, y: -900, width: 1200, height: 900, class: "sky" });
  draw(ground, "rect", { x: -600, y: 0, width: 1200, height: 900, class: "earth" });
  const glass = draw(svg, "svg", { x: -160, y: -58, width: 320, height: 148, viewBox: "-160 -58 320 148" });
  const rolled = draw(glass, "g", { class: "turns rolled" });
  const pitched = draw(rolled, "g");
  lines(pitched, "M-130 0H-18M18 0H130", "skyline");
  for (let degrees = -80; degrees <= 80; degrees += 10) {
    if (degrees === 0) continue;
    const [y, half] = [-degrees * A_DEGREE, 20];
    lines(pitched, `M${-half} ${y}H${half}`, "rung");
    draw(pitched, "text", { x: half + 9, y: y + 2.3 }, Math.abs(degrees));
  }
  lines(svg, "M-24 0h12l5 5M24 0h-12l-5 5", "craft");

  const tape = draw(svg, "g", { class: "tape", transform: "translate(0 -80)" });
  draw(tape, "rect", { x: -160, y: -10, width: 320, height: 20, class: "strip" });
  const sliding = draw(tape, "g");
  lines(tape, "M0 9l-2.5 4h5z", "craft");
  const digits = draw(tape, "text", { y: 21, class: "digits" });

  const cells = ["heading", "pitch", "roll"].map((name) => document.getElementById(name));
  return (pose) => {
    svg.classList.toggle("unknown", pose === null);
    if (pose === null) {
      for (const cell of cells) say(cell, number(null));
      return;
    }
    const [heading, pitch, roll] = [around(pose[0]), pose[1], signed(pose[2])];
    for (const group of [below, rolled]) group.setAttribute("transform", `rotate(${(-roll).toFixed(2)})`);
    for (const group of [ground, pitched]) {
      group.setAttribute("transform", `translate(0 ${(pitch * A_DEGREE).toFixed(2)})`);
    }
    slide(sliding, heading);
    say(digits, `${number(Math.round(heading) % 360, 0)}°`);
    say(cells[0], bearing(heading));
    say(cells[1], `${number(pitch, 1)}°`);
    say(cells[2], `${number(roll, 1)}°`);
  };
}

/** Lines with a dark edge, so that they are seen on any picture. */
function lines(parent, d, kind) {
  for (const edge of ["mark halo", `mark ${kind}`]) draw(parent, "path", { d, class: edge });
}

/** The part of the compass that lies ahead. */
function slide(parent, heading) {
  parent.replaceChildren();
  let d = "";
  for (let degrees = Math.ceil((heading - 36) / 5) * 5; degrees <= heading + 36; degrees += 5) {
    const x = (degrees - heading) * A_DEGREE;
    d += `M${x.toFixed(2)} 8v${degrees % 15 ? -2.5 : -5}`;
    const turned = around(degrees);
    if (degrees % 15 === 0) draw(parent, "text", { x: x.toFixed(2), y: 0 }, NAMES[turned] ?? turned);
  }
  lines(parent, d, "scale");
}
