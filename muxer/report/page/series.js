// Lines over time as the page holds them: samples, or of very many the lowest and highest.

const TYPES = { f4: Float32Array, f8: Float64Array, i2: Int16Array };

/** Arrays by number, decoded when they are first asked for. */
export function arraysOf(texts) {
  const open = [];
  return (number) => {
    open[number] ??= decode(texts[number]);
    return open[number];
  };
}

function decode(text) {
  const [kind, base64] = text.split(":");
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new TYPES[kind](bytes.buffer);
}

/** How many of the rising `times` are before `t`. */
export function before(times, t) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the time nearest to `t`; -1 where there are none. */
export function nearest(times, t) {
  const after = before(times, t);
  if (after === 0) return times.length ? 0 : -1;
  if (after === times.length) return after - 1;
  return t - times[after - 1] <= times[after] - t ? after - 1 : after;
}

/** A line of samples. */
class Samples {
  constructor(document, arrays) {
    this.times = arrays(document.t);
    this.values = arrays(document.values);
    this.gap = document.gap ?? Infinity;
  }

  /** The sample nearest to `t`, as [lowest, highest], which are the same. */
  at(t) {
    const index = nearest(this.times, t);
    if (index < 0 || Number.isNaN(this.values[index])) return null;
    if (Math.abs(this.times[index] - t) > this.gap) return null;
    return [this.values[index], this.values[index]];
  }

  /**
   * What is seen between two times: `runs` of [t, value] where there is room for all samples, else
   * of [begin, end, lowest, highest], one to a column.
   */
  seen(from, to, columns) {
    const first = Math.max(before(this.times, from) - 1, 0);
    const last = Math.min(before(this.times, to) + 1, this.times.length);
    if (last - first <= 2 * columns) return { kind: "samples", runs: this.#runs(first, last) };
    const cut = new Columns(from, to, columns);
    for (let i = first; i < last; i += 1) cut.add(this.times[i], this.values[i], this.values[i]);
    return { kind: "bands", runs: cut.runs(this.gap) };
  }

  #runs(first, last) {
    const runs = [];
    let end = -Infinity;
    for (let i = first; i < last; i += 1) {
      if (Number.isNaN(this.values[i])) continue;
      if (this.times[i] - end > this.gap || !runs.length) runs.push([]);
      end = this.times[i];
      runs.at(-1).push([end, this.values[i]]);
    }
    return runs;
  }
}

/** A line of stretches of time, of each of which the lowest and the highest is known. */
class Stretches {
  constructor(document, arrays) {
    [this.first, this.step, this.each] = [document.first, document.step, document.each];
    [this.low, this.high] = [arrays(document.low), arrays(document.high)];
  }

  /** The stretch that `t` is in, as [lowest, highest]. */
  at(t) {
    const index = Math.min(Math.floor((t - this.first) / this.step), this.low.length - 1);
    return index >= 0 && t <= this.first + this.step * this.low.length
      && !Number.isNaN(this.low[index]) ? [this.low[index], this.high[index]] : null;
  }

  seen(from, to, columns) {
    const first = Math.max(Math.floor((from - this.first) / this.step), 0);
    const last = Math.min(Math.ceil((to - this.first) / this.step), this.low.length);
    if (last - first > 2 * columns) {
      const cut = new Columns(from, to, columns);
      for (let i = first; i < last; i += 1) {
        cut.add(this.first + (i + 0.5) * this.step, this.low[i], this.high[i]);
      }
      return { kind: "bands", runs: cut.runs(2 * this.step) };
    }
    const runs = [[]];
    for (let i = first; i < last; i += 1) {
      const begin = this.first + i * this.step;
      if (!Number.isNaN(this.low[i])) runs.at(-1).push([begin, begin + this.step, this.low[i], this.high[i]]);
      else if (runs.at(-1).length) runs.push([]);
    }
    return { kind: "bands", runs: runs.filter((run) => run.length) };
  }
}

/** The lowest and highest of what falls into each column of a plot. */
class Columns {
  constructor(from, to, count) {
    [this.from, this.width, this.count] = [from, (to - from) / count, count];
    this.low = new Float64Array(count + 2).fill(Infinity);
    this.high = new Float64Array(count + 2).fill(-Infinity);
  }

  add(t, low, high) {
    const column = Math.max(0, Math.min(this.count + 1, Math.floor((t - this.from) / this.width) + 1));
    if (low < this.low[column]) this.low[column] = low;
    if (high > this.high[column]) this.high[column] = high;
  }

  /** Columns one after another, those that are more than `gap` seconds apart in different runs. */
  runs(gap) {
    const runs = [];
    let end = -Infinity;
    for (let column = 0; column < this.count + 2; column += 1) {
      if (this.low[column] > this.high[column]) continue;
      const begin = this.from + (column - 1) * this.width;
      if (begin - end > gap || !runs.length) runs.push([]);
      end = begin + this.width;
      runs.at(-1).push([begin, end, this.low[column], this.high[column]]);
    }
    return runs;
  }
}

/** The line of a document. */
export const lineOf = (document, arrays) =>
  new ("t" in document ? Samples : Stretches)(document, arrays);

/** Heading, pitch and roll at a time; null where they are not known. */
export class Pose {
  static #UNKNOWN = -32768;
  static #NEAR_S = 0.5;

  constructor(document, arrays) {
    this.times = "t" in document ? arrays(document.t) : null;
    [this.first, this.step] = [document.first, document.step];
    this.values = document.values.map(arrays);
  }

  at(t) {
    if (this.times !== null) {
      const index = nearest(this.times, t);
      if (index < 0 || Math.abs(this.times[index] - t) > Pose.#NEAR_S) return null;
      return this.values.map((values) => values[index]);
    }
    const cell = Math.floor((t - this.first) / this.step);
    const [heading] = this.values;
    for (const index of [cell, cell - 1, cell + 1]) {
      if (index >= 0 && index < heading.length && heading[index] !== Pose.#UNKNOWN) {
        return this.values.map((values) => values[index] / 100);
      }
    }
    return null;
  }
}
