// Drawing: lanes, overview, waveform. Only what is in sight is drawn, and nothing twice into one pixel.

import { fillSteps, outlineSteps, stepsOf } from "./curves.js";
import { clock, ticks } from "./view.js";

export const HEIGHTS = { reviewed: 30, human: 34, both: 64 };
const FONT = "12px system-ui, 'Segoe UI', Roboto, sans-serif";
const colours = {};

// The style sheet's colours, read anew when the theme changes.
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "paper", "raised", "line", "strong", "ink", "quiet", "human", "on-human", "predicted",
    "predicted-wash", "curve", "reviewed", "reviewed-wash", "wave", "focus", "playhead"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colours.hatch = null;
}

// Fit a canvas to where it stands, in the screen's own pixels.
export function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = "middle";
  return context;
}

export function laneHeight(lane) {
  if (lane.reviewed) return HEIGHTS.reviewed;
  return lane.predicted ? HEIGHTS.both : HEIGHTS.human;
}

// Where a tier's marks are drawn within its lane: [top, height].
export function strip(lane, tier) {
  if (lane.reviewed) return [4, HEIGHTS.reviewed - 8];
  if (tier === lane.predicted) return [31, 28];
  return [5, lane.predicted ? 22 : HEIGHTS.human - 10];
}

export function paintLanes(context, review, view, tops, scroll, height) {
  const width = view.width;
  paintReviewed(context, review, view, height);
  context.fillStyle = colours.line;
  for (const time of ticks(view, 90).times) context.fillRect(Math.round(view.x(time)), 0, 1, height);
  review.lanes.forEach((lane, index) => {
    const top = tops[index] - scroll, tall = laneHeight(lane);
    if (top + tall < 0 || top > height) return;
    if (index === review.lane) {
      context.globalAlpha = 0.55;
      context.fillStyle = colours.ground;
      context.fillRect(0, top, width, tall);
      context.globalAlpha = 1;
    }
    if (lane.predicted) {
      const curve = stepsOf(review, view, lane, top + 31, 28);
      if (curve) fillCurve(context, curve, top + 59);
      paintMarks(context, review, view, lane, lane.predicted, top);
      if (curve) paintLevel(context, review, view, lane, curve, top + 31, 28);
    }
    paintMarks(context, review, view, lane, lane.human, top);
    context.fillStyle = colours.line;
    context.fillRect(0, top + tall - 1, width, 1);
  });
  paintSelection(context, review, view, tops, scroll);
}

function paintReviewed(context, review, view, height) {
  context.fillStyle = colours["reviewed-wash"];
  eachRun(review.sheet, review.annotated, view, (x, width) => context.fillRect(x, 0, width, height));
}

// Call `draw(x, width, mark)` for the marks in sight; of those that share a pixel, for one.
function eachRun(sheet, tier, view, draw, except = null) {
  const marks = sheet.marks(tier);
  let filled = -Infinity;
  for (let place = sheet.firstEndingAfter(tier, view.from); place < marks.length && marks[place].begin < view.to; place += 1) {
    const mark = marks[place];
    if (mark === except) continue;
    const x = Math.max(-4, view.x(mark.begin)), end = Math.min(view.width + 4, view.x(mark.end));
    if (end <= filled) continue;
    const begin = Math.max(x, filled);
    const width = Math.max(1, end - begin);
    filled = Math.ceil(begin + width - 0.5);
    draw(begin, width, mark);
  }
}

function paintMarks(context, review, view, lane, tier, top) {
  const [offset, tall] = strip(lane, tier);
  const y = top + offset, predicted = tier === lane.predicted;
  const colour = lane.reviewed ? colours.reviewed : predicted ? colours.predicted : colours.human;
  const narrow = [], wide = new Path2D(), outlines = new Path2D(), texts = [];
  const dragged = review.drag?.tier === tier ? review.drag.mark : null;
  eachRun(review.sheet, tier, view, (x, width, mark) => {
    if (width < 5) narrow.push(x, Math.max(1, width - 0.4));
    else if (predicted) { // a pixel of paper between neighbours
      wide.rect(x, y, width - 1, tall);
      outlines.rect(x + 0.75, y + 0.75, width - 2.5, tall - 1.5);
    } else wide.roundRect(x, y, width - 1, tall, Math.min(4, width / 2));
    if (width > 34) texts.push([x, width, mark]);
  }, dragged);
  context.fillStyle = colour;
  for (let place = 0; place < narrow.length; place += 2) context.fillRect(narrow[place], y, narrow[place + 1], tall);
  context.fillStyle = predicted ? hatch(context) : colour;
  context.fill(wide);
  if (predicted) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.stroke(outlines);
    context.setLineDash([]);
  }
  for (const [x, width, mark] of texts) paintText(context, lane, mark, predicted, x, y + tall / 2, width);
}

function paintText(context, lane, mark, predicted, x, y, width) {
  let text = mark.value.toLowerCase() === lane.name.toLowerCase() ? "" : mark.value; // the lane says it
  if (predicted) text = mark.confidence === null ? "" : mark.confidence.toFixed(2);
  else if (lane.reviewed && !text) text = "✓ reviewed";
  text = shortened(context, text, width - 14);
  if (!text) return;
  if (predicted) {
    context.fillStyle = colours.paper;
    rounded(context, x + 4, y - 9, context.measureText(text).width + 8, 18);
  }
  context.fillStyle = predicted ? colours.predicted : colours["on-human"];
  if (lane.reviewed) context.fillStyle = colours.paper;
  context.fillText(text, x + (predicted ? 8 : 6), y + 0.5);
}

const widths = new Map();

// As much of a text as fits into a width; nothing if that is less than three letters.
function shortened(context, text, width) {
  if (!widths.has(text)) widths.set(text, context.measureText(text).width);
  if (widths.get(text) <= width) return text;
  const letters = Math.floor(text.length * width / widths.get(text)) - 2;
  return letters < 3 ? "" : `${text.slice(0, letters)}…`;
}

function rounded(context, x, y, width, height) {
  context.beginPath();
  context.roundRect(x, y, width, height, Math.min(4, width / 2));
  context.fill();
}

// Predicted is hatched: told apart without colour too.
function hatch(context) {
  if (!colours.hatch) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = colours["predicted-wash"];
    pen.globalAlpha = 0.75;
    pen.fillRect(0, 0, 8, 8);
    pen.globalAlpha = 0.75;
    pen.strokeStyle = colours.predicted;
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (const shift of [-8, 0, 8]) {
      pen.moveTo(shift, 8);
      pen.lineTo(shift + 8, 0);
    }
    pen.stroke();
    colours.hatch = context.createPattern(tile, "repeat");
  }
  return colours.hatch;
}

function fillCurve(context, curve, bottom) {
  context.fillStyle = colours.curve;
  context.globalAlpha = 0.5;
  fillSteps(context, curve, bottom);
  context.globalAlpha = 1;
}

// Over the predictions: the outline, and the threshold as a dotted line.
function paintLevel(context, review, view, lane, curve, top, tall) {
  context.strokeStyle = context.fillStyle = colours.predicted;
  context.lineWidth = 1;
  context.globalAlpha = 0.7;
  outlineSteps(context, curve);
  context.globalAlpha = 1;
  context.strokeStyle = colours.strong;
  context.setLineDash([2, 4]);
  context.beginPath();
  const level = Math.round(top + tall * (1 - review.curves.thresholds.get(lane.name))) + 0.5;
  context.moveTo(0, level);
  context.lineTo(view.width, level);
  context.stroke();
  context.setLineDash([]);
}

function paintSelection(context, review, view, tops, scroll) {
  const shown = review.drag ?? (review.selected && { ...review.selected, ...review.selected.mark });
  if (!shown) return;
  const index = review.laneOf(shown.tier), lane = review.lanes[index];
  const [offset, tall] = strip(lane, shown.tier);
  const x = view.x(shown.begin), width = Math.max(2, view.x(shown.end) - x), y = tops[index] - scroll + offset;
  if (x > view.width || x + width < 0) return;
  if (review.drag) {
    context.fillStyle = lane.reviewed ? colours.reviewed : colours.human;
    context.globalAlpha = 0.8;
    rounded(context, x, y, width, tall);
    context.globalAlpha = 1;
  }
  context.strokeStyle = colours.focus;
  context.lineWidth = 3;
  context.beginPath();
  context.roundRect(x - 1.5, y - 2, width + 3, tall + 4, 5);
  context.stroke();
  context.fillStyle = colours.focus;
  for (const edge of [x, x + width]) {
    context.beginPath();
    context.roundRect(edge - 3, y + tall / 2 - 8, 6, 16, 3);
    context.fill();
  }
}

export function paintPlayhead(context, view, time, height) {
  const x = Math.round(view.x(time));
  if (x < 0 || x > view.width) return;
  context.fillStyle = colours.playhead;
  context.fillRect(x - 0.75, 0, 1.5, height);
}

// What the overview shows of the recording, which changes with the marks alone.
export function paintWhole(context, review, whole, height) {
  context.fillStyle = colours["reviewed-wash"];
  eachRun(review.sheet, review.annotated, whole, (x, width) => context.fillRect(x, 0, width, height));
  context.fillStyle = colours.reviewed;
  eachRun(review.sheet, review.annotated, whole, (x, width) => context.fillRect(x, height - 3, width, 3));
  context.globalAlpha = 0.55;
  for (const lane of review.lanes.slice(1)) {
    context.fillStyle = colours.human;
    eachRun(review.sheet, lane.human, whole, (x, width) => context.fillRect(x, 4, width, 8));
    context.fillStyle = colours.predicted;
    if (lane.predicted) eachRun(review.sheet, lane.predicted, whole, (x, width) => context.fillRect(x, 14, width, 8));
  }
  context.globalAlpha = 1;
}

export function paintOverview(context, picture, view, whole, time, height) {
  context.drawImage(picture, 0, 0, whole.width, height);
  const x = whole.x(view.from), width = Math.max(4, whole.x(view.to) - x);
  context.strokeStyle = colours.focus;
  context.lineWidth = 2;
  context.strokeRect(x + 1, 1, Math.max(2, width - 2), height - 3);
  paintPlayhead(context, whole, time, height);
}

export function paintSound(context, review, view, time, height) {
  const { step, times } = ticks(view, 90);
  for (const each of times) {
    const x = Math.round(view.x(each));
    context.fillStyle = colours.line;
    context.fillRect(x, 0, 1, height);
    context.fillStyle = colours.quiet;
    context.fillText(clock(each, step < 1000 ? (step < 100 ? 2 : 1) : 0), x + 4, 9);
  }
  if (review.sound) paintWave(context, review.sound, view, 18, height - 22);
  paintPlayhead(context, view, time, height);
}

function paintWave(context, levels, view, top, tall) {
  const perPixel = view.span / view.width;
  const { pairs, milliseconds } = levels.findLast((level) => level.milliseconds <= Math.max(perPixel, 10)) ?? levels[0];
  const middle = top + tall / 2, path = new Path2D();
  for (let x = 0; x < view.width; x += 1) {
    const first = Math.floor(view.time(x) / milliseconds), last = Math.max(first + 1, Math.ceil(view.time(x + 1) / milliseconds));
    let low = 0, high = 0;
    for (let place = first; place < last && 2 * place < pairs.length; place += 1) {
      low = Math.min(low, pairs[2 * place]);
      high = Math.max(high, pairs[2 * place + 1]);
    }
    const above = high / 127 * tall / 2, below = -low / 127 * tall / 2;
    path.rect(x, middle - above, 1, Math.max(1, above + below));
  }
  context.fillStyle = colours.wave;
  context.fill(path);
}
