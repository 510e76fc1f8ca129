// Wheel, drag, pinch and keys on a plot.

import { isWhole, pan, point, show, view, whole, zoom } from "./view.js";

const A_CLICK = 4; // pixels that a hand moves without meaning it
const STILL_SCROLLING_MS = 300;
const SLOWEST = 0.0015; // of zooming, for each pixel of the wheel

let scrolled = -Infinity;
addEventListener("wheel", (event) => {
  if (!(event.target instanceof Element) || event.target.closest(".plot") === null) scrolled = event.timeStamp;
}, { passive: true });

/**
 * Let an element steer the view. `timeAt` tells the time of an x on the screen; `go` seeks, `play`
 * starts and stops; `choose(a, b)` shows a stretch that is being chosen, null for none.
 */
export function steer(element, { timeAt, seek, play, choose }) {
  const secondsAPixel = () => timeAt(1) - timeAt(0);

  element.addEventListener("wheel", (event) => {
    // Who scrolls down the page and comes over a plot wants to go on.
    if (event.timeStamp - scrolled < STILL_SCROLLING_MS) {
      scrolled = event.timeStamp;
      return;
    }
    const along = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    if (event.shiftKey || Math.abs(along) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(along * secondsAPixel());
    } else if (event.deltaY < 0 || !isWhole()) {
      event.preventDefault();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
      zoom(Math.exp(pixels * SLOWEST), timeAt(event.clientX));
    }
  }, { passive: false });

  const down = new Map(); // pointers that are down: where they are
  let began = null; // the x at which the only pointer began, null once it was part of a pinch

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event.clientX);
    began = down.size === 1 ? event.clientX : null;
    choose(null, null);
  });

  element.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (last === undefined) {
      if (event.pointerType !== "touch") point(timeAt(event.clientX));
      return;
    }
    const others = [...down].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    if (others.length) {
      const [other] = others;
      const [apart, was] = [Math.abs(event.clientX - other), Math.abs(last - other)];
      if (apart > 0 && was > 0) zoom(was / apart, timeAt((event.clientX + other) / 2));
      pan(-(event.clientX - last) / 2 * secondsAPixel());
    } else if (began !== null && Math.abs(event.clientX - began) > A_CLICK) {
      if (moves(event)) pan(-(event.clientX - last) * secondsAPixel());
      else choose(timeAt(began), timeAt(event.clientX));
    }
    if (event.pointerType !== "touch") point(timeAt(event.clientX));
    down.set(event.pointerId, event.clientX);
  });

  const moves = (event) => event.pointerType === "touch" || event.shiftKey;

  element.addEventListener("pointerup", (event) => {
    if (!down.delete(event.pointerId)) return;
    choose(null, null);
    if (began === null) return;
    const [from, to] = [timeAt(began), timeAt(event.clientX)];
    if (Math.abs(event.clientX - began) <= A_CLICK) seek(to);
    else if (!moves(event)) show(Math.min(from, to), Math.max(from, to));
    began = null;
  });

  element.addEventListener("pointercancel", (event) => {
    down.delete(event.pointerId);
    began = null;
    choose(null, null);
  });

  element.addEventListener("pointerleave", () => point(null));
  element.addEventListener("dblclick", whole);

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const span = view.to - view.from;
    const step = (event.shiftKey ? 10 : 1) * span / 100;
    const keys = {
      ArrowLeft: () => seek(view.now - step),
      ArrowDown: () => seek(view.now - step),
      ArrowRight: () => seek(view.now + step),
      ArrowUp: () => seek(view.now + step),
      PageUp: () => pan(-span * 0.9),
      PageDown: () => pan(span * 0.9),
      Home: () => seek(view.first),
      End: () => seek(view.last),
      "+": () => zoom(0.5, view.now),
      "=": () => zoom(0.5, view.now),
      "-": () => zoom(2, view.now),
      0: whole,
      Escape: whole,
      " ": play,
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    point(null);
    keys[event.key]();
  });
}

/** Let every button that names a moment go there. */
export function steerByMoments(seek) {
  for (const button of document.querySelectorAll(".at")) {
    button.addEventListener("click", () => {
      seek(Number(button.dataset.t));
      document.getElementById("plots").scrollIntoView();
    });
  }
}
