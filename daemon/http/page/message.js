// What became of a command, in words, in the dock.

const SHOWN_MS = 6000;
const message = document.getElementById("message");
let fading = 0;

/**
 * Do something, and say in the dock what comes of it, if it tells, or why it does not. `words`
 * stand there meanwhile.
 */
export async function attempt(action, words) {
  if (words !== undefined) tell(words);
  try {
    const told = await action();
    if (told !== undefined) tell(told, SHOWN_MS);
  } catch (error) {
    tell(error.message);
    message.className = "trouble";
  }
}

function tell(words, forMs) {
  clearTimeout(fading);
  message.className = "";
  message.textContent = words;
  if (forMs) fading = setTimeout(() => tell(""), forMs);
}
