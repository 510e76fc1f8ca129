// What is wrong, in words, at the top. A new warning is read out; one whose figures change is not.

const list = document.querySelector("#warnings ul");
const shown = new Map();

/** What makes two warnings the same: their words without the figures. */
const kind = (words) => words.replace(/[\d.,]+/g, "#");

/** Show these and no others. */
export function showWarnings(warnings) {
  const wanted = new Map(warnings.map((words) => [kind(words), words]));
  for (const [key, item] of shown) {
    if (wanted.has(key)) continue;
    item.remove();
    shown.delete(key);
  }
  for (const [key, words] of wanted) {
    if (!shown.has(key)) {
      const item = document.createElement("li");
      item.append(words);
      list.append(item);
      shown.set(key, item);
    }
    const text = shown.get(key).firstChild;
    if (text.data !== words) text.data = words;
  }
}
