// Questions to the server this page came from.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The program does not answer any more. Start chironomy review again: nothing is lost.", 0);
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try { message = JSON.parse(text).error; } catch { /* plain text */ }
  throw new Refused(message, response.status);
}

export async function ask(path) {
  return (await answered(path)).json();
}

export async function askBytes(path) {
  return (await answered(path)).arrayBuffer();
}

export async function tell(path, content = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await answered(path, { method: "POST", headers, body: JSON.stringify(content) })).json();
}
