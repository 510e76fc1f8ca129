// The token that a camcorder on the network asks for. It is kept as long as the page is open.

const KEY = "cammcorder-token";
const dialog = document.getElementById("ask");
const input = document.getElementById("token");
const about = document.getElementById("ask-about");
let asking = null;

export const token = () => sessionStorage.getItem(KEY);

/** Ask for another than `refused`; returns when there is one. All who ask share one dialog. */
export function askForToken(refused) {
  if (token() !== refused) return Promise.resolve();
  asking ??= ask(refused).finally(() => { asking = null; });
  return asking;
}

function ask(refused) {
  if (refused) about.textContent = "That was not the token of this camcorder. Please try again.";
  input.value = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, input.value);
      done();
    }, { once: true });
  });
}

dialog.addEventListener("cancel", (event) => event.preventDefault());
