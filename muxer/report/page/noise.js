// The Allan deviation of a sensor at rest, with the slopes that tell noise from drift.

import { draw, fresh, onWidth, xy } from "./svg.js";
import { power, powers } from "./words.js";

const HEIGHT = 260;
const [LEFT, RIGHT, TOP, BOTTOM] = [62, 12, 10, 38];
const COLOURS = ["red", "green", "blue"];
const FLAT = Math.sqrt((2 * Math.log(2)) / Math.PI);

/** Deviation over averaging time, both logarithmic; dashed for each axis the slope -1/2 and its floor. */
export function drawNoise(svg, { tau, axes, walk, floor }) {
  onWidth(svg, (width) => {
    fresh(svg, width, HEIGHT);
    const [from, to] = [tau[0] / 1.2, tau.at(-1) * 1.2];
    const [low, high] = [Math.min(...axes.flat()) / 1.5, Math.max(...axes.flat()) * 1.5];
    const x = (t) => LEFT + (Math.log(t / from) / Math.log(to / from)) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (Math.log(value / low) / Math.log(high / low)) * (HEIGHT - TOP - BOTTOM);
    for (const t of powers(from, to)) {
      draw(svg, "path", { d: `M${xy(x(t), TOP)}V${HEIGHT - BOTTOM}`, class: "grid" });
      draw(svg, "text", { x: x(t), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, power(t));
    }
    for (const value of powers(low, high)) {
      draw(svg, "path", { d: `M${xy(LEFT, y(value))}H${width - RIGHT}`, class: "grid" });
      draw(svg, "text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, power(value));
    }
    draw(svg, "text", { x: width - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, "averaging time, s");
    draw(svg, "path", { d: `M${LEFT} ${HEIGHT - BOTTOM}H${width - RIGHT}`, class: "axis" });
    const inside = draw(svg, "svg", {
      x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM,
      viewBox: `${LEFT} ${TOP} ${width - LEFT - RIGHT} ${HEIGHT - TOP - BOTTOM}`,
    });
    axes.forEach((deviation, axis) => {
      if (walk[axis] !== null) {
        const white = [from, to].map((t) => xy(x(t), y(walk[axis] / Math.sqrt(t))));
        draw(inside, "path", { d: `M${white.join("L")}`, class: "slope" });
      }
      draw(inside, "path", { d: `M${xy(x(from), y(floor[axis] * FLAT))}H${x(to)}`, class: "slope" });
      const line = tau.map((t, index) => xy(x(t), y(deviation[index])));
      draw(inside, "path", { d: `M${line.join("L")}`, class: `line ${COLOURS[axis]}` });
    });
  });
}
