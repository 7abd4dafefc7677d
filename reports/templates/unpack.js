"use strict";
// What a scenario has in bulk is packed (deflate, base64) and unpacked once, when it is first wanted.
const unpacked = new Map();
const ready = new Map();
function unpack(id) {
  if (!unpacked.has(id)) {
    unpacked.set(id, (async () => {
      const bytes = Uint8Array.from(atob(document.getElementById(id + "-data").textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      const data = JSON.parse(await new Response(stream).text());
      ready.set(id, data);
      return data;
    })());
  }
  return unpacked.get(id);
}
function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
const signed = (ms, digits) => (ms < 0 ? "−" : "+") + Math.abs(ms).toFixed(digits);
const HEADS = {
  log: ["when", "± ms", "step", "source", "node", "what", "detail"],
  ended: ["vantage", "no.", "connection", "backend", "how", "when", "phase", "crossed the element", "longest wait"],
};
const NUMBERS = {log: [0, 1], ended: [1, 5, 8]};
function table(heads, numbers, rows) {
  const made = element("table", undefined, "tight");
  const head = made.createTHead().insertRow();
  heads.forEach((text, n) => {
    const cell = element("th", text, numbers.includes(n) ? "n" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((text, n) => line.append(element("td", text, numbers.includes(n) ? "n nowrap" : "")));
  }
  return made;
}
function fill(box, data) {
  const place = box.querySelector(".scroll");
  const name = box.dataset.table;
  if (!place.firstChild) place.append(table(HEADS[name], NUMBERS[name], data[name]));
}
