// The page: puts its parts together, and says what each key and button does.

import { ask } from "./api.js";
import { askForText, askInDialog, element } from "./dialogs.js";
import * as edits from "./edits.js";
import { Keys } from "./keys.js";
import { Learning } from "./learning.js";
import { readColours } from "./paint.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { Review } from "./review.js";
import { Thresholds } from "./thresholds.js";
import { Timeline } from "./timeline.js";
import { clock } from "./view.js";

const $ = (name) => document.getElementById(name);
const review = new Review();
const player = new Player($("video"));
let timeline, panel, thresholds, learning;

let toastEnds = 0;

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

// Take what a function of edits.js gives: a change to be made, or a text to be said.
async function act(result) {
  if (typeof result === "string") { toast(result); return false; }
  if (!result) return false;
  try {
    await review.commit(result);
    $("spoken").textContent = result.label;
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

const withSelection = (edit) => () => {
  if (review.selected) return act(edit(review, review.selected));
  toast("Select a segment first: N goes to the next prediction.");
  return false;
};

function goTo(found) {
  if (!found) { toast("All predictions are decided on."); return; }
  review.select(found.tier, found.mark);
  timeline.view.reveal(found.mark.begin, found.mark.end);
  player.seek(found.mark.begin);
  const lane = review.lanes[review.laneOf(found.tier)];
  $("spoken").textContent = `${lane.name}, ${clock(found.mark.begin, 1)} to ${clock(found.mark.end, 1)}`;
}

function next(direction) {
  const left = review.undecided().filter((each) => each.mark !== review.selected?.mark);
  const here = review.selected?.mark.begin ?? player.time - 0.5;
  const ahead = direction > 0 ? left.find(({ mark }) => mark.begin >= here) : left.findLast(({ mark }) => mark.begin <= here);
  goTo(ahead ?? (direction > 0 ? left[0] : left.at(-1)));
}

// Decide on the selected prediction, and go on to the next without waiting for the server.
function decide(edit) {
  if (!review.selected || !review.isPredicted(review.selected.tier)) return withSelection(edit)();
  const from = review.selected.mark, change = edit(review, review.selected);
  if (typeof change === "string") return act(change);
  const sent = act({ ...change, select: false });
  const left = review.undecided();
  if (left.length) goTo(left.find(({ mark }) => mark.begin >= from.begin) ?? left[0]);
  return sent;
}

function segment(direction) {
  const lane = review.lanes[review.lane];
  const all = [lane.human, lane.predicted].filter(Boolean)
    .flatMap((tier) => review.sheet.marks(tier).map((mark) => ({ tier, mark })))
    .sort((a, b) => a.mark.begin - b.mark.begin);
  const place = all.findIndex(({ mark }) => mark === review.selected?.mark);
  const here = player.time;
  const found = place >= 0 ? all[place + direction]
    : direction > 0 ? all.find(({ mark }) => mark.begin >= here) : all.findLast(({ mark }) => mark.end <= here);
  if (found) goTo(found);
}

async function step(name) {
  try {
    const change = await review.step(name);
    $("spoken").textContent = `${name === "undo" ? "Undone" : "Done again"}: ${change.label}`;
    const [, mark] = change.added.at(-1) ?? change.removed.at(-1) ?? [];
    if (mark) timeline.view.reveal(mark.begin, mark.end);
  } catch (error) {
    toast(error.message);
    if (error.status === 409) await review.load();
  }
}

async function save() {
  if (review.status.saved && !review.waiting) return;
  try {
    await review.save();
    $("spoken").textContent = "Saved";
  } catch (error) {
    if (error.status === 409) await poll();
    else toast(error.message);
  }
}

async function saveAs() {
  const name = await askForText("Save as", "In the same folder, under a new name:", "File name", review.file.replace(/\.eaf$/i, "-mine.eaf"));
  if (!name) return;
  try {
    await review.send("/api/save-as", () => ({ name }));
    await review.load();
    showFile();
  } catch (error) {
    toast(error.message);
  }
}

async function reload() {
  try {
    const answer = await review.send("/api/reload", () => ({}));
    review.selected = null;
    await review.load();
    toast(answer.kept ? `Reloaded. What you had not saved is in ${answer.kept}.` : "Reloaded.");
  } catch (error) {
    toast(error.message);
  }
}

// What stands in the way of saving.
function showObstacle({ changed_on_disk: changed, writable }) {
  const text = changed
    ? `${review.file} was changed by another program since it was opened here. It is not written over: `
      + "take it as it is now (what you have not saved is put into a file beside it), or save yours under another name."
    : writable ? "" : `${review.file} is write-protected. Allow writing, or save under another name.`;
  if ($("banner-text").textContent === text) return;
  $("banner-text").textContent = text;
  $("banner").hidden = !text;
  const choices = [["Reload it", reload], ["Save mine as …", saveAs]].slice(changed ? 0 : 1);
  const buttons = choices.map(([text, action]) => {
    const button = element("button", text, { type: "button" });
    button.addEventListener("click", action);
    return button;
  });
  $("banner-actions").replaceChildren(...buttons);
}

async function addLane() {
  const name = await askForText("Another gesture", "A lane for a gesture that has none yet:", "Name", "");
  if (!name) return;
  if (review.lanes.some((lane) => lane.name.toLowerCase() === name.toLowerCase())) { toast("There is a lane of that name."); return; }
  review.lanes.push({ name, human: name, predicted: null, fixed: false, own: true });
  review.lane = review.lanes.length - 1;
  review.say("loaded");
}

const actions = {
  play: () => player.toggle(),
  playSelection: () => { if (review.selected) timeline.playSelection(); },
  step: (count) => { player.step(count); timeline.view.reveal(player.time); },
  skip: (by) => { player.seek(by === -Infinity ? 0 : player.time + by); timeline.view.reveal(player.time); },
  next,
  uncertain: () => {
    const left = review.undecided();
    goTo(left.reduce((best, each) => (!best || review.margin(each) < review.margin(best) ? each : best), null));
  },
  accept: () => decide(edits.accept),
  reject: () => decide(edits.reject),
  mark: () => act(edits.reviewedUpTo(review, player.time)),
  lane: (by) => review.chooseLane(review.lane + by),
  segment,
  create: () => act(edits.add(review, review.lanes[review.lane], player.time, player.time + 1000)),
  border: (which) => withSelection((_, selected) => {
    const { begin, end } = selected.mark, here = Math.round(player.time);
    if (which === "begin" ? here >= end : here <= begin) return "The end must come after the beginning.";
    return which === "begin" ? edits.move(review, selected, here, end) : edits.move(review, selected, begin, here);
  })(),
  nudge: (frames) => withSelection((_, selected) => {
    const by = Math.round(frames * player.interval);
    return edits.move(review, selected, selected.mark.begin + by, selected.mark.end + by);
  })(),
  relabel: () => { if (review.selected) $("gesture").focus(); },
  text: () => { if (review.selected) $("value").select(); },
  remove: withSelection(edits.remove),
  deselect: () => review.select(null, null),
  zoom: (factor) => {
    if (factor === Infinity) timeline.view.set(0, review.duration);
    else timeline.view.zoom(factor, player.time >= timeline.view.from && player.time <= timeline.view.to ? player.time : timeline.view.from + timeline.view.span / 2);
    timeline.dirty = true;
  },
  undo: () => step("undo"),
  redo: () => step("redo"),
  save,
};

function connect() {
  const keys = new Keys(actions);
  const clicks = {
    undo: actions.undo, redo: actions.redo, save, learn: () => learning.ask(), help: () => keys.help(),
    play: actions.play, "previous-frame": () => actions.step(-1), "next-frame": () => actions.step(1),
    accept: actions.accept, reject: actions.reject, delete: actions.remove, previous: () => next(-1), next: () => next(1),
    uncertain: actions.uncertain, mark: actions.mark, "zoom-in": () => actions.zoom(0.5), "zoom-out": () => actions.zoom(2),
    "zoom-all": () => actions.zoom(Infinity), "add-lane": addLane, theme: () => setTheme(theme() === "dark" ? "light" : "dark"),
  };
  for (const [name, action] of Object.entries(clicks)) $(name).addEventListener("click", () => action());
  $("speed").addEventListener("change", () => { player.video.playbackRate = Number($("speed").value); });
  player.addEventListener("playing", () => { $("play").textContent = player.playing ? "Pause" : "Play"; });
  const tick = () => {
    const shown = `${clock(player.time)} / ${clock(review.duration, 0)}`;
    if ($("clock").textContent !== shown) $("clock").textContent = shown;
    requestAnimationFrame(tick);
  };
  tick();
  window.addEventListener("focus", () => poll());
}

const theme = () => document.documentElement.dataset.theme;

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").setAttribute("aria-pressed", String(name === "dark"));
  localStorage.setItem("theme", name);
  readColours();
  review.say("theme");
}

function showFile() {
  $("file-name").textContent = review.video.name;
  document.title = `${review.video.name} · chironomy review`;
  panel.showSaved();
}

let polling = false, opened = false, drawn = false;

// What the program does meanwhile: video, sound, predictions, learning; and whether the file has changed.
async function poll() {
  if (polling) return;
  polling = true;
  try {
    await review.queue;
    const { sent } = review, status = await ask("/api/status");
    if (sent === review.sent && !review.drag && !review.preview) { // nothing was done meanwhile: this is how it is
      if (status.revision !== review.status.revision) await review.load(); // done in another window
      review.take(status);
    }
    showObstacle(status);
    panel.showWorks(status.works);
    await arrived(status);
  } catch (error) {
    toast(error.message);
  }
  polling = false;
}

async function arrived(status) {
  if (status.video_ready && !opened) {
    opened = true;
    $("no-video").hidden = true;
    player.open(review.video.frame_rate).catch((error) => toast(error.message));
  } else if (!status.video_ready) {
    const { video } = status.works;
    $("no-video").hidden = false;
    $("no-video").textContent = video?.state === "failed" ? video.text
      : `A browser cannot play this file. A copy that it can play is being made: ${Math.round((video?.share ?? 0) * 100)} %`;
  }
  if (status.sound_ready && !drawn) {
    drawn = true;
    await review.loadSound();
  }
  if (status.prediction && status.prediction.version !== review.described?.version) {
    const first = !review.described;
    review.described = status.prediction;
    await review.loadCurves(status.prediction);
    if (first && !status.proposed) await thresholds.keepAll();
  }
  await learning.news(status.learned);
}

async function begin() {
  const kept = localStorage.getItem("theme");
  document.documentElement.dataset.theme = kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  history.replaceState(null, "", "/"); // the token stays out of sight
  await review.load();
  player.duration = review.duration;
  timeline = new Timeline(review, player, act);
  panel = new Panel(review, act);
  thresholds = new Thresholds(review, toast);
  learning = new Learning(review, thresholds, toast);
  setTheme(theme());
  if (!kept) localStorage.removeItem("theme");
  connect();
  showFile();
  panel.show();
  document.body.dataset.ready = "true";
  const again = () => poll().finally(() => setTimeout(again, Object.values(review.status.works ?? {}).some((work) => work.state === "running") ? 500 : 3000));
  again();
}

begin().catch((error) => askInDialog("This page cannot be shown", [element("p", error.message)], { close: "Close" }));
