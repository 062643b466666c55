// "Learn from this": what will count, how far it is, and what has changed.

import { tell } from "./api.js";
import { askInDialog, element, table } from "./dialogs.js";
import { clock } from "./view.js";

export class Learning {
  constructor(review, thresholds, say) {
    this.review = review;
    this.thresholds = thresholds;
    this.say = say;
    this.shown = null; // the model of which it was told
    this.started = false;
  }

  async ask() {
    const { review } = this, { can_learn: obstacle, works } = review.status;
    if (works.learning?.state === "running") {
      const answer = await askInDialog("Learning", [element("p", "It is being learned from. Stop it?")], { stop: "Stop", wait: "Go on" });
      if (answer === "stop") review.take(await tell("/api/stop-learning"));
      return;
    }
    if (obstacle) {
      await askInDialog("Learn from this", [element("p", `Not now: ${obstacle}.`)], { close: "Close" });
      return;
    }
    const answer = await askInDialog("Learn from this", this.whatCounts(), { cancel: "Cancel", learn: "Learn" });
    if (answer !== "learn") return;
    try {
      await review.queue;
      this.started = true;
      review.take(await tell("/api/learn"));
    } catch (error) {
      this.say(error.message);
    }
  }

  whatCounts() {
    const { review } = this;
    const stretches = review.sheet.marks(review.annotated);
    const seconds = stretches.reduce((sum, mark) => sum + mark.end - mark.begin, 0);
    const marks = review.lanes.filter((lane) => !lane.reviewed).reduce((sum, lane) => sum + review.sheet.marks(lane.human).length, 0);
    const body = [];
    if (stretches.length) {
      const outside = review.lanes.filter((lane) => !lane.reviewed)
        .reduce((sum, lane) => sum + review.sheet.marks(lane.human).filter((mark) => !review.isReviewed(mark)).length, 0);
      body.push(element("p", `Of this recording, what stands in the reviewed stretches counts: ${clock(seconds, 0)} of ${clock(review.duration, 0)}.`
        + (outside ? ` ${outside} of ${marks} annotations lie outside and are left out; mark what you have gone through first (M).` : "")));
    } else {
      body.push(element("p", `No stretch is marked as reviewed, so the whole recording counts as annotated: ${marks} `
        + "annotations are taken for all that happens in it, and predictions for nothing. If only a part is complete, mark that part first."));
    }
    body.push(element("p", "A new model is trained with your corrections and put beside the one at hand, which stays. You can go on working meanwhile."));
    return body;
  }

  // Called with every status; shows a result once.
  async news(learned) {
    if (!learned || this.shown === learned.model) return;
    this.shown = learned.model;
    if (!this.started) return; // it was shown before the page was loaded anew
    const { scores } = learned;
    const number = (value) => (value === undefined || value === null ? "" : value.toFixed(2));
    const body = [
      element("p", `The new model is in ${learned.model}.${scores ? ` On its test part, ${scores.clips} clips that it has not learned from:` : ""}`),
      ...(scores ? [table(["macro-F1", ""], [
        ["the new model", number(scores.macro_f1)],
        ["linear probe", number(scores.probe_macro_f1)],
        ["every class always", number(scores.always_macro_f1)],
        ["by chance", number(scores.chance_macro_f1)],
      ])] : []),
      element("p", "What it finds in this video, against the model before:"),
      table(["gesture", "segments before", "after", "seconds before", "after"], learned.changes.map((row) => [
        row.name, row.before.intervals, row.after.intervals, row.before.seconds, row.after.seconds])),
      ...learned.notes.map((note) => element("p", note, { class: "quiet" })),
    ];
    const answer = await askInDialog("What has been learned", body, { keep: "Keep the predictions as they are", take: "Show the new predictions" });
    if (answer === "take") await this.thresholds.keepAll();
  }
}
