// The clip itself, by a link or from a file, and the moment that it shows.

import { go, view } from "./view.js";

/** Seeks and plays the video of the page; without one, only the moment changes. */
export class Player {
  constructor() {
    this.video = document.querySelector("video");
    this.pick = document.getElementById("pick");
    this.screen = document.querySelector(".screen");
    this.seek = (t) => this.#seek(t);
    this.toggle = () => this.#toggle();
    if (this.video === null) return;
    this.video.addEventListener("error", () => this.#ask());
    this.video.addEventListener("loadedmetadata", () => {
      // A file whose pictures cannot be decoded has none, and may play its sound all the same.
      if (this.video.videoWidth === 0) this.#ask();
      else this.#begin();
    });
    this.pick.querySelector("input").addEventListener("change", ({ target }) => {
      const [file] = target.files;
      if (file === undefined) return;
      URL.revokeObjectURL(this.video.src);
      this.video.src = URL.createObjectURL(file);
    });
    this.#follow();
  }

  #ask() {
    this.screen.classList.remove("playing");
    this.screen.style.aspectRatio = "";
    this.pick.hidden = false;
  }

  #begin() {
    this.screen.style.aspectRatio = `${this.video.videoWidth} / ${this.video.videoHeight}`;
    this.screen.classList.add("playing");
    this.pick.hidden = true;
    this.#seek(view.now);
  }

  /** The moment is that of the frame that is seen, where the browser tells; else of the player. */
  #follow() {
    if ("requestVideoFrameCallback" in this.video) {
      const shown = (_, { mediaTime }) => {
        go(mediaTime);
        this.video.requestVideoFrameCallback(shown);
      };
      this.video.requestVideoFrameCallback(shown);
      return;
    }
    const shown = () => {
      go(this.video.currentTime);
      if (!this.video.paused) requestAnimationFrame(shown);
    };
    for (const name of ["play", "seeked"]) this.video.addEventListener(name, shown);
  }

  #seek(t) {
    go(t);
    if (this.video?.readyState) {
      this.video.currentTime = Math.min(Math.max(t, 0), this.video.duration);
    }
  }

  #toggle() {
    if (!this.video?.readyState) return;
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }
}
