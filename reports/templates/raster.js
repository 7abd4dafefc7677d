// One row per flow on a canvas, drawn when it comes into view: what was lost is ink, what was answered is paper.
const STATES = ["answered", "lost", "late", "corrupt", "unsent", "refused", "reset"];
const SAID = ["answered", "lost", "late", "corrupt", "not sent", "refused", "reset"];
const [ID, NAME, TOUCHED, LOST, OUTAGE, FIRST, STEP, COUNT, WAS, IS, MARKS, PACKETS, OLD_WAY, NEW_WAY, DIED] = Array(15).keys();
class Raster {
  constructor(box, data) {
    this.box = box;
    this.data = data;
    this.canvas = box.querySelector("canvas");
    this.readout = box.querySelector(".readout");
    this.panel = box.querySelector(".packets");
    this.view = 0;
    this.at = -1;
    this.opened = -1;
    this.group = data.groups.flatMap((group, n) => Array(group[3]).fill(n));
    this.addButtons();
    this.canvas.addEventListener("pointermove", (event) => this.show(this.rowAt(event)));
    this.canvas.addEventListener("click", (event) => { this.show(this.rowAt(event)); this.open(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.panel.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); });
    this.draw();
  }
  addButtons() {
    this.data.views.forEach((view, n) => {
      const button = element("button", view[0]);
      button.type = "button";
      button.addEventListener("click", () => { this.view = n; this.draw(); });
      this.box.querySelector(".pick").append(button);
    });
  }
  place() {
    const rows = this.data.rows.length;
    // Rows where nothing happened keep their place, but a thin one: the eye belongs where the ink is.
    const calm = this.data.rows.map((row) => !row[TOUCHED] && !row[MARKS].length);
    const loud = Math.max(1, calm.filter((one) => !one).length);
    const full = Math.max(1, Math.min(8, Math.floor((rows > 400 ? 900 : 480) / loud)));
    this.ys = [];
    this.tops = [];
    let y = 20;
    for (const [vantage, , , size] of this.data.groups) {
      if (this.tops.length && this.data.groups[this.tops.length - 1][0] !== vantage) y += 6;
      this.tops.push(y);
      const first = y;
      for (let n = 0; n < size; n++) {
        const step = Math.max(calm[this.ys.length] ? Math.min(1, full) : full, 13 / size);
        this.ys.push([y, step]);
        y += step;
      }
      y = Math.max(y, first + 13) + 3;
    }
    return y + 2;
  }
  draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name);
    const width = this.box.clientWidth, height = this.place(), dense = window.devicePixelRatio || 1;
    const left = width < 560 ? 92 : 142, right = width - 2;
    const [, start, end] = this.data.views[this.view];
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.canvas.style.height = height + "px";
    const pen = this.canvas.getContext("2d");
    pen.scale(dense, dense);
    const x = (us) => left + Math.max(0, Math.min(1, (us - start) / (end - start))) * (right - left);
    pen.font = "11px system-ui, DejaVu Sans, sans-serif";
    pen.textBaseline = "top";
    this.data.groups.forEach(([vantage, , label, size], n) => {
      const at = this.tops.slice(0, n).reduce((sum, _, m) => sum + this.data.groups[m][3], 0);
      const last = this.ys[at + size - 1];
      pen.fillStyle = colour("soft");
      pen.fillRect(left, this.tops[n], right - left, last[0] + last[1] - this.tops[n]);
      pen.fillStyle = colour("dim");
      pen.textAlign = "right";
      pen.fillText(width < 560 ? label : vantage + " · " + label, left - 10, this.tops[n] + 1, left - 12);
    });
    pen.textAlign = "center";
    for (const us of this.ticks(start, end)) {
      pen.fillStyle = us === 0 ? colour("dim") : colour("hair");
      pen.fillRect(x(us), 16, 1, height - 18);
      pen.fillStyle = colour("dim");
      pen.fillText(us === 0 ? "0" : signed(end - start > 5e6 ? us / 1e6 : us / 1e3, 0), Math.max(left + 14, Math.min(right - 16, x(us))), 2);
    }
    pen.textAlign = "right";
    pen.fillText(end - start > 5e6 ? "s" : "ms", left - 10, 2);
    const inks = STATES.map((name) => colour(name));
    this.data.rows.forEach((row, n) => {
      const [y, tall] = this.ys[n];
      if (row[TOUCHED]) { pen.fillStyle = colour("touched"); pen.fillRect(left - 6, y, 3, tall); }
      for (let m = 0; m < row[MARKS].length; m += 3) {
        const from = row[FIRST] + row[MARKS][m] * row[STEP], to = from + row[MARKS][m + 1] * row[STEP];
        if (to < start || from > end) continue;
        pen.fillStyle = inks[row[MARKS][m + 2]] || inks[1];
        pen.fillRect(x(from), y, Math.max(1, x(to) - x(from)), Math.max(0.8, tall - (tall > 2 ? 0.5 : 0)));
      }
    });
    if (this.at >= 0) {
      pen.strokeStyle = colour("ink");
      pen.strokeRect(left - 8, this.ys[this.at][0] - 1, right - left + 8, this.ys[this.at][1] + 1.5);
    }
    [...this.box.querySelectorAll("button")].forEach((one, n) => one.setAttribute("aria-pressed", n === this.view));
    this.box.dataset.drawn = this.data.rows.length;
  }
  ticks(start, end) {
    const step = [1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 6e7].find((s) => (end - start) / s <= 9) || (end - start) / 8;
    const found = [];
    for (let us = Math.ceil(start / step) * step; us <= end; us += step) found.push(us || 0);
    return found;
  }
  rowAt(event) {
    const y = event.clientY - this.canvas.getBoundingClientRect().top;
    return this.ys.findIndex(([top, tall]) => y >= top && y < top + tall);
  }
  show(n) {
    if (n < 0 || n >= this.data.rows.length) return;
    this.at = n;
    const row = this.data.rows[n], [vantage, service, label, , routed] = this.data.groups[this.group[n]];
    const lost = row[LOST] ? row[LOST] + " lost of " + row[COUNT] : "nothing lost of " + row[COUNT];
    this.readout.textContent = [
      vantage + " → " + service, label, "flow " + row[ID], row[NAME],
      lost + (!routed ? "" : row[OUTAGE] ? ", black hole " + row[OUTAGE] / 1000 + " ms" : ""),
      row[TOUCHED] ? "crossed the element" : "elsewhere",
      row[WAS] === row[IS] ? row[WAS] : row[WAS] + " → " + row[IS],
      this.data.died[row[DIED]],
    ].filter(Boolean).join(" · ");
    this.draw();
  }
  key(event) {
    const last = this.data.rows.length - 1;
    const to = {ArrowDown: this.at + 1, ArrowUp: this.at - 1, PageDown: this.at + 20, PageUp: this.at - 20, Home: 0, End: last}[event.key];
    if (to !== undefined) { event.preventDefault(); this.show(Math.max(0, Math.min(last, to))); if (!this.panel.hidden) this.open(); }
    else if (event.key === "Enter") { event.preventDefault(); if (this.at < 0) this.show(0); this.open(); }
    else if (event.key === "Escape") this.close();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      this.view = (this.view + 1) % this.data.views.length;
      this.draw();
    }
  }
  open() {
    if (this.at < 0) return;
    const row = this.data.rows[this.at];
    const lines = row[PACKETS].length ? this.stamped(row) : this.derived(row);
    const note = row[PACKETS].length
      ? "Due, and kernel stamps of sending and receiving, in ms after the fault; via: the nodes that packets of the flow passed before the fault, and before its heal. Escape closes."
      : "From the states of its probes: no kernel stamps are kept of this flow. Due in ms after the fault. Escape closes.";
    this.panel.replaceChildren(element("p", "Packets of flow " + row[ID] + ", " + row[NAME]), table(["seq", "due", "sent", "answered", "round trip", "state", "via", "backend", "TTL"], [0, 1, 2, 3, 4, 8], lines), element("p", note, "dim"));
    this.panel.hidden = false;
  }
  close() {
    this.panel.hidden = true;
    this.canvas.focus();
  }
  stamped(row) {
    const [seqs, dues, sent, after, states, backends, ttls] = row[PACKETS];
    const lines = [];
    // Marks count from the window's first probe, sequence numbers from the prober's.
    const first = seqs[0] - Math.round((dues[0] - row[FIRST]) / row[STEP]);
    seqs.forEach((seq, n) => {
      if (n && seq > seqs[n - 1] + 1) lines.push(this.between(row, seqs[n - 1] + 1 - first, seq - 1 - first));
      const tx = sent[n] === null ? null : dues[n] + sent[n];
      const rx = after[n] === null ? null : (tx === null ? dues[n] : tx) + after[n];
      lines.push([
        seq, signed(dues[n] / 1e3, 3), tx === null ? "–" : signed(tx / 1e3, 3), rx === null ? "–" : signed(rx / 1e3, 3),
        after[n] === null || tx === null ? "–" : (after[n] / 1e3).toFixed(3), SAID[states[n]] || "unknown", rx === null ? "–" : this.way(row, dues[n]), backends[n] < 0 ? "–" : this.data.backends[backends[n]],
        ttls[n] === null ? "–" : ttls[n],
      ]);
    });
    return lines;
  }
  way(row, due) {
    return this.data.ways[row[due < 0 ? OLD_WAY : NEW_WAY]] || "–";
  }
  between(row, from, to) {
    let lost = 0;
    for (let m = 0; m < row[MARKS].length; m += 3) {
      if (row[MARKS][m + 2] !== 4) lost += Math.max(0, Math.min(to + 1, row[MARKS][m] + row[MARKS][m + 1]) - Math.max(from, row[MARKS][m]));
    }
    return ["…", "", "", "", "", (to - from + 1) + " more, " + lost + " of them lost", "", "", ""];
  }
  derived(row) {
    const lines = [];
    const due = (seq) => signed((row[FIRST] + seq * row[STEP]) / 1e3, 0);
    for (let m = 0; m < row[MARKS].length && lines.length < 200; m += 3) {
      const [start, size, state] = row[MARKS].slice(m, m + 3);
      lines.push([size > 1 ? start + "…" + (start + size - 1) : start, due(start) + (size > 1 ? "…" + due(start + size - 1) : ""), state === 4 ? "no" : "", "–", "–", size + " " + (SAID[state] || "unknown"), "–", "–", "–"]);
    }
    return lines.length ? lines : [["0…" + (row[COUNT] - 1), "", "", "", "", row[COUNT] + " answered", this.way(row, -1), row[IS], ""]];
  }
}
