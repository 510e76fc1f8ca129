// The dock: how the recording is, and the buttons.

import { request } from "./camcorder.js";
import { attempt } from "./message.js";
import { clock, size, span } from "./words.js";

const PATIENCE_MS = 15000; // a command that has had no effect by then is not waited for

const WORDS = {
  starting: "Starting up",
  recovering: "Recovering",
  ready: "Ready",
  recording: "Recording",
  halted: "Halted",
  stopped: "Switched off",
};
const RUNNING = ["recording", "halted"];
const ON_THE_WAY = { start: "Starting to record", stop: "Finishing the clip" };

const at = (id) => document.getElementById(id);
const [record, mark] = [at("record"), at("mark")];

let status = null; // null: no connection
let asked = null; // the command that is on its way: {verb, until}

/** Show a status, or with null that there is none; `pace` is what a byte lasts, in seconds. */
export function showRecording(document, pace) {
  status = document;
  if (asked && (status === null || performance.now() > asked.until || isDone())) asked = null;
  show();
  if (status !== null) showFigures(status, pace);
}

const isDone = () => (asked.verb === "start") === RUNNING.includes(status.state);

function show() {
  const running = status !== null && RUNNING.includes(status.state);
  const words = status === null ? "No connection" : asked ? ON_THE_WAY[asked.verb] : WORDS[status.state] ?? status.state;
  document.body.dataset.state = status === null ? "unknown" : status.state;
  say(at("state").lastElementChild, words);
  say(record.lastElementChild, running ? "Stop" : "Record");
  record.dataset.does = running ? "stop" : "start";
  record.ariaBusy = asked !== null;
  record.disabled = status === null || status.state === "stopped";
  mark.disabled = status === null || status.clip === null || asked?.verb === "stop";
  document.title = running ? `${words} · cammcorder` : "cammcorder";
}

function showFigures({ clip, seconds_left: left, free_bytes: free }, pace) {
  const rest = left ?? (pace === null ? null : free * pace);
  say(at("time"), clip === null ? "00:00:00" : clock(clip.seconds));
  say(at("size"), clip === null ? "–" : size(clip.bytes));
  say(at("room"), rest === null ? size(free) : span(rest));
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function toggle() {
  if (record.disabled || asked) return;
  const verb = record.dataset.does;
  asked = { verb, until: performance.now() + PATIENCE_MS };
  show();
  attempt(async () => {
    try {
      await request(`/api/${verb}`, { method: "POST" });
    } catch (error) {
      asked = null;
      show();
      throw error;
    }
  }, "");
}

async function markNow() {
  const { t_s: seconds } = await (await request("/api/mark", { method: "POST", body: { text: "" } })).json();
  return `Marked at ${clock(seconds)}`;
}

record.addEventListener("click", toggle);
mark.addEventListener("click", () => attempt(markNow));

// Space records, wherever it means nothing else.
addEventListener("keydown", (event) => {
  const busy = event.target.closest("a, button, input, dialog") || document.querySelector("dialog[open]");
  if (event.code !== "Space" || busy || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (!event.repeat) toggle();
});
