// The track seen from above, in metres: no map behind it, so no network.

import { nearest } from "./series.js";
import { draw, fresh, onWidth, xy } from "./svg.js";
import { here, onView } from "./view.js";
import { number, roundStep } from "./words.js";

const CLASSES = 5;
const LEAST_M = 20; // shown across, lest the noise of a receiver that stands fill the plan
const EDGE = 34;
const APART = 6; // pixels between circles that are drawn

/** Draw the places of `document`; a click seeks the nearest. */
export function drawPlan(svg, document, arrays, seek) {
  const [t, east, north, speed, accuracy] = ["t", "east", "north", "speed", "accuracy"].map((name) => arrays(document[name]));
  const gap = document.gap ?? Infinity;
  const bounds = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [[west, farEast], [south, farNorth]] = [bounds(east), bounds(north)];
  const known = speed.filter(Number.isFinite);
  const fastest = known.length ? bounds(known)[1] : 0;
  const step = fastest / CLASSES || 1;
  let place = () => [0, 0];
  let marker = null;

  const classOf = (index) =>
    (Number.isFinite(speed[index]) ? `speed-${Math.min(CLASSES - 1, Math.floor(speed[index] / step))}` : "soft");

  /** Pieces of the path of one colour each; where a fix is missing the path is open. */
  function pieces() {
    const found = [];
    for (let i = 1; i < t.length; i += 1) {
      if (t[i] - t[i - 1] > gap) continue;
      const kind = classOf(i);
      const last = found.at(-1);
      if (last !== undefined && last.kind === kind && last.to === i - 1) last.to = i;
      else found.push({ kind, from: i - 1, to: i });
    }
    return found;
  }

  function drawCircles() {
    let [d, lastX, lastY] = ["", -Infinity, -Infinity];
    t.forEach((_, index) => {
      const [x, y, metre] = place(index);
      const radius = accuracy[index] * metre;
      if (!(radius > 1) || Math.hypot(x - lastX, y - lastY) < APART) return;
      [lastX, lastY] = [x, y];
      d += `M${xy(x - radius, y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
    });
    draw(svg, "path", { d, class: "accuracy" });
  }

  function drawScale(width, height, metre) {
    const bar = roundStep((width * 0.12) / metre);
    const d = `M16 ${height - 20}v6h${bar * metre}v-6`;
    draw(svg, "path", { d, class: "scale" });
    draw(svg, "text", { x: 16, y: height - 26, class: "named" }, bar < 1000 ? `${number(bar, bar < 1 ? 1 : 0)} m` : `${number(bar / 1000, 0)} km`);
    draw(svg, "path", { d: `M${width - 24} 14l8 24l-8 -6l-8 6z`, class: "north" });
    draw(svg, "text", { x: width - 24, y: 54, "text-anchor": "middle", class: "named" }, "N");
  }

  function drawLegend(width, height) {
    if (fastest === 0) return;
    const wide = Math.min(width * 0.5, 220) / CLASSES;
    const left = width - 16 - wide * CLASSES;
    for (let kind = 0; kind < CLASSES; kind += 1) {
      draw(svg, "rect", { x: left + kind * wide, y: height - 22, width: wide, height: 7, class: `block speed-${kind}` });
    }
    draw(svg, "text", { x: left, y: height - 28, class: "named" }, 0);
    draw(svg, "text", { x: width - 16, y: height - 28, "text-anchor": "end", class: "named" }, `${number(fastest, 1)} m/s`);
  }

  onWidth(svg, (width) => {
    const tall = Math.max(farNorth - south, LEAST_M * 0.3) / Math.max(farEast - west, LEAST_M);
    const height = Math.round(Math.min(Math.max(width * tall, 220), width * 0.62, 560)) + 40;
    fresh(svg, width, height);
    const metre = Math.min(
      (width - 2 * EDGE) / Math.max(farEast - west, LEAST_M),
      (height - 40 - 2 * EDGE) / Math.max(farNorth - south, LEAST_M * 0.3),
    );
    place = (index) => [
      width / 2 + (east[index] - (west + farEast) / 2) * metre,
      (height - 40) / 2 - (north[index] - (south + farNorth) / 2) * metre,
      metre,
    ];
    drawCircles();
    for (const { kind, from, to } of pieces()) {
      let d = "M";
      for (let i = from; i <= to; i += 1) d += `${i > from ? "L" : ""}${xy(...place(i))}`;
      draw(svg, "path", { d, class: `path ${kind}` });
    }
    for (const [index, name] of [[0, "start"], [t.length - 1, "end"]]) {
      const [x, y] = place(index);
      draw(svg, "circle", { cx: x, cy: y, r: 5, class: "end" });
      draw(svg, "text", { x, y: y + (name === "start" ? 20 : -11), "text-anchor": "middle", class: "named" }, name);
    }
    marker = draw(svg, "circle", { r: 7, class: "here cursor" });
    drawScale(width, height, metre);
    drawLegend(width, height);
    move();
  });

  function move() {
    const index = nearest(t, here());
    if (marker === null) return;
    const [x, y] = place(index);
    marker.setAttribute("cx", x.toFixed(1));
    marker.setAttribute("cy", y.toFixed(1));
  }

  onView(move);
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [best, least] = [0, Infinity];
    for (let i = 0; i < t.length; i += 1) {
      const [px, py] = place(i);
      const far = Math.hypot(px - x, py - y);
      if (far < least) [best, least] = [i, far];
    }
    seek(t[best]);
  });
}
