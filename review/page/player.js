// The video: playing, seeking, and stepping from frame to frame on the frames' own times.

import { askBytes } from "./api.js";

export class Player extends EventTarget {
  constructor(video) {
    super();
    this.video = video;
    this.duration = 0;
    this.frames = null; // milliseconds at which each frame is shown
    this.interval = 40;
    this.exact = 0; // where we are while nothing plays, whether or not there is a video yet
    this.until = null;
    video.addEventListener("seeked", () => this.moved());
    video.addEventListener("play", () => this.dispatchEvent(new Event("playing")));
    video.addEventListener("pause", () => { this.exact = this.video.currentTime * 1000; this.dispatchEvent(new Event("playing")); });
    video.addEventListener("loadeddata", () => this.place(this.exact));
  }

  async open(rate) {
    this.interval = rate > 0 ? 1000 / rate : 40;
    this.video.src = "/video";
    this.frames = new Float64Array(await askBytes("/api/frames")).map((seconds) => seconds * 1000);
  }

  get playing() {
    return !this.video.paused && !this.video.ended;
  }

  get time() {
    return this.playing ? this.video.currentTime * 1000 : this.exact;
  }

  moved() {
    this.dispatchEvent(new Event("moved"));
  }

  place(milliseconds) {
    if (this.video.readyState > 0) this.video.currentTime = milliseconds / 1000;
  }

  seek(milliseconds) {
    this.exact = Math.max(0, Math.min(milliseconds, this.duration));
    this.until = null;
    this.place(this.exact);
    this.moved();
  }

  toggle() {
    if (this.playing) this.video.pause();
    else if (this.video.readyState > 0) this.video.play().catch(() => {});
  }

  // Play a stretch, and stop at its end.
  stretch(begin, end) {
    this.seek(begin);
    this.until = end;
    if (!this.playing) this.toggle();
  }

  // Called for every picture drawn while it plays.
  tick() {
    if (this.until !== null && this.playing && this.time >= this.until) {
      const end = this.until;
      this.video.pause();
      this.seek(end);
    }
  }

  frameAt(milliseconds) {
    let low = 0, high = this.frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.frames[middle] <= milliseconds + 0.5) low = middle; else high = middle - 1;
    }
    return low;
  }

  step(count) {
    if (this.playing) this.video.pause();
    if (!this.frames?.length) {
      this.seek(this.exact + count * this.interval);
      return;
    }
    const last = this.frames.length - 1;
    const frame = Math.max(0, Math.min(this.frameAt(this.exact) + count, last));
    const begin = this.frames[frame], end = frame < last ? this.frames[frame + 1] : begin + this.interval;
    this.exact = begin;
    this.until = null;
    this.place((begin + end) / 2); // its middle: no rounding shows the one before
    this.moved();
  }
}
