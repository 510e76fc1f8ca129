"""How words and lines stand out on a page: JavaScript that a browser evaluates for its tests.

Source: WCAG 2.2, "relative luminance" and "contrast ratio".
"""

CONTRASTS = """
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    throw new Error("no ground");
  };
  const contrast = (ink, element) => {
    const [a, b] = [luminance(rgb(ink)), luminance(ground(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const words = function* (left_out) {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
      const element = node.parentElement;
      if (!node.data.trim() || element.closest(left_out)) continue;
      if (!element.checkVisibility({ visibilityProperty: true })) continue;
      yield [node.data.trim(), element, getComputedStyle(element)];
    }
  };
"""
"""`contrast(ink, element)` of a CSS colour on what is behind an element.

`words(left_out)`: each text that is seen, outside of what a selector says, with its element and
style.
"""
