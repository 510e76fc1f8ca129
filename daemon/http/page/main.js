// The page: hears from the camcorder twice a second and shows it.

import { follow, get } from "./camcorder.js";
import { refresh, secondsAByte, setMaking } from "./clips.js";
import { showAttitude } from "./dials.js";
import { setTrack, showFix } from "./map.js";
import { attempt } from "./message.js";
import { showCamera, watch } from "./preview.js";
import { showRecording } from "./record.js";
import { showDisk, showSources } from "./sources.js";
import { showWarnings } from "./warnings.js";

const LOST = "No connection to the camcorder. It may still be recording. Trying again.";
const SLOW = 0.7; // m/s: the course of one who stands means nothing

const at = (id) => document.getElementById(id);
let clip; // undefined: what clips there are is not known
let connected = false;

function showStatus(status) {
  showWarnings(status.warnings);
  showSources(status);
  showDisk(status);
  showCamera(status.sources);
  const fix = usable(status.fix);
  showAttitude(status.orientation, fix?.course_deg ?? null);
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

/** A fix that says where; its course only where it means something. */
function usable(fix) {
  if (fix === null || fix.latitude === null || fix.longitude === null) return null;
  return { ...fix, course_deg: fix.speed_m_s > SLOW ? fix.course_deg : null };
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
  showAttitude(null, null);
  showFix(null);
  showRecording(null);
}

watch(() => connected);
follow(heard, lost);
