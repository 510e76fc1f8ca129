// The stretch of time that all plots show, and the moment at which everything is.

const FINEST = 1e-3; // seconds across
const listeners = [];
export const view = { first: 0, last: 1, from: 0, to: 1, now: 0, hover: null };
let due = false;

/** Have `listener` called before the next picture whenever something has changed. */
export function onView(listener) {
  listeners.push(listener);
}

function changed() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    for (const listener of listeners) listener(view);
  });
}

/** Begin with all of it. */
export function begin(first, last) {
  const room = Math.max((last - first) * 0.005, FINEST / 2);
  Object.assign(view, { first: first - room, last: last + room, now: Math.max(first, 0) });
  whole();
}

/** Show all of it. */
export function whole() {
  show(view.first, view.last);
}

export const isWhole = () => view.from === view.first && view.to === view.last;

/** Show from one time to another, or as much of that as there is. */
export function show(from, to) {
  const span = Math.max(to - from, FINEST);
  if (span >= view.last - view.first) {
    [view.from, view.to] = [view.first, view.last];
  } else {
    view.from = Math.min(Math.max((from + to - span) / 2, view.first), view.last - span);
    view.to = view.from + span;
  }
  changed();
}

/** Show `factor` times as much; what is at `t` stays where it is. */
export function zoom(factor, t) {
  const span = Math.min((view.to - view.from) * factor, view.last - view.first);
  const part = (t - view.from) / (view.to - view.from);
  show(t - part * span, t - part * span + span);
}

/** Move along by so many of the seconds that are shown. */
export function pan(seconds) {
  const span = view.to - view.from;
  const from = Math.min(Math.max(view.from + seconds, view.first), view.last - span);
  show(from, from + span);
}

/** Go to a moment; where it is out of sight the plots move along. */
export function go(t) {
  view.now = Math.min(Math.max(t, view.first), view.last);
  const span = view.to - view.from;
  if (view.now < view.from || view.now > view.to) show(view.now - span / 10, view.now + span * 0.9);
  changed();
}

/** The moment that the pointer is at; null where it is at none. */
export function point(t) {
  view.hover = t;
  changed();
}

/** What is read off: at the pointer, else at the moment. */
export const here = () => view.hover ?? view.now;
