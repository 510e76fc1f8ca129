// Talks to the camcorder: requests with the token, and the stream of what happens.

import { askForToken, token } from "./token.js";

const SILENT_MS = 5000; // status comes twice a second: after this long nobody is there
const LONGEST_WAIT_MS = 10000;

/** The camcorder does not do what was asked of it; the message is its own words. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** An answer to a request; Refused where there is none worth having, TypeError without connection. */
export async function request(path, { method = "GET", body, signal } = {}) {
  for (;;) {
    const sent = token();
    const headers = {};
    if (sent) headers.Authorization = `Bearer ${sent}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(path, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return response;
    if (response.status !== 401) throw new Refused(response.status, await complaint(response));
    await askForToken(sent);
  }
}

export const get = async (path) => (await request(path)).json();

/** The path of a clip. */
export const clipPath = (name) => `/api/clips/${encodeURIComponent(name)}`;

async function complaint(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/**
 * Hand over what happens, for ever: `heard(event, document)`. `lost()` is called when the connection
 * is gone; it is tried again, with growing patience and at once when the network is back.
 */
export async function follow(heard, lost) {
  for (let wait = 500; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      await listen((event, document) => {
        wait = 500;
        heard(event, document);
      });
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Refused || error.name === "AbortError")) throw error;
    }
    lost();
    await pause(wait);
  }
}

async function listen(heard) {
  const gone = new AbortController();
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => gone.abort(), SILENT_MS);
  };
  try {
    const response = await request("/api/events", { signal: gone.signal });
    alive();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const events = (text + value).replaceAll("\r\n", "\n").split("\n\n");
      text = events.pop();
      events.forEach((lines) => tell(lines, heard));
    }
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

function pause(wait) {
  return new Promise((done) => {
    const timer = setTimeout(done, wait);
    addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
