// The cards beside the video: what is selected, what is left to do, thresholds, and what runs in the background.

import { element } from "./dialogs.js";
import { relabel, rewrite, move } from "./edits.js";
import { clock, parseClock } from "./view.js";

const $ = (name) => document.getElementById(name);

export class Panel {
  constructor(review, say) {
    this.review = review;
    this.say = say;
    for (const event of ["loaded", "changed", "selected"]) review.addEventListener(event, () => this.show());
    review.addEventListener("curves", () => this.show());
    review.addEventListener("status", () => this.showSaved());
    $("selection").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["begin", "end"]) this.onChange(name, () => this.setTime());
    this.onChange("value", (input) => this.edit((selected) => rewrite(review, selected, input.value)));
    $("gesture").addEventListener("change", () => {
      const lane = review.lanes[Number($("gesture").value)];
      this.edit((selected) => relabel(review, selected, lane));
    });
  }

  // Text is taken on Enter, and when it is left.
  onChange(name, act) {
    const input = $(name);
    input.addEventListener("change", () => act(input));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); input.blur(); }
    });
  }

  edit(change) {
    if (this.review.selected) this.say(change(this.review.selected));
    this.show();
  }

  setTime() {
    const [begin, end] = [parseClock($("begin").value), parseClock($("end").value)];
    if (begin === null || end === null) this.say("Write a time as 1:23.456, or as seconds.");
    else if (end <= begin) this.say("The end must come after the beginning.");
    else this.say(move(this.review, this.review.selected, begin, end));
    this.show();
  }

  show() {
    this.showSelection();
    this.showQueue();
  }

  showSelection() {
    const { review } = this, { selected } = review;
    $("selection").hidden = !selected;
    $("nothing").hidden = Boolean(selected);
    if (!selected) return;
    const lane = review.lanes[review.laneOf(selected.tier)], predicted = review.isPredicted(selected.tier);
    const kind = lane.reviewed ? "reviewed" : predicted ? "predicted" : "human";
    const sure = selected.mark.confidence ?? (predicted ? review.meanOf(lane.name, selected.mark) : null);
    const words = { reviewed: "Reviewed stretch", human: `${lane.name}, annotated`, predicted: `${lane.name}, predicted` };
    $("what").textContent = words[kind] + (sure === null ? "" : `, ${Math.round(sure * 100)} %`);
    $("what").className = `what ${kind}`;
    $("begin").value = clock(selected.mark.begin);
    $("end").value = clock(selected.mark.end);
    $("value").value = selected.mark.value;
    const options = review.lanes.map((each, index) => element("option", each.name, { value: index }));
    options.forEach((option, index) => {
      option.disabled = review.lanes[index].fixed || Boolean(review.lanes[index].reviewed) !== Boolean(lane.reviewed);
    });
    $("gesture").replaceChildren(...options);
    $("gesture").value = String(review.laneOf(selected.tier));
    for (const name of ["begin", "end", "value", "gesture", "delete"]) $(name).disabled = lane.fixed && !predicted;
    $("accept").disabled = $("reject").disabled = !predicted;
  }

  showQueue() {
    const { review } = this;
    const left = review.undecided();
    const seconds = review.sheet.marks(review.annotated).reduce((sum, mark) => sum + mark.end - mark.begin, 0);
    const share = Math.round(100 * Math.min(1, seconds / review.duration));
    const count = element("strong", String(left.length));
    $("queue").replaceChildren(count, ` ${left.length === 1 ? "prediction" : "predictions"} undecided, ${share} % of the recording reviewed`);
    for (const name of ["previous", "next", "uncertain"]) $(name).disabled = !left.length;
  }

  showSaved() {
    const { status, waiting, file } = this.review;
    $("saved").textContent = waiting ? "…" : status.saved ? `saved in ${file}` : `kept, not yet in ${file}`;
    $("saved").classList.toggle("unsaved", !status.saved);
    $("save").disabled = Boolean(status.saved);
    for (const name of ["undo", "redo"]) {
      $(name).disabled = !status[name];
      $(name).title = status[name] ? `${name === "undo" ? "Undo" : "Redo"}: ${status[name]}` : `Nothing to ${name}`;
    }
  }

  showWorks(works) {
    const shown = Object.values(works).filter((work) => work.state === "running" || work.state === "failed");
    $("works-card").hidden = !shown.length;
    $("works").replaceChildren(...shown.map((work) => {
      const line = element("li", work.text ? `${work.title}: ${work.text}` : work.title);
      if (work.state === "failed") line.className = "failed";
      else {
        const bar = element("progress", "", { max: "1", "aria-label": work.title });
        if (work.share !== null) bar.value = work.share;
        line.append(bar);
      }
      return line;
    }));
  }
}
