// How often each interval occurs.

import { draw, fresh, onWidth } from "./svg.js";
import { digitsOf, multiples, number, power, powers, roundStep } from "./words.js";

const HEIGHT = 112;
const [LEFT, RIGHT, TOP, BOTTOM] = [50, 10, 6, 22];
const NARROW = 10; // times the shortest interval: labels in even steps, not in powers

/** A histogram over logarithmic intervals with logarithmic counts. */
export function drawBars(svg, { edges, counts, colour }) {
  onWidth(svg, (width) => {
    fresh(svg, width, HEIGHT);
    const middle = Math.sqrt(edges[0] * edges.at(-1));
    const [from, to] = [Math.min(edges[0], middle / 1.02), Math.max(edges.at(-1), middle * 1.02)];
    const most = Math.max(...counts, 9);
    const x = (value) => LEFT + (Math.log(value / from) / Math.log(to / from)) * (width - LEFT - RIGHT);
    const y = (count) => HEIGHT - BOTTOM - (Math.log1p(count) / Math.log1p(most)) * (HEIGHT - TOP - BOTTOM);
    for (const count of [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((count) => count <= most)) {
      draw(svg, "path", { d: `M${LEFT} ${y(count)}H${width - RIGHT}`, class: "grid" });
    }
    const label = Math.log10(most) > 4 ? [1, 100, 1e4, 1e6] : [1, 10, 100, 1e3, 1e4];
    for (const count of label.filter((count) => count <= most)) {
      draw(svg, "text", { x: LEFT - 6, y: y(count) + 4, "text-anchor": "end" }, power(count));
    }
    let taken = LEFT - 40;
    const step = roundStep((to - from) / 2.5);
    for (const value of to / from < NARROW ? multiples(step, from, to) : powers(from, to)) {
      if (x(value) - taken < 44 || x(value) > width - 16) continue;
      taken = x(value);
      const words = to / from < NARROW ? number(value, digitsOf(step)) : power(value);
      draw(svg, "text", { x: taken, y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, words);
    }
    counts.forEach((count, index) => {
      if (count === 0) return;
      const left = x(edges[index]);
      const wide = Math.max(x(edges[index + 1]) - left, 2);
      draw(svg, "rect", { x: left, y: y(count), width: wide, height: HEIGHT - BOTTOM - y(count), class: `block ${colour}` });
    });
    draw(svg, "path", { d: `M${LEFT} ${HEIGHT - BOTTOM}H${width - RIGHT}`, class: "axis" });
  });
}
