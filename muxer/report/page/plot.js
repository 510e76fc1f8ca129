// One plot over time: its lines, its axes, and the figures at the cursor.

import { steer } from "./gestures.js";
import { lineOf } from "./series.js";
import { draw, fresh, onWidth, xy } from "./svg.js";
import { here, onView, view } from "./view.js";
import { around, digitsOf, moment, multiples, number, power, powers, roundStep, say, signed, timeStep } from "./words.js";

const HEIGHT = 190;
const [LEFT, RIGHT, TOP, BOTTOM] = [66, 8, 8, 24];
const APART = 8; // pixels from which on samples are seen one by one
const COMPASS = { 0: "N", 45: "NE", 90: "E", 135: "SE", 180: "S", 225: "SW", 270: "W", 315: "NW" };

export class Plot {
  #width = 0;
  #chosen = null;
  #drawn = ""; // which stretch of time
  #over = null; // what lies over the lines: cursors, and a stretch that is being chosen

  /** In `figure`, what `document` says; `player` seeks and plays. */
  constructor(figure, document, arrays, player) {
    this.document = document;
    this.lines = document.lines.map((line) => ({ colour: line.colour, line: lineOf(line, arrays) }));
    this.box = figure.querySelector(".plot");
    this.svg = this.box.querySelector("svg");
    this.coarse = figure.querySelector(".coarse");
    this.cells = [...figure.querySelectorAll("[data-line]")];
    steer(this.box, {
      timeAt: (x) => this.#time(x - this.box.getBoundingClientRect().left),
      seek: player.seek,
      play: player.toggle,
      choose: (a, b) => this.#choose(a === null ? null : [a, b]),
    });
    onWidth(this.box, (width) => {
      this.#width = width;
      this.#draw();
    });
    onView(() => {
      if (this.#drawn === `${view.from} ${view.to}`) this.#point();
      else this.#draw();
    });
  }

  #time(x) {
    const inside = Math.max(this.#width - LEFT - RIGHT, 1);
    return view.from + ((x - LEFT) / inside) * (view.to - view.from);
  }

  #x(t) {
    return LEFT + ((t - view.from) / (view.to - view.from)) * (this.#width - LEFT - RIGHT);
  }

  #choose(stretch) {
    this.#chosen = stretch;
    this.#point();
  }

  #draw() {
    if (this.#width === 0) return;
    const columns = Math.max(this.#width - LEFT - RIGHT, 10);
    const seen = this.lines.map(({ colour, line }) => ({ colour, ...line.seen(view.from, view.to, columns) }));
    const scale = this.#scale(seen);
    fresh(this.svg, this.#width, HEIGHT);
    this.#drawAxes(scale);
    const clip = draw(this.svg, "svg", {
      x: LEFT, y: TOP, width: columns, height: HEIGHT - TOP - BOTTOM,
      viewBox: `${LEFT} ${TOP} ${columns} ${HEIGHT - TOP - BOTTOM}`,
    });
    for (const line of seen) this.#drawLine(clip, line, scale.y);
    this.#over = draw(clip, "g");
    this.#drawn = `${view.from} ${view.to}`;
    this.#point();
  }

  /** Draw what follows the pointer, which costs little beside the lines. */
  #point() {
    if (this.#over === null) return;
    this.#over.replaceChildren();
    if (this.#chosen !== null) {
      const [a, b] = this.#chosen.map((t) => this.#x(t));
      draw(this.#over, "rect", { x: Math.min(a, b), y: TOP, width: Math.abs(b - a), height: HEIGHT, class: "chosen" });
    }
    this.#drawCursor("now", view.now);
    if (view.hover !== null) this.#drawCursor("hover", view.hover);
    this.#tell();
  }

  /** Where values stand: round steps around what is seen. */
  #scale(seen) {
    let [low, high] = [Infinity, -Infinity];
    for (const { kind, runs } of seen) {
      for (const run of runs) {
        for (const item of run) {
          const [least, most] = kind === "samples" ? [item[1], item[1]] : [item[2], item[3]];
          if (least < low) low = least;
          if (most > high) high = most;
        }
      }
    }
    if (low > high) [low, high] = [0, 1];
    const inside = HEIGHT - TOP - BOTTOM;
    if (this.document.scale === "log") {
      const [from, to] = [Math.max(low, 1e-6) / 1.3, Math.max(high, 1e-6) * 1.3];
      const part = (value) => Math.log(Math.max(value, from) / from) / Math.log(to / from);
      return { ticks: powers(from, to), label: power, y: (value) => HEIGHT - BOTTOM - part(value) * inside };
    }
    const least = Math.max(Math.abs(low) * 1e-6, Math.abs(high) * 1e-6, 10 ** -this.document.digits);
    const room = Math.max((high - low) * 0.06, least);
    const [from, to] = [low - room, high + room];
    const turned = this.document.scale !== "linear";
    const step = turned && to - from > 40
      ? [15, 30, 45, 90, 180, 360].find((degrees) => (to - from) / degrees <= 6) ?? roundStep((to - from) / 5 / 360) * 360
      : roundStep((to - from) / 5);
    return {
      ticks: multiples(step, from, to),
      label: (value) => (turned && step >= 360 ? `${number(value / 360, 0)} turns`
        : this.#value(value, digitsOf(step), true)),
      y: (value) => HEIGHT - BOTTOM - ((value - from) / (to - from)) * inside,
    };
  }

  /** A value in words; the points of the compass by name where there is no room for more. */
  #value(value, digits, short = false) {
    if (this.document.scale === "turn") return number(signed(value), digits);
    if (this.document.scale !== "compass") return number(value, digits);
    const turned = around(Number(value.toFixed(digits)));
    return (short && COMPASS[turned]) || number(turned, digits);
  }

  #drawAxes({ ticks, label, y }) {
    const long = view.last - view.first > 120;
    const step = timeStep(((view.to - view.from) / Math.max(this.#width - LEFT, 100)) * 95);
    let grid = "";
    for (const t of multiples(step, view.from, view.to)) {
      grid += `M${xy(this.#x(t), TOP)}V${HEIGHT - BOTTOM}`;
      const place = { x: this.#x(t), y: HEIGHT - 7, "text-anchor": "middle" };
      if (this.#x(t) < this.#width - 24) draw(this.svg, "text", place, moment(t, step, long));
    }
    for (const value of ticks) {
      grid += `M${xy(LEFT, y(value))}H${this.#width - RIGHT}`;
      draw(this.svg, "text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, label(value));
    }
    this.svg.prepend(draw(this.svg, "path", { d: grid, class: "grid" }));
    draw(this.svg, "path", { d: `M${LEFT} ${HEIGHT - BOTTOM}H${this.#width - RIGHT}`, class: "axis" });
  }

  #drawLine(parent, { colour, kind, runs }, y) {
    if (kind === "bands") {
      const d = runs.map((run) => {
        const above = run.map(([begin, end, , high]) => `${xy(this.#x(begin), y(high))}L${xy(this.#x(end), y(high))}`);
        const below = run.map(([begin, end, low]) => `${xy(this.#x(end), y(low))}L${xy(this.#x(begin), y(low))}`);
        return `M${above.join("L")}L${below.reverse().join("L")}Z`;
      });
      draw(parent, "path", { d: d.join(""), class: `band ${colour}` });
      return;
    }
    const places = runs.map((run) => run.map(([t, value]) => [this.#x(t), y(value)]));
    draw(parent, "path", {
      d: places.map((run) => `M${run.map(([px, py]) => xy(px, py)).join("L")}`).join(""),
      class: `line ${colour}`,
    });
    // One by one where there is room, and those that stand alone, of which there is no line.
    const count = places.reduce((sum, run) => sum + run.length, 0);
    const all = count * APART < this.#width;
    const dots = places.filter((run) => all || run.length === 1).flat();
    if (!dots.length) return;
    const d = dots.map(([px, py]) => `M${xy(px - 2, py)}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0`).join("");
    draw(parent, "path", { d, class: `dots ${colour}` });
  }

  #drawCursor(name, t) {
    draw(this.#over, "line", { x1: this.#x(t), x2: this.#x(t), y1: TOP, y2: HEIGHT - BOTTOM, class: `cursor ${name}` });
  }

  /** The figures at the cursor, and how coarse they are. */
  #tell() {
    const { digits, unit } = this.document;
    const told = this.lines.map(({ line }) => {
      const found = line.at(here());
      if (found === null) return number(null);
      const [low, high] = found.map((value) => this.#value(value, digits));
      return low === high ? low : `${low} \u2026 ${high}`;
    });
    this.cells.forEach((cell, index) => say(cell, told[index]));
    const coarse = this.lines.map(({ line }) => line).filter((line) => "step" in line);
    say(this.coarse, coarse.length === 0 ? "" : `Of every ${number(coarse[0].step, 3)} s (up to ${
      number(Math.max(...coarse.map((line) => line.each)), 0)} samples) the lowest and highest.`);
    this.box.setAttribute("aria-valuenow", view.now.toFixed(3));
    this.box.setAttribute("aria-valuetext", `${moment(here(), 0.001, false)}: ${
      this.cells.map((cell, index) => `${cell.parentElement.cells[0].textContent} ${told[index]}`).join(", ")} ${unit}`);
  }
}
