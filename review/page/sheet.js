// The marks of all tiers, sorted. A mark is {begin, end, value, confidence}, in milliseconds of the video.

export class Sheet {
  constructor(tiers) {
    this.tiers = new Map(Object.entries(tiers).map(([name, rows]) => [name, rows.map(fromRow)]));
  }

  marks(tier) {
    return this.tiers.get(tier) ?? [];
  }

  // Index of the first mark that ends after a time; the marks of a tier do not overlap.
  firstEndingAfter(tier, time) {
    const marks = this.marks(tier);
    let low = 0, high = marks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (marks[middle].end > time) high = middle; else low = middle + 1;
    }
    return low;
  }

  // The mark at a time, if there is one.
  at(tier, time) {
    const mark = this.marks(tier)[this.firstEndingAfter(tier, time)];
    return mark && mark.begin <= time ? mark : null;
  }

  // The free room around a time, but for one mark: [from, to].
  room(tier, time, except = null) {
    let from = -Infinity, to = Infinity;
    for (const mark of this.marks(tier)) {
      if (mark === except) continue;
      if (mark.end <= time) from = Math.max(from, mark.end);
      else if (mark.begin >= time) { to = mark.begin; break; }
      else return null;
    }
    return [from, to];
  }

  apply(change) {
    for (const [tier, mark] of change.removed) {
      const marks = this.tiers.get(tier) ?? [];
      const place = marks.findIndex((each) => same(each, mark));
      if (place >= 0) marks.splice(place, 1);
    }
    const touched = new Set();
    for (const [tier, mark] of change.added) {
      if (!this.tiers.has(tier)) this.tiers.set(tier, []);
      this.tiers.get(tier).push(mark);
      touched.add(tier);
    }
    for (const tier of touched) this.tiers.get(tier).sort((a, b) => a.begin - b.begin || a.end - b.end);
  }
}

export function fromRow([begin, end, value, confidence]) {
  return { begin, end, value, confidence: confidence ?? null };
}

export function same(a, b) {
  return a.begin === b.begin && a.end === b.end && a.value === b.value;
}

export function inverse(change) {
  return { label: change.label, removed: change.added, added: change.removed };
}

export function toJson(change) {
  const rows = (marks) => marks.map(([tier, mark]) => [tier, mark.begin, mark.end, mark.value, mark.confidence]);
  return { label: change.label, removed: rows(change.removed), added: rows(change.added) };
}

export function fromJson(change) {
  const marks = (rows) => rows.map(([tier, ...rest]) => [tier, fromRow(rest)]);
  return { label: change.label, removed: marks(change.removed), added: marks(change.added) };
}
