// Questions and tables in front of the page.

const dialog = document.getElementById("dialog");

export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Show something, and return the answer: the label's key, null if it was closed.
export function askInDialog(title, body, answers) {
  document.getElementById("dialog-title").textContent = title;
  document.getElementById("dialog-body").replaceChildren(...body);
  return new Promise((resolve) => {
    let given = null;
    const buttons = Object.entries(answers).map(([key, label], index, all) => {
      const button = element("button", label, { type: "button" });
      if (index === all.length - 1) button.className = "primary";
      button.addEventListener("click", () => { given = key; dialog.close(); });
      return button;
    });
    document.getElementById("dialog-actions").replaceChildren(...buttons);
    dialog.addEventListener("close", () => resolve(given), { once: true });
    dialog.showModal();
    (dialog.querySelector("#dialog-body input") ?? buttons.at(-1)).focus();
  });
}

export async function askForText(title, text, label, value) {
  const input = element("input", "", { id: "dialog-input", autocomplete: "off" });
  input.value = value;
  const around = element("label", label, { for: "dialog-input" });
  around.append(input);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") document.querySelector("#dialog-actions .primary").click();
  });
  const answer = await askInDialog(title, [element("p", text), around], { cancel: "Cancel", done: "OK" });
  return answer === "done" ? input.value.trim() : null;
}

export function table(heads, rows) {
  const made = element("table");
  const line = (cells, name) => {
    const row = element("tr");
    cells.forEach((cell, index) => row.append(element(name, String(cell), index ? { class: "number" } : {})));
    return row;
  };
  made.append(element("thead"), element("tbody"));
  made.tHead.append(line(heads, "th"));
  made.tBodies[0].append(...rows.map((row) => line(row, "td")));
  return made;
}

export const dialogIsOpen = () => dialog.open;
