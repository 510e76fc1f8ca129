// What mp4box.js finds in an MP4, as JSON lines: its complaints, every track, every sample.

import { readFileSync, writeFileSync } from "node:fs";
import { createFile, Log } from "mp4box";

const lines = [];
const tell = (found) => lines.push(JSON.stringify(found));

Log.error = (module, message) => tell({ complaint: `${module}: ${message}` });

const file = createFile();

file.onReady = ({ tracks }) => {
  for (const { id, codec, timescale, name } of tracks) {
    tell({ track: id, codec, timescale, name });
    file.setExtractionOptions(id, null, { nbSamples: 10_000 });
  }
  file.start();
};

file.onSamples = (id, _, samples) => {
  for (const { cts, dts, size, data } of samples) {
    tell({ of: id, pts: cts, dts, size, data: Buffer.from(data).toString("base64") });
  }
};

const bytes = readFileSync(process.argv[2]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
file.appendBuffer(buffer, true);
file.flush();
// Not by process.stdout: Node makes that pipe a non-blocking one and then spins until there is room.
writeFileSync(1, lines.join("\n") + "\n");
