// The page: what its data says, in its places.

import { drawBars } from "./bars.js";
import { dialsOf } from "./dials.js";
import { steerByMoments } from "./gestures.js";
import { drawNoise } from "./noise.js";
import { drawPlan } from "./plan.js";
import { Player } from "./player.js";
import { Plot } from "./plot.js";
import { Pose, arraysOf } from "./series.js";
import { begin, here, isWhole, onView, view, whole, zoom } from "./view.js";
import { moment, say } from "./words.js";

const data = JSON.parse(document.getElementById("data").textContent);
const arrays = arraysOf(data.arrays);
const at = (id) => document.getElementById(id);

begin(data.first, data.last);
const player = new Player();
steerByMoments(player.seek);

for (const figure of document.querySelectorAll(".over-time")) {
  new Plot(figure, data.plots[Number(figure.dataset.plot)], arrays, player);
}
document.querySelectorAll(".histogram").forEach((svg, index) => drawBars(svg, data.bars[index]));
document.querySelectorAll(".allan").forEach((svg, index) => drawNoise(svg, data.noise[index]));
if (data.places !== null) drawPlan(at("plan"), data.places, arrays, player.seek);

if (data.pose !== null) {
  const pose = new Pose(data.pose, arrays);
  const show = dialsOf(at("hud"));
  // Over a picture they tell of that picture, else of what the pointer is at.
  onView(() => show(pose.at(player.screen.classList.contains("playing") ? view.now : here())));
}

onView(() => {
  const long = view.last - view.first > 120;
  const step = (view.to - view.from) / 1000;
  const [from, to] = [moment(view.from, step, long), moment(view.to, step, long)];
  say(at("range"), isWhole() ? `All of it: ${moment(data.last - data.first, step, long)}` : `${from} to ${to}`);
  say(at("now"), moment(view.now, 0.001, long));
});

const middle = () => (view.now >= view.from && view.now <= view.to ? view.now : (view.from + view.to) / 2);
at("in").addEventListener("click", () => zoom(0.5, middle()));
at("out").addEventListener("click", () => zoom(2, middle()));
at("whole").addEventListener("click", whole);
