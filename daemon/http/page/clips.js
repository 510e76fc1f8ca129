// The clips: each can be downloaded, protected, deleted.

import { clipPath, get, request } from "./camcorder.js";
import { attempt } from "./message.js";
import { token } from "./token.js";
import { clock, size } from "./words.js";

const FEW = 10;
const section = document.getElementById("clips");
const list = section.querySelector("ul");
const more = document.getElementById("more");
const template = document.getElementById("clip");
const dialog = document.getElementById("confirm");

let all = false;
let making = null;
let pace = null;

/** Seconds that a byte lasts, by the newest clip; null where there is none to tell by. */
export const secondsAByte = () => pace;

/** Leave out the clip in the making: there is enough about it elsewhere. */
export function setMaking(name) {
  making = name;
}

/** Ask what clips there are, and show them. */
export async function refresh() {
  const clips = (await get("/api/clips")).filter((clip) => clip.name !== making);
  const measured = clips.find((clip) => clip.seconds && clip.bytes);
  pace = measured ? measured.seconds / measured.bytes : null;
  const focus = document.activeElement;
  const focused = focus?.closest("#clips li")?.dataset.name;
  section.dataset.count = clips.length;
  list.replaceChildren(...(all ? clips : clips.slice(0, FEW)).map(item));
  more.hidden = all || clips.length <= FEW;
  more.textContent = `Show all ${clips.length}`;
  const same = [...list.children].find((one) => one.dataset.name === focused);
  same?.getElementsByClassName(focus.className)[0]?.focus();
}

function item(clip) {
  const one = template.content.firstElementChild.cloneNode(true);
  const find = (kind) => one.querySelector(kind);
  one.dataset.name = clip.name;
  one.classList.toggle("protected", clip.protected);
  find(".name").textContent = clip.name;
  find(".about").textContent = about(clip);
  if (clip.unfinished) {
    find(".buttons").remove();
    return one;
  }
  const [download, protect, remove] = [find(".download"), find(".protect"), find(".delete")];
  download.href = clipPath(clip.name);
  download.download = clip.name;
  download.ariaLabel = `Download ${clip.name}`;
  download.addEventListener("click", (event) => {
    if (!event.isTrusted || !token()) return;
    event.preventDefault();
    attempt(() => downloadWithTicket(download));
  });
  protect.ariaPressed = clip.protected;
  protect.ariaLabel = `Protect ${clip.name}`;
  protect.querySelector(".icon").classList.add(clip.protected ? "locked" : "unlocked");
  protect.lastElementChild.textContent = clip.protected ? "Protected" : "Protect";
  protect.addEventListener("click", () => attempt(() => setProtection(clip)));
  remove.ariaLabel = `Delete ${clip.name}`;
  remove.disabled = clip.protected;
  if (clip.protected) remove.title = "Protected clips cannot be deleted";
  remove.addEventListener("click", () => confirmed(clip));
  return one;
}

function about(clip) {
  const parts = [size(clip.bytes)];
  if (clip.seconds !== null) parts.unshift(clock(clip.seconds));
  if (clip.unfinished) parts.push("cut off, could not be finished");
  return parts.join(" · ");
}

/** A link cannot send the token: the browser gets leave for this clip, and fetches it by itself. */
async function downloadWithTicket(link) {
  await request(`${link.getAttribute("href")}/ticket`, { method: "POST" });
  link.click();
}

async function setProtection(clip) {
  const wanted = !clip.protected;
  const path = `${clipPath(clip.name)}/protection`;
  await request(path, { method: "PUT", body: { protected: wanted } });
  await refresh();
  return wanted ? "Protected" : "No longer protected";
}

function confirmed(clip) {
  document.getElementById("confirm-about").textContent = `${clip.name}, ${about(clip)}`;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "delete") attempt(() => remove(clip));
  }, { once: true });
  dialog.showModal();
}

async function remove(clip) {
  await request(clipPath(clip.name), { method: "DELETE" });
  await refresh();
  return `${clip.name} is deleted`;
}

more.addEventListener("click", () => {
  all = true;
  attempt(refresh);
});
