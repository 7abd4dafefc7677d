// Folding, lazy filling and printing. Without this script the page still says every verdict and figure.
const rasters = new Map();
async function drawRaster(box) {
  const data = ready.get(box.dataset.of) || await unpack(box.dataset.of);
  if (!rasters.has(box) && box.clientWidth) rasters.set(box, new Raster(box, data.raster));
}
const seen = new IntersectionObserver((entries) => {
  for (const one of entries) if (one.isIntersecting) { seen.unobserve(one.target); drawRaster(one.target); }
}, {rootMargin: "300px"});
document.querySelectorAll(".raster").forEach((box) => seen.observe(box));
document.querySelectorAll("details.lazy").forEach((box) => box.addEventListener("toggle", async () => {
  if (box.open) fill(box, await unpack(box.dataset.of));
}));
const again = () => rasters.forEach((raster) => raster.draw());
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; again(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

function reveal() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const fold = target.closest("section.scenario")?.querySelector("details.fold");
  if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", reveal);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link && link.getAttribute("href") === location.hash) reveal();
});
reveal();

for (const link of document.querySelectorAll("a[data-entry]")) {
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const box = document.querySelector('details.lazy[data-table="log"][data-of="' + link.closest("section").id + '"]');
    box.open = true;
    fill(box, await unpack(box.dataset.of));
    const rows = box.querySelector("tbody").rows;
    box.querySelector("tr.here")?.classList.remove("here");
    rows[link.dataset.entry].classList.add("here");
    rows[link.dataset.entry].scrollIntoView({block: "center"});
  });
}

// Paper has no folds: everything is opened, and what was packed must be there before the printer asks.
const everything = [...document.querySelectorAll("section.scenario")].map((one) => one.id);
const whenIdle = window.requestIdleCallback || ((work) => setTimeout(work, 200));
addEventListener("load", () => whenIdle(async () => {
  for (const id of everything) await unpack(id);
  document.documentElement.dataset.ready = "yes";
}));
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  document.querySelectorAll("details.lazy").forEach((box) => { if (ready.has(box.dataset.of)) fill(box, ready.get(box.dataset.of)); });
  document.querySelectorAll(".raster").forEach((box) => { if (!rasters.has(box) && ready.has(box.dataset.of)) rasters.set(box, new Raster(box, ready.get(box.dataset.of).raster)); });
  again();
});
addEventListener("afterprint", again);
