// What each source delivers: quiet while it does, loud when it does not.

import { rate, say, size } from "./words.js";

const NAMES = { imu: "Motion", mag: "Magnetometer", gps: "GPS", camera: "Camera", log: "Log" };
const body = document.querySelector("#sources tbody");
const disk = document.getElementById("disk");

/** Show how the sources of a status fare. */
export function showSources({ sources, state }) {
  const names = sources.map((source) => source.name).join();
  if (body.dataset.names !== names) {
    body.dataset.names = names;
    body.replaceChildren(...sources.map(newRow));
  }
  sources.forEach((source, i) => showRow(body.rows[i], source, state));
}

/** Show how the disk of a status fares. */
export function showDisk({ free_bytes: free, missed, slowest_write_s: slowest }) {
  const parts = [`${size(free)} free`];
  if (slowest > 0) parts.push(`slowest write ${slowest.toFixed(2)} s`);
  if (missed > 0) parts.push(`${missed} pictures missed`);
  disk.textContent = parts.join(" · ");
}

function newRow(source) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.append(NAMES[source.name] ?? source.name, document.createElement("small"));
  row.append(head, document.createElement("td"), document.createElement("td"));
  return row;
}

function showRow(row, source, state) {
  const [head, pace, lost] = row.cells;
  // One that has never come may do so yet, or stay away.
  const missed = source.delivered > 0 || (source.required && state !== "starting");
  row.className = source.delivering ? "" : missed ? "lost" : "absent";
  say(head.lastChild, source.delivering ? "" : source.error || "nothing comes from it");
  say(pace, source.delivering ? rate(source.rate_hz) : "nothing");
  say(lost, String(source.lost));
  lost.classList.toggle("some", source.lost > 0);
}
