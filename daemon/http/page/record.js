// The dock: how the recording is, and the buttons.

import { request } from "./camcorder.js";
import { attempt } from "./message.js";
import { clock, say, size, span } from "./words.js";

const PATIENCE_MS = 15000; // a command that has had no effect by then is not waited for
const REST_MS = 1000; // a second press within it is a glove's

const WORDS = {
  starting: "Starting up",
  recovering: "Recovering",
  ready: "Ready",
  recording: "Recording",
  halted: "Halted",
  stopped: "Switched off",
  unknown: "No connection",
};
const RUNNING = ["recording", "halted"];
const ON_THE_WAY = { start: "Starting to record", stop: "Finishing the clip" };

const at = (id) => document.getElementById(id);
const [record, mark] = [at("record"), at("mark")];

let status = null; // null: no connection
let asked = null; // the command that is on its way: {verb, until}
let pressed = -Infinity;

/** Show a status, or with null that there is none; `pace` is what a byte lasts, in seconds. */
export function showRecording(document, pace) {
  status = document;
  if (asked && (status === null || performance.now() > asked.until || isDone())) asked = null;
  show();
  showFigures(pace);
}

const isDone = () => (asked.verb === "start") === RUNNING.includes(status.state);

function show() {
  const running = status !== null && RUNNING.includes(status.state);
  const state = status?.state ?? "unknown";
  const words = asked ? ON_THE_WAY[asked.verb] : WORDS[state] ?? state;
  document.body.dataset.state = state;
  say(at("state").lastElementChild, words);
  say(record.lastElementChild, running ? "Stop" : "Record");
  record.dataset.does = running ? "stop" : "start";
  record.ariaBusy = asked !== null;
  record.disabled = status === null || status.state === "stopped";
  mark.disabled = status === null || status.clip === null || asked?.verb === "stop";
  document.title = running ? `${words} · cammcorder` : "cammcorder";
}

function showFigures(pace) {
  if (status === null) {
    for (const id of ["time", "size", "room"]) say(at(id), "–");
    return;
  }
  const { clip, seconds_left: left, free_bytes: free } = status;
  const rest = left ?? (pace === null ? null : free * pace);
  say(at("time"), clip === null ? "00:00:00" : clock(clip.seconds));
  say(at("size"), clip === null ? "–" : size(clip.bytes));
  say(at("room"), rest === null ? size(free) : span(rest));
}

function toggle() {
  const now = performance.now();
  if (record.disabled || asked || now < pressed + REST_MS) return;
  const verb = record.dataset.does;
  pressed = now;
  asked = { verb, until: now + PATIENCE_MS };
  show();
  attempt(async () => {
    try {
      await request(`/api/${verb}`, { method: "POST" });
    } catch (error) {
      asked = null;
      pressed = -Infinity;
      show();
      throw error;
    }
  }, "");
}

async function markNow() {
  const answer = await request("/api/mark", { method: "POST", body: { text: "" } });
  return `Marked at ${clock((await answer.json()).t_s)}`;
}

record.addEventListener("click", toggle);
mark.addEventListener("click", () => attempt(markNow));

// Space records, wherever it means nothing else.
addEventListener("keydown", (event) => {
  if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey) return;
  if (document.querySelector("dialog[open]") || event.target.closest("a, button, input")) return;
  event.preventDefault();
  if (!event.repeat) toggle();
});
