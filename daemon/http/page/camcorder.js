// Talks to the camcorder: requests with the token, and the stream of what happens.

import { askForToken, token } from "./token.js";

const PATIENCE_MS = 10000; // for the beginning of an answer
const SILENT_MS = 5000; // status comes twice a second: after this long nobody is there
const LONGEST_WAIT_MS = 10000;

/** The camcorder does not do what was asked of it; the message is its own words. */
export class Refused extends Error {}

/** It cannot be reached. */
export class NoAnswer extends Error {}

/** An answer to a request; Refused or NoAnswer where there is none worth having. */
export async function request(path, { method = "GET", body } = {}) {
  for (;;) {
    const sent = token();
    const headers = {};
    if (sent) headers.Authorization = `Bearer ${sent}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await begun(path, { method, headers, body: body && JSON.stringify(body) });
    if (response.ok) return response;
    if (response.status !== 401) throw new Refused(await complaint(response));
    await askForToken(sent);
  }
}

export const get = async (path) => (await request(path)).json();

/** The path of a clip. */
export const clipPath = (name) => `/api/clips/${encodeURIComponent(name)}`;

async function begun(path, options) {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), PATIENCE_MS);
  try {
    return await reached(fetch(path, { ...options, signal: impatience.signal }));
  } finally {
    clearTimeout(timer);
  }
}

/** What came over the network; NoAnswer where it failed. */
async function reached(network) {
  try {
    return await network;
  } catch (error) {
    throw new NoAnswer("The camcorder does not answer", { cause: error });
  }
}

async function complaint(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/**
 * Hand over what happens, for ever: `heard(event, document)`. `lost()` is called when there is no
 * connection; it is tried again, with growing patience, and at once when the network is back.
 */
export async function follow(heard, lost) {
  for (let wait = 500; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      await listen((event, document) => {
        wait = 500;
        heard(event, document);
      });
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Refused)) throw error;
    }
    lost();
    await pause(wait);
  }
}

async function listen(heard) {
  const reader = (await request("/api/events")).body.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; ;) {
    const { done, value } = await reached(read(reader));
    if (done) return;
    const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
    text = events.pop();
    events.forEach((lines) => tell(lines, heard));
  }
}

/** What comes next; the end where nothing does for too long. */
async function read(reader) {
  const silence = setTimeout(() => reader.cancel(), SILENT_MS);
  try {
    return await reader.read();
  } finally {
    clearTimeout(silence);
  }
}

function tell(lines, heard) {
  let event = "message";
  const data = [];
  for (const line of lines.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5));
  }
  if (data.length) heard(event, JSON.parse(data.join("\n")));
}

async function pause(wait) {
  const over = new AbortController();
  await new Promise((done) => {
    setTimeout(done, wait);
    addEventListener("online", done, { signal: over.signal });
  });
  over.abort();
}
