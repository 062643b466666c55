// A slider for each of the model's classes: predictions are found anew as it moves, and kept when it is let go.

import { tell } from "./api.js";
import { element } from "./dialogs.js";
import { fromJson } from "./sheet.js";

export class Thresholds {
  constructor(review, say) {
    this.review = review;
    this.say = say;
    this.asking = false;
    this.wanted = null;
    review.addEventListener("curves", () => this.build());
  }

  build() {
    const { model, classes, untrained_backbone: untrained } = this.review.described;
    document.getElementById("thresholds-card").hidden = false;
    document.getElementById("model").textContent = `Of ${model}${untrained ? ", whose backbone is untrained" : ""}`;
    document.getElementById("thresholds").replaceChildren(...classes.map((name, index) => this.row(name, index)));
  }

  row(name, index) {
    const id = `threshold-${index}`, line = element("li");
    const slider = element("input", "", { id, type: "range", min: "0.01", max: "0.99", step: "0.01" });
    const shown = element("output", "", { for: id });
    const value = () => this.review.curves.thresholds.get(name);
    slider.value = String(value());
    shown.textContent = value().toFixed(2);
    slider.addEventListener("input", () => {
      this.review.curves.thresholds.set(name, Number(slider.value));
      shown.textContent = value().toFixed(2);
      this.review.say("draw");
      this.preview(name);
    });
    slider.addEventListener("change", () => this.keep(name));
    const label = element("label", name, { for: id });
    label.title = name;
    line.append(label, slider, shown);
    return line;
  }

  async proposal(names) {
    const thresholds = Object.fromEntries(names.map((name) => [name, this.review.curves.thresholds.get(name)]));
    return fromJson(await tell("/api/thresholds", { thresholds }));
  }

  // One question at a time: the next is for where the slider is by then.
  async preview(name) {
    this.wanted = name;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.wanted) {
        const asked = this.wanted;
        this.wanted = null;
        const change = await this.proposal([asked]);
        if (this.asking) this.review.show(change);
      }
    } catch (error) {
      this.say(error.message);
    }
    this.asking = false;
  }

  async keep(...names) {
    this.asking = false;
    this.wanted = null;
    try {
      await this.review.queue;
      const change = await this.proposal(names);
      await this.review.commit({ ...change, select: false });
    } catch (error) {
      this.say(error.message);
    }
  }

  keepAll() {
    return this.keep(...this.review.described.classes);
  }
}
