// The keyboard: every key with what it does, once; the help overlay shows this very list.

import { askInDialog, dialogIsOpen, element } from "./dialogs.js";

const isText = (target) => target.matches("textarea, select, input:not([type=range])");

export class Keys {
  // `actions` by name are called; see main.js.
  constructor(actions) {
    this.list = [
      ["Space", " ", actions.play, "play or pause"],
      ["S", "s", actions.playSelection, "play the selected segment"],
      ["← →", "ArrowLeft", () => actions.step(-1), "one frame back or on"],
      [null, "ArrowRight", () => actions.step(1)],
      ["Shift ← →", "Shift+ArrowLeft", () => actions.skip(-1000), "one second back or on"],
      [null, "Shift+ArrowRight", () => actions.skip(1000)],
      ["Home End", "Home", () => actions.skip(-Infinity), "to the beginning or the end"],
      [null, "End", () => actions.skip(Infinity)],
      ["N  P", "n", () => actions.next(1), "next or previous prediction to be reviewed"],
      [null, "p", () => actions.next(-1)],
      ["U", "u", actions.uncertain, "the least certain prediction"],
      ["A", "a", actions.accept, "accept the prediction, and go on"],
      ["X", "x", actions.reject, "reject the prediction, and go on"],
      ["M", "m", actions.mark, "mark as reviewed up to here"],
      ["↑ ↓", "ArrowUp", () => actions.lane(-1), "lane above or below"],
      [null, "ArrowDown", () => actions.lane(1)],
      ["J  L", "j", () => actions.segment(-1), "previous or next segment of the lane"],
      [null, "l", () => actions.segment(1)],
      ["C", "c", actions.create, "new segment here, one second long"],
      ["[  ]", "[", () => actions.border("begin"), "the segment begins or ends here"],
      [null, "]", () => actions.border("end")],
      ["Alt ← →", "Alt+ArrowLeft", () => actions.nudge(-1), "move the segment by a frame"],
      [null, "Alt+ArrowRight", () => actions.nudge(1)],
      ["R", "r", actions.relabel, "another gesture"],
      ["T", "t", actions.text, "change the text"],
      ["Delete", "Delete", actions.remove, "delete the segment"],
      [null, "Backspace", actions.remove],
      ["Escape", "Escape", actions.deselect, "select nothing"],
      ["+  −", "+", () => actions.zoom(0.5), "zoom in or out"],
      [null, "=", () => actions.zoom(0.5)],
      [null, "-", () => actions.zoom(2)],
      ["0", "0", () => actions.zoom(Infinity), "everything"],
      ["Ctrl Z", "Ctrl+z", actions.undo, "undo"],
      ["Ctrl Shift Z", "Ctrl+Shift+z", actions.redo, "redo"],
      [null, "Ctrl+y", actions.redo],
      ["Ctrl S", "Ctrl+s", actions.save, "save into the ELAN file"],
      ["?", "?", () => this.help(), "this overview"],
    ];
    this.actions = new Map(this.list.map(([, key, action]) => [key, action]));
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  pressed(event) {
    if (dialogIsOpen() || event.isComposing) return;
    const control = event.ctrlKey || event.metaKey;
    if (isText(event.target) && !(control && event.key.toLowerCase() === "s")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const onSlider = event.target.matches("input[type=range]");
    if (onSlider && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    const pressed = event.target.matches("button") && !event.target.closest("dialog"); // which has just been closed
    if (pressed && (event.key === " " || event.key === "Enter")) return;
    // A character that needs Shift is meant as such; Shift counts with letters and arrows.
    const letter = /^[a-z]$/i.test(event.key);
    const name = letter ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && (letter || event.key.length > 1) ? "Shift+" : "";
    const action = this.actions.get(`${control ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift}${name}`);
    if (!action) return;
    event.preventDefault();
    action();
  }

  help() {
    const list = element("ul", "", { class: "keys" });
    for (const [label, , , what] of this.list) {
      if (label === null) continue;
      const line = element("li"), keys = element("span");
      label.split(" ").filter(Boolean).forEach((key) => keys.append(element("kbd", key), " "));
      line.append(keys, element("span", what));
      list.append(line);
    }
    const mouse = element("p", "With the mouse: click to go there; drag a border, or a whole segment; drag on free ground "
      + "to add one; Shift and the wheel to move along, Ctrl and the wheel to zoom.", { class: "quiet" });
    const truth = element("p", "What you accept, move or rename becomes yours, on the gesture's own tier. Inside the stretches "
      + "that you mark as reviewed, whatever stands there counts as true when chironomy learns, and what lies outside them is left out.", { class: "quiet" });
    askInDialog("Keyboard", [list, mouse, truth], { close: "Close" });
  }
}
