// The page: hears from the camcorder twice a second and shows it.

import { follow, get } from "./camcorder.js";
import { refresh, secondsAByte, setMaking } from "./clips.js";
import { showAttitude } from "./dials.js";
import { setTrack, showFix } from "./map.js";
import { attempt } from "./message.js";
import { watch } from "./preview.js";
import { showRecording } from "./record.js";
import { showDisk, showSources } from "./sources.js";
import { showWarnings } from "./warnings.js";

const LOST = "No connection to the camcorder. It may still be recording. Trying again.";

const at = (id) => document.getElementById(id);
let clip; // undefined: what clips there are is not known
let connected = false;

function showStatus(status) {
  showWarnings(status.warnings);
  showSources(status.sources);
  showDisk(status);
  const fix = status.fix?.latitude == null || status.fix.longitude == null ? null : status.fix;
  showAttitude(status.orientation, fix);
  showFix(fix);
  at("utc").textContent = status.utc === null ? "--:--:--" : status.utc.slice(11, 19);
  at("version").textContent = `cammcorder ${status.version}`;
  const making = status.clip?.name ?? null;
  if (making !== clip) {
    clip = making;
    setMaking(making);
    attempt(refresh);
  }
  showRecording(status, secondsAByte());
}

function heard(event, document) {
  if (!connected) begin();
  if (event === "status") showStatus(document);
  if (event === "clip") attempt(async () => {
    await refresh();
    return `${document.name} is finished`;
  });
}

function begin() {
  connected = true;
  document.body.dataset.link = "up";
  attempt(async () => { setTrack(await get("/api/track")); });
}

function lost() {
  connected = false;
  clip = undefined;
  document.body.dataset.link = "lost";
  showWarnings([LOST]);
  showRecording(null);
}

watch(() => connected);
follow(heard, lost);
