// What can be done to marks: each function returns the change, or a text that says why not.
//
// A predicted mark that is accepted, moved or renamed becomes an annotation of the gesture's own tier: what a
// person has touched is theirs, and no later prediction replaces it.

const LEAST = 10; // milliseconds that a mark lasts

function named(review, tier) {
  return review.lanes[review.laneOf(tier)].name;
}

// The parts of a stretch of time that are free on a tier.
function free(review, tier, begin, end) {
  const parts = [];
  let from = begin;
  const marks = review.sheet.marks(tier);
  for (let place = review.sheet.firstEndingAfter(tier, begin); place < marks.length && marks[place].begin < end; place += 1) {
    if (marks[place].begin > from) parts.push([from, marks[place].begin]);
    from = Math.max(from, marks[place].end);
  }
  if (from < end) parts.push([from, end]);
  return parts;
}

function human(review, tier) {
  return review.lanes[review.laneOf(tier)].human;
}

function fixed(review, tier) {
  return review.lanes[review.laneOf(tier)].fixed ? "This tier depends on another one; change it in ELAN." : null;
}

export function accept(review, { tier, mark }) {
  if (!review.isPredicted(tier)) return "This is an annotation already.";
  const own = human(review, tier);
  if (fixed(review, own)) return fixed(review, own);
  const added = free(review, own, mark.begin, mark.end)
    .map(([begin, end]) => [own, { begin, end, value: mark.value, confidence: null }]);
  return { label: `Accept ${named(review, tier)}`, removed: [[tier, mark]], added };
}

export function reject(review, { tier, mark }) {
  if (!review.isPredicted(tier)) return "Only predictions can be rejected; delete this annotation instead.";
  return { label: `Reject ${named(review, tier)}`, removed: [[tier, mark]], added: [] };
}

export function remove(review, { tier, mark }) {
  if (fixed(review, tier)) return fixed(review, tier);
  return { label: `Delete ${named(review, tier)}`, removed: [[tier, mark]], added: [] };
}

// Other times: kept between the neighbours, within the video, and a hundredth of a second long at least.
export function clamped(review, { tier, mark }, begin, end) {
  const own = review.isPredicted(tier) ? human(review, tier) : tier;
  const room = review.sheet.room(own, Math.round((begin + end) / 2), mark);
  if (!room) return null;
  const first = Math.max(room[0], review.origin, 0), last = Math.min(room[1], review.duration);
  const length = end - begin;
  const moved = length === mark.end - mark.begin;
  let from = Math.max(Math.round(begin), first), to = Math.min(Math.round(end), last);
  if (moved && to - from < length) {
    if (from > begin) to = Math.min(from + length, last); else from = Math.max(to - length, first);
  }
  return to - from < LEAST ? null : [from, to];
}

export function move(review, selected, begin, end) {
  const { tier, mark } = selected;
  const own = review.isPredicted(tier) ? human(review, tier) : tier;
  if (fixed(review, own)) return fixed(review, own);
  const times = clamped(review, selected, begin, end);
  if (!times) return "There is no room for it there.";
  if (times[0] === mark.begin && times[1] === mark.end) return null;
  const added = [[own, { ...mark, begin: times[0], end: times[1], confidence: null }]];
  return { label: `Move ${named(review, tier)}`, removed: [[tier, mark]], added };
}

export function rewrite(review, { tier, mark }, value) {
  if (value === mark.value) return null;
  const own = review.isPredicted(tier) ? human(review, tier) : tier;
  if (fixed(review, own)) return fixed(review, own);
  if (own !== tier && free(review, own, mark.begin, mark.end).flat().length !== 2) return "There is an annotation there already.";
  return { label: "Change text", removed: [[tier, mark]], added: [[own, { ...mark, value, confidence: null }]] };
}

// Another gesture: onto its tier. A text that is the gesture's name changes with it.
export function relabel(review, { tier, mark }, lane) {
  if (lane.fixed) return fixed(review, lane.human);
  const before = review.lanes[review.laneOf(tier)];
  if (lane === before) return null;
  const parts = free(review, lane.human, mark.begin, mark.end);
  if (!parts.length) return `${lane.name} is annotated there already.`;
  const value = mark.value.toLowerCase() === before.name.toLowerCase() ? lane.name : mark.value;
  const added = parts.map(([begin, end]) => [lane.human, { begin, end, value, confidence: null }]);
  return { label: `${before.name} becomes ${lane.name}`, removed: [[tier, mark]], added };
}

export function add(review, lane, begin, end) {
  if (lane.fixed) return fixed(review, lane.human);
  const room = review.sheet.room(lane.human, begin);
  if (!room) return `${lane.name} is annotated there already.`;
  const from = Math.round(Math.max(begin, room[0], review.origin, 0)), to = Math.round(Math.min(end, room[1], review.duration));
  if (to - from < LEAST) return "There is no room for it there.";
  if (lane.reviewed) return reviewed(review, from, to);
  return { label: `Add ${lane.name}`, removed: [], added: [[lane.human, { begin: from, end: to, value: lane.name, confidence: null }]] };
}

// Mark a stretch as reviewed; with those that it touches it becomes one.
export function reviewed(review, begin, end) {
  const tier = review.annotated;
  const touching = review.sheet.marks(tier).filter((mark) => mark.begin <= end && mark.end >= begin);
  const from = Math.min(begin, ...touching.map((mark) => mark.begin));
  const to = Math.max(end, ...touching.map((mark) => mark.end));
  if (touching.length === 1 && touching[0].begin === from && touching[0].end === to) return "It is marked as reviewed already.";
  const added = [[tier, { begin: from, end: to, value: touching[0]?.value ?? "", confidence: null }]];
  return { label: "Mark as reviewed", removed: touching.map((mark) => [tier, mark]), added, select: false };
}

// From the end of the reviewed stretch before a time to that time.
export function reviewedUpTo(review, time) {
  const before = review.sheet.marks(review.annotated).filter((mark) => mark.end <= time).at(-1);
  if (review.sheet.at(review.annotated, time)) return "It is marked as reviewed already.";
  const begin = Math.max(before ? before.end : 0, review.origin);
  return time - begin < LEAST ? "Move on first: what lies before is marked." : reviewed(review, begin, Math.round(time));
}
