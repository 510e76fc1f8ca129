// The camera's last key frame, once a second while somebody looks.

import { Refused, request } from "./camcorder.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 5000; // where there was none, there will hardly be one in a second
const section = document.getElementById("view");
const canvas = section.querySelector("canvas");
const words = section.querySelector(".none");
let etag = null;

/** Show the picture from now on, as long as `connected()`. */
export async function watch(connected) {
  for (;;) {
    const seen = !connected() || document.hidden || (await look());
    await new Promise((done) => setTimeout(done, seen ? EVERY_MS : PATIENCE_MS));
  }
}

/** Say so where the camera of these sources delivers nothing: the picture is its last then. */
export function showCamera(sources) {
  const camera = sources.find((source) => source.name === "camera");
  section.dataset.camera = camera === undefined || camera.delivering ? "on" : "off";
}

/** Whether there is a picture, which is shown then. */
async function look() {
  try {
    const response = await request("/api/preview.jpg");
    if (response.status === 204) throw new Refused("the camera delivers no picture");
    const tag = response.headers.get("ETag");
    if (tag === null || tag !== etag) draw(await createImageBitmap(await response.blob()));
    etag = tag;
    section.dataset.picture = "live";
    return true;
  } catch (error) {
    section.dataset.picture = "none";
    words.textContent = error instanceof Refused ? error.message : "No picture";
    return false;
  }
}

function draw(picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}
