// Drawing: everything on the page is SVG, so that it has the colours of the sheet, also on paper.

const SVG = "http://www.w3.org/2000/svg";

/** A new element inside another one. */
export function draw(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  return parent.appendChild(element);
}

/** An empty drawing, a unit of which is a pixel of the screen. */
export function fresh(svg, width, height) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
}

/** Coordinates in a path: a tenth of a pixel is nothing. */
export const xy = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** Call `redraw(width)` now, whenever an element's width changes, and for paper. */
export function onWidth(element, redraw) {
  const PAPER = 700;
  let width = 0;
  const measure = () => {
    if (element.clientWidth === 0 || element.clientWidth === width) return;
    width = element.clientWidth;
    redraw(width);
  };
  new ResizeObserver(measure).observe(element);
  addEventListener("beforeprint", () => redraw(Math.min(width, PAPER)));
  addEventListener("afterprint", () => redraw(width));
  measure();
}
