// The path of the last hour, on a map that needs no network: north is up, and there is a scale.

import { distance, position } from "./words.js";

const METRES_A_DEGREE = 111320;
const LEAST_M = 60; // shown across, lest the noise of a receiver that stands fill the map
const APART_S = 5; // positions that are further apart in time are not joined
const DESCRIBED_MS = 5000;
const AN_HOUR = 7200; // positions that come twice a second

const section = document.getElementById("track");
const canvas = section.querySelector("canvas");
const context = canvas.getContext("2d");
const at = (id) => document.getElementById(id);

let points = []; // [latitude, longitude, whether joined to the one before]
let now = null;
let joined = false;
let described = -Infinity;

/** Begin with what the camcorder remembers: [seconds, latitude, longitude] of each. */
export function setTrack(track) {
  points = [];
  track.forEach(([t, latitude, longitude], i) => {
    add(latitude, longitude, i > 0 && t - track[i - 1][0] < APART_S);
  });
  joined = false;
  draw();
}

/** Go on with a fix, or show that there is none. */
export function showFix(fix) {
  section.dataset.known = fix !== null;
  at("speed").textContent = told(fix?.speed_m_s, (speed) => `${(speed * 3.6).toFixed(0)} km/h`);
  at("altitude").textContent = told(fix?.altitude, (altitude) => `${altitude.toFixed(0)} m`);
  at("accuracy").textContent = told(fix?.accuracy_m, (metres) => `${metres.toFixed(1)} m`);
  at("position").textContent = fix === null ? "–" : position(fix.latitude, fix.longitude);
  if (fix === null) {
    joined = false;
  } else {
    add(fix.latitude, fix.longitude, joined);
    joined = true;
  }
  now = fix;
  draw();
}

/** Longitudes go on over 180 degrees. */
function add(latitude, longitude, joins) {
  const [north, east] = points.at(-1) ?? [latitude, longitude];
  const onwards = longitude + 360 * Math.round((east - longitude) / 360);
  if (points.length && north === latitude && east === onwards) return;
  points.push([latitude, onwards, joins]);
  if (points.length > AN_HOUR) points.shift();
  points[0][2] = false;
}

const told = (value, words) => (value === null || value === undefined ? "–" : words(value));

/** Metres east and north of the middle of what there is, and the half of its extent. */
function flat() {
  const bounds = (index) => {
    let [least, most] = [Infinity, -Infinity];
    for (const point of points) {
      least = Math.min(least, point[index]);
      most = Math.max(most, point[index]);
    }
    return [(least + most) / 2, (most - least) / 2];
  };
  const [[latitude, tall], [longitude, wide]] = [bounds(0), bounds(1)];
  const eastward = METRES_A_DEGREE * Math.cos((latitude * Math.PI) / 180);
  return {
    metres: (point) =>
      [(point[1] - longitude) * eastward, (point[0] - latitude) * METRES_A_DEGREE],
    wide: wide * eastward,
    tall: tall * METRES_A_DEGREE,
  };
}

/** The roundest length not above `most`: 1, 2 or 5 of a power of ten. */
function round(most) {
  const ten = 10 ** Math.floor(Math.log10(most));
  return ten * [5, 2, 1].find((digit) => digit * ten <= most);
}

function draw() {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const sharp = devicePixelRatio;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  context.scale(sharp, sharp);
  const style = getComputedStyle(canvas);
  const ink = (name) => style.getPropertyValue(name);
  const font = (weight, px) => { context.font = `${weight} ${px}px ${style.fontFamily}`; };

  if (points.length === 0) {
    font(600, 17);
    context.fillStyle = ink("--quiet");
    context.textAlign = "center";
    context.fillText("No positions yet", width / 2, height / 2);
    return;
  }
  const { metres, wide, tall } = flat();
  const [free, room] = [width / 2 - 30, height / 2 - 34];
  const zoom = Math.min(free / Math.max(wide, LEAST_M / 2), room / Math.max(tall, LEAST_M / 2));
  const place = (point) => {
    const [east, north] = metres(point);
    return [width / 2 + east * zoom, height / 2 - north * zoom];
  };
  const bar = round((width * 0.4) / zoom);
  drawGrid(bar * zoom, width, height, ink("--grid"));

  context.lineJoin = context.lineCap = "round";
  context.beginPath();
  let length = 0;
  let before = null;
  for (const point of points) {
    const [x, y] = place(point);
    if (point[2]) {
      context.lineTo(x, y);
      length += Math.hypot(x - before[0], y - before[1]) / zoom;
    } else {
      context.moveTo(x, y);
    }
    before = [x, y];
  }
  stroke(ink("--panel"), 8);
  stroke(ink("--path"), 4);

  const [startX, startY] = place(points[0]);
  context.beginPath();
  context.arc(startX, startY, 6, 0, 7);
  context.fillStyle = ink("--panel");
  context.fill();
  stroke(ink("--ink"), 3);
  font(700, 13);
  label("Start", startX, startY + 22, ink);

  if (now !== null) drawNow(place(points.at(-1)), zoom, ink);
  drawBar(bar, zoom, height, ink, font);
  drawNorth(width, ink, font);
  const where = now === null ? "; no fix now" : `, now at ${position(now.latitude, now.longitude)}`;
  describe(`Track of ${distance(length)}${where}`);
}

function stroke(colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function label(text, x, y, ink) {
  context.textAlign = "center";
  context.lineJoin = "round";
  context.strokeStyle = ink("--panel");
  context.lineWidth = 5;
  context.strokeText(text, x, y);
  context.fillStyle = ink("--ink");
  context.fillText(text, x, y);
}

function drawGrid(step, width, height, colour) {
  context.beginPath();
  for (let x = (width / 2) % step; x < width; x += step) {
    context.moveTo(x, 0);
    context.lineTo(x, height);
  }
  for (let y = (height / 2) % step; y < height; y += step) {
    context.moveTo(0, y);
    context.lineTo(width, y);
  }
  stroke(colour, 1);
}

function drawNow([x, y], zoom, ink) {
  if (now.accuracy_m !== null) {
    context.beginPath();
    context.arc(x, y, now.accuracy_m * zoom, 0, 7);
    context.globalAlpha = 0.2;
    context.fillStyle = ink("--path");
    context.fill();
    context.globalAlpha = 1;
  }
  context.save();
  context.translate(x, y);
  context.rotate(((now.course_deg ?? 0) * Math.PI) / 180);
  context.beginPath();
  if (now.course_deg === null) {
    context.arc(0, 0, 9, 0, 7);
  } else {
    context.moveTo(0, -15);
    context.lineTo(11, 12);
    context.lineTo(0, 6);
    context.lineTo(-11, 12);
    context.closePath();
  }
  context.fillStyle = ink("--needle");
  context.fill();
  stroke(ink("--panel"), 2.5);
  context.restore();
}

function drawBar(metres, zoom, height, ink, font) {
  const [x, y, length] = [16, height - 16, metres * zoom];
  context.beginPath();
  context.moveTo(x, y - 7);
  context.lineTo(x, y);
  context.lineTo(x + length, y);
  context.lineTo(x + length, y - 7);
  context.lineJoin = "miter";
  stroke(ink("--panel"), 7);
  stroke(ink("--ink"), 3);
  font(700, 15);
  label(metres < 1000 ? `${metres} m` : `${metres / 1000} km`, x + length / 2, y - 9, ink);
}

function drawNorth(width, ink, font) {
  const x = width - 26;
  context.beginPath();
  context.moveTo(x, 12);
  context.lineTo(x + 9, 38);
  context.lineTo(x, 32);
  context.lineTo(x - 9, 38);
  context.closePath();
  context.fillStyle = ink("--ink");
  context.fill();
  font(800, 15);
  label("N", x, 54, ink);
}

/** In words, for those who do not see it; not so often that they hear of nothing else. */
function describe(words) {
  if (performance.now() < described + DESCRIBED_MS) return;
  described = performance.now();
  canvas.setAttribute("aria-label", words);
}

new ResizeObserver(draw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
