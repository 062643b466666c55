// The timeline: canvases that follow the view, and what the pointer does on them.

import { add, clamped, move } from "./edits.js";
import { fit, laneHeight, paintLanes, paintOverview, paintPlayhead, paintSound, paintWhole, strip } from "./paint.js";
import { View } from "./view.js";

const EDGE = 6; // pixels around a border that take hold of it
const FIRM = 4; // pixels after which a press is a drag

export class Timeline {
  constructor(review, player, say) {
    this.review = review;
    this.player = player;
    this.say = say;
    this.view = new View(review.duration);
    this.view.set(0, Math.min(review.duration, 60000));
    this.canvas = document.getElementById("canvas");
    this.scroller = document.getElementById("lanes");
    this.names = document.getElementById("names");
    this.overview = document.getElementById("overview");
    this.sound = document.getElementById("sound");
    this.dirty = true;
    this.picture = document.createElement("canvas"); // of the whole recording, for the overview
    this.stale = true;
    for (const event of ["loaded", "changed", "theme"]) review.addEventListener(event, () => { this.stale = true; });
    review.addEventListener("draw", () => { this.dirty = true; });
    review.addEventListener("loaded", () => this.arrange());
    review.addEventListener("selected", () => this.markLane());
    review.addEventListener("changed", () => this.markLane());
    player.addEventListener("moved", () => { this.dirty = true; });
    this.scroller.addEventListener("scroll", () => { this.dirty = true; });
    new ResizeObserver(() => { this.dirty = true; }).observe(this.scroller);
    this.listen();
    this.arrange();
    requestAnimationFrame(() => this.frame());
  }

  // Put the lanes' names, as buttons, beside where they are drawn.
  arrange() {
    this.tops = [];
    let top = 0;
    for (const lane of this.review.lanes) {
      this.tops.push(top);
      top += laneHeight(lane);
    }
    this.names.style.height = `${top}px`;
    document.getElementById("rows").style.height = `${top}px`;
    this.names.replaceChildren(...this.review.lanes.map((lane, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = lane.name;
      button.title = lane.member_of ? `${lane.name}, part of ${lane.member_of}` : lane.name;
      button.classList.toggle("member", Boolean(lane.member_of));
      button.style.top = `${this.tops[index]}px`;
      button.style.height = `${laneHeight(lane)}px`;
      button.addEventListener("click", () => this.review.chooseLane(index));
      return button;
    }));
    this.total = top;
    this.markLane();
  }

  markLane() {
    [...this.names.children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === this.review.lane)));
    const top = this.tops[this.review.lane], bottom = top + laneHeight(this.review.lanes[this.review.lane]);
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.scroller.scrollTop = bottom - clientHeight;
    this.dirty = true;
  }

  frame() {
    requestAnimationFrame(() => this.frame());
    this.player.tick();
    if (this.player.playing) this.view.follow(this.player.time);
    if (!this.dirty && !this.player.playing) return;
    this.dirty = false;
    this.paint();
  }

  paint() {
    const { review, view } = this, time = this.player.time;
    const margin = this.names.offsetWidth;
    const width = Math.max(50, this.scroller.clientWidth - margin), height = this.scroller.clientHeight;
    view.width = width;
    const context = fit(this.canvas, width, height);
    paintLanes(context, review, view, this.tops, this.scroller.scrollTop, height);
    paintPlayhead(context, view, time, height);
    const [wide, tall] = [this.overview.clientWidth, 29];
    if (this.stale || this.whole?.width !== wide) {
      this.stale = false;
      this.whole = new View(review.duration);
      this.whole.width = wide;
      paintWhole(fit(this.picture, wide, tall), review, this.whole, tall);
    }
    paintOverview(fit(this.overview, wide, tall), this.picture, view, this.whole, time, tall);
    paintSound(fit(this.sound, width, 64), review, view, time, 64);
    document.body.dataset.painted = String(Number(document.body.dataset.painted ?? 0) + 1);
  }

  listen() {
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("dblclick", () => { if (this.review.selected) this.playSelection(); });
    this.drag(this.sound, (event) => this.player.seek(this.view.time(this.at(event, this.sound))));
    this.drag(this.overview, (event) => {
      const time = this.whole.time(this.at(event, this.overview));
      this.view.set(time - this.view.span / 2, this.view.span);
      this.dirty = true;
    });
    for (const canvas of [this.canvas, this.sound, this.overview]) {
      canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }
  }

  playSelection() {
    const { mark } = this.review.selected;
    this.player.stretch(mark.begin, mark.end);
  }

  at(event, canvas) {
    return event.clientX - canvas.getBoundingClientRect().left;
  }

  wheel(event) {
    const x = this.at(event, this.canvas);
    if (event.ctrlKey || event.metaKey) this.view.zoom(Math.exp(event.deltaY * 0.002), this.view.time(x));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.view.pan((event.deltaX || event.deltaY) * this.view.span / this.view.width);
    } else if (event.currentTarget !== this.canvas) this.view.pan(event.deltaY * this.view.span / this.view.width);
    else return; // the lanes scroll
    event.preventDefault();
    this.dirty = true;
  }

  // Call `act` while the pointer is down on a canvas.
  drag(canvas, act) {
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      act(event);
      const moved = (each) => act(each);
      canvas.addEventListener("pointermove", moved);
      canvas.addEventListener("pointerup", () => canvas.removeEventListener("pointermove", moved), { once: true });
      canvas.addEventListener("pointercancel", () => canvas.removeEventListener("pointermove", moved), { once: true });
    });
  }

  // What is under the pointer: lane, and the mark with the part of it that would be held.
  hit(event) {
    const x = this.at(event, this.canvas);
    const y = event.clientY - this.canvas.getBoundingClientRect().top + this.scroller.scrollTop;
    const index = this.tops.findLastIndex((top) => top <= y);
    const lane = this.review.lanes[index];
    const time = this.view.time(x), slack = EDGE * this.view.span / this.view.width;
    if (!lane || y > this.total) return null;
    for (const tier of [lane.predicted, lane.human]) {
      if (!tier) continue;
      const [top, tall] = strip(lane, tier);
      const inside = y - this.tops[index];
      if (inside < top - 3 || inside > top + tall + 3) continue;
      const marks = this.review.sheet.marks(tier);
      let nearest = null;
      for (let place = this.review.sheet.firstEndingAfter(tier, time - slack); place < marks.length && marks[place].begin <= time + slack; place += 1) {
        const mark = marks[place], chosen = this.review.selected?.mark === mark;
        const outside = Math.max(0, mark.begin - time, time - mark.end);
        if (!nearest || outside < nearest.outside || chosen) nearest = { mark, outside };
        if (chosen) break;
      }
      if (!nearest) continue;
      const { mark } = nearest, reach = Math.min(slack, Math.max((mark.end - mark.begin) / 4, slack / 3));
      const part = Math.abs(time - mark.begin) <= reach || time < mark.begin ? "begin" : Math.abs(time - mark.end) <= reach || time > mark.end ? "end" : "whole";
      return { index, lane, tier, mark, part, time };
    }
    return { index, lane, tier: null, mark: null, part: null, time };
  }

  hover(event) {
    if (event.buttons) return;
    const hit = this.hit(event);
    this.canvas.style.cursor = !hit?.mark ? "text" : hit.part === "whole" ? "grab" : "ew-resize";
  }

  press(event) {
    if (event.button !== 0) return;
    const hit = this.hit(event);
    if (!hit) return;
    this.scroller.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    if (hit.mark) this.review.select(hit.tier, hit.mark);
    else {
      this.review.select(null, null);
      this.review.chooseLane(hit.index);
      this.player.seek(hit.time);
    }
    const start = event.clientX;
    let firm = false, times = null;
    const moved = (each) => {
      firm ||= Math.abs(each.clientX - start) > FIRM;
      if (!firm || hit.lane.fixed) return;
      times = this.dragged(hit, (each.clientX - start) * this.view.span / this.view.width, each.altKey);
      const mark = hit.mark ?? { begin: hit.time, end: hit.time };
      this.review.drag = times && { tier: hit.tier ?? hit.lane.human, mark, begin: times[0], end: times[1] };
      this.dirty = true;
    };
    const done = (each) => {
      this.canvas.removeEventListener("pointermove", moved);
      this.review.drag = null;
      this.dirty = true;
      if (each.type !== "pointerup" || !firm || !times) return;
      if (hit.mark) this.say(move(this.review, hit, ...times));
      else this.say(add(this.review, hit.lane, ...times));
    };
    this.canvas.addEventListener("pointermove", moved);
    this.canvas.addEventListener("pointerup", done, { once: true });
    this.canvas.addEventListener("pointercancel", done, { once: true });
  }

  // The times that a drag leads to; null where there is no room.
  dragged(hit, by, loose) {
    const snap = (time) => {
      const near = 7 * this.view.span / this.view.width;
      return !loose && Math.abs(time - this.player.time) < near ? Math.round(this.player.time) : time;
    };
    if (!hit.mark) {
      const [begin, end] = [hit.time, snap(hit.time + by)].sort((a, b) => a - b);
      const room = this.review.sheet.room(hit.lane.human, hit.time);
      return room && [Math.max(begin, room[0], 0), Math.min(end, room[1], this.review.duration)];
    }
    const { begin, end } = hit.mark;
    if (hit.part === "begin") return clamped(this.review, hit, Math.min(snap(begin + by), end - 20), end);
    if (hit.part === "end") return clamped(this.review, hit, begin, Math.max(snap(end + by), begin + 20));
    return clamped(this.review, hit, Math.round(begin + by), Math.round(begin + by) + end - begin);
  }
}
