// What is under review: the sheet, what is selected, and what the model says. Every change goes through `commit`,
// is shown at once, and sent to the server in order; the server has it on the disk before it answers.

import { ask, askBytes, tell } from "./api.js";
import { Sheet, fromJson, inverse, toJson } from "./sheet.js";

export class Review extends EventTarget {
  constructor() {
    super();
    this.status = {};
    this.selected = null; // {tier, mark}
    this.lane = 0;
    this.preview = null; // a change that is shown and not made
    this.drag = null; // {tier, mark, begin, end}: how a mark is being moved
    this.curves = null; // {borders, byClass: Map of Float32Array, thresholds: Map}
    this.sound = null;
    this.queue = Promise.resolve();
    this.waiting = 0;
    this.sent = 0;
  }

  async load() {
    const state = await ask("/api/state");
    this.video = state.video;
    this.duration = Math.max(1, Math.round(state.video.duration * 1000));
    this.origin = state.origin;
    this.annotated = state.annotated;
    const reviewed = { name: "Reviewed", human: state.annotated, predicted: null, reviewed: true, fixed: false };
    const added = (this.lanes ?? []).filter((lane) => lane.own);
    this.lanes = [reviewed, ...state.lanes];
    this.lanes.push(...added.filter((lane) => !this.lanes.some((each) => each.human === lane.human)));
    this.sheet = new Sheet(state.tiers);
    this.file = state.file;
    this.preview = this.drag = null;
    if (this.selected && !this.sheet.marks(this.selected.tier).some((mark) => mark === this.selected.mark)) this.selected = null;
    this.lane = Math.min(this.lane, this.lanes.length - 1) || Math.min(1, this.lanes.length - 1);
    this.take(state);
    this.say("loaded");
  }

  say(what) {
    this.dispatchEvent(new CustomEvent(what));
    if (what !== "status") this.dispatchEvent(new CustomEvent("draw"));
  }

  take(status) {
    Object.assign(this.status, status);
    this.say("status");
  }

  // One request after the other, each with the revision that the one before left.
  send(path, content = {}) {
    this.waiting += 1;
    this.sent += 1;
    this.say("status");
    const sent = this.queue.then(() => tell(path, { revision: this.status.revision, ...content()}));
    const done = sent.then((answer) => { this.take(answer); return answer; });
    this.queue = done.catch(() => {}).finally(() => { this.waiting -= 1; this.say("status"); });
    return done;
  }

  async commit(change) {
    this.drop();
    if (!change || (!change.removed.length && !change.added.length)) return;
    this.sheet.apply(change);
    const [tier, mark] = change.added.at(-1) ?? [];
    const wasSelected = this.selected && change.removed.some(([, each]) => each === this.selected.mark);
    if (mark && change.select !== false) this.selected = { tier, mark };
    else if (wasSelected) this.selected = null;
    this.say("changed");
    try {
      await this.send("/api/edit", () => toJson(change));
    } catch (error) {
      await this.load();
      throw error;
    }
  }

  async step(name) {
    this.drop();
    const answer = await this.send(`/api/${name}`, () => ({}));
    const change = fromJson(answer.change);
    this.sheet.apply(change);
    const [tier, mark] = change.added.at(-1) ?? [];
    this.selected = mark && change.added.length === 1 ? { tier, mark } : null;
    if (this.selected) this.lane = this.laneOf(tier);
    this.say("changed");
    return change;
  }

  async save() {
    this.drop();
    await this.send("/api/save", () => ({}));
  }

  // Show a change without making it; the one shown before is taken back.
  show(change) {
    this.drop();
    this.sheet.apply(change);
    this.preview = change;
    this.selected = null;
    this.say("changed");
  }

  drop() {
    if (!this.preview) return;
    this.sheet.apply(inverse(this.preview));
    this.preview = null;
  }

  select(tier, mark) {
    this.selected = mark ? { tier, mark } : null;
    if (mark) this.lane = this.laneOf(tier);
    this.say("selected");
  }

  chooseLane(index) {
    this.lane = Math.max(0, Math.min(index, this.lanes.length - 1));
    this.say("selected");
  }

  laneOf(tier) {
    return Math.max(0, this.lanes.findIndex((lane) => lane.human === tier || lane.predicted === tier));
  }

  isPredicted(tier) {
    return this.lanes.some((lane) => lane.predicted === tier);
  }

  isReviewed(mark) {
    const stretch = this.sheet.at(this.annotated, (mark.begin + mark.end) / 2);
    return stretch !== null;
  }

  // Predictions that nobody has decided on: outside the reviewed stretches, by time.
  undecided() {
    const found = [];
    for (const lane of this.lanes) {
      if (!lane.predicted) continue;
      for (const mark of this.sheet.marks(lane.predicted)) {
        if (!this.isReviewed(mark)) found.push({ tier: lane.predicted, mark, lane });
      }
    }
    return found.sort((a, b) => a.mark.begin - b.mark.begin);
  }

  // How far a prediction's probability is from the threshold: 0 is least sure.
  margin({ lane, mark }) {
    const sure = mark.confidence ?? this.meanOf(lane.name, mark);
    return sure === null ? Infinity : Math.abs(sure - (this.curves?.thresholds.get(lane.name) ?? 0.5));
  }

  meanOf(name, mark) {
    const curve = this.curves?.byClass.get(name);
    if (!curve) return null;
    const borders = this.curves.borders;
    let sum = 0, count = 0;
    for (let clip = this.clipAt(mark.begin + 1); clip < curve.length && borders[clip] * 1000 < mark.end; clip += 1) {
      sum += curve[clip];
      count += 1;
    }
    return count ? sum / count : null;
  }

  clipAt(time) {
    const borders = this.curves.borders, seconds = time / 1000;
    let low = 0, high = borders.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (borders[middle] <= seconds) low = middle; else high = middle - 1;
    }
    return low;
  }

  async loadCurves(described) {
    const values = new Float32Array(await askBytes("/api/curves"));
    const clips = (values.length - 1) / (described.classes.length + 1);
    const borders = values.subarray(0, clips + 1);
    const byClass = new Map(described.classes.map((name, index) => {
      const first = clips + 1 + index * clips;
      return [name, values.subarray(first, first + clips)];
    }));
    const thresholds = new Map(described.classes.map((name, index) => [name, described.thresholds[index]]));
    this.curves = { borders, byClass, thresholds, own: new Map(thresholds) };
    this.say("curves");
  }

  async loadSound() {
    const pairs = new Int8Array(await askBytes("/api/sound"));
    this.sound = pyramid(pairs);
    this.say("draw");
  }
}

// Lowest and highest values of hundredths of a second, then of eight of these, and so on.
function pyramid(pairs) {
  const levels = [{ pairs, milliseconds: 10 }];
  while (levels.at(-1).pairs.length > 4096) {
    const { pairs: fine, milliseconds } = levels.at(-1);
    const coarse = new Int8Array(2 * Math.ceil(fine.length / 16));
    for (let place = 0; place < fine.length; place += 2) {
      const target = (place >> 4) << 1;
      coarse[target] = Math.min(coarse[target], fine[place]);
      coarse[target + 1] = Math.max(coarse[target + 1], fine[place + 1]);
    }
    levels.push({ pairs: coarse, milliseconds: milliseconds * 8 });
  }
  return levels;
}
