"use strict";
// The page says everything without this script; it only names the flow under the pointer or the arrow keys.
for (const views of document.querySelectorAll(".views")) {
  const data = JSON.parse(document.getElementById(views.dataset.rows).textContent);
  const readout = views.querySelector(".readout");
  for (const view of views.querySelectorAll(".view")) {
    const svg = view.querySelector("svg");
    const cursor = svg.querySelector(".cursor");
    const ys = data.ys[svg.dataset.view] || [];
    let at = -1;
    const show = (row) => {
      if (row < 0 || row >= ys.length) return;
      at = row;
      cursor.setAttribute("d", "M132 " + (ys[row] - 2.2) + "H988M132 " + (ys[row] + 2.2) + "H988");
      readout.textContent = data.rows[row];
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const y = (event.clientY - box.top) / box.height * svg.viewBox.baseVal.height;
      let best = -1;
      for (let n = 0; n < ys.length; n++) if (Math.abs(ys[n] - y) < 6 && (best < 0 || Math.abs(ys[n] - y) < Math.abs(ys[best] - y))) best = n;
      show(best);
    });
    view.addEventListener("keydown", (event) => {
      const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10}[event.key];
      if (!step || !ys.length) return;
      event.preventDefault();
      show(Math.max(0, Math.min(ys.length - 1, at + step)));
    });
  }
}
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
