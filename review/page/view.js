// Which stretch of the recording is shown, and how wide.

export class View {
  constructor(duration) {
    this.duration = duration;
    this.width = 800;
    this.from = 0;
    this.span = duration;
  }

  get to() {
    return this.from + this.span;
  }

  x(time) {
    return (time - this.from) * this.width / this.span;
  }

  time(x) {
    return this.from + x * this.span / this.width;
  }

  set(from, span) {
    this.span = Math.max(Math.min(200, this.duration), Math.min(span, this.duration));
    this.from = Math.max(0, Math.min(from, this.duration - this.span));
  }

  zoom(factor, around) {
    const share = (around - this.from) / this.span;
    const span = Math.max(Math.min(200, this.duration), Math.min(this.span * factor, this.duration));
    this.set(around - share * span, span);
  }

  pan(milliseconds) {
    this.set(this.from + milliseconds, this.span);
  }

  // Bring a time into sight, with some of what is around it.
  reveal(begin, end = begin) {
    if (end - begin > this.span * 0.9) this.set(begin - (end - begin) * 0.1, (end - begin) * 1.2);
    else if (begin < this.from || end > this.to) this.set((begin + end) / 2 - this.span / 2, this.span);
  }

  // While it plays: turn the page.
  follow(time) {
    if (time > this.to || time < this.from) this.set(time - this.span * 0.05, this.span);
  }
}

const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000];

// Times at which a ruler has a line, at least `apart` pixels from each other.
export function ticks(view, apart) {
  const least = apart * view.span / view.width;
  const step = STEPS.find((each) => each >= least) ?? 3600000;
  const times = [];
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) times.push(time);
  return { step, times };
}

export function clock(milliseconds, decimals = 3) {
  const whole = Math.max(0, Math.round(milliseconds));
  const hours = Math.floor(whole / 3600000), minutes = Math.floor(whole / 60000) % 60;
  const seconds = ((whole % 60000) / 1000).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

// The milliseconds that a text such as 1:02.5 or 62.5 means; null if it is no time.
export function parseClock(text) {
  if (!/^\s*(\d+:){0,2}\d+([.,]\d+)?\s*$/.test(text)) return null;
  const parts = text.trim().replace(",", ".").split(":").map(Number);
  return Math.round(parts.reduce((sum, part) => sum * 60 + part, 0) * 1000);
}
