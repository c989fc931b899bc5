// Heat maps: the score by depth of the needle and length of the text, one table a task and spec.
const MOST_MAPS = 12;

function heatCell(found) {
  if (!found) return el("td", { class: "soft" }, "–");
  const [, value, n] = found, share = Math.round(100 * value);
  return el("td", { title: count(n, "sample"), class: share === 0 ? "none" : null, style: `background: color-mix(in oklab, var(--heat) ${share}%, ` +
    `var(--paper))` + (share > 45 ? "; color: var(--paper)" : "") }, String(share));
}

function heatMap(name, spec, rows) {
  const sorted = [...rows].sort((a, b) => data.cells[a.cell].length - data.cells[b.cell].length);
  const depths = [...new Set(sorted.flatMap((row) => row.depths.map(([depth]) => depth)))].sort((a, b) => a - b);
  const lengths = sorted.map((row) => data.cells[row.cell].length);
  return el("figure", { class: "card" }, el("h3", {}, name, " ", el("code", { class: "soft" }, spec)),
    el("div", { class: "fits", role: "region", tabindex: 0, "aria-label": `${name}, ${spec}: score by depth and length` },
      el("table", { class: "heat" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "depth, %"),
          lengths.map((length) => el("th", { scope: "col" }, length.toLocaleString("en"))))),
        el("tbody", {}, depths.map((depth) => el("tr", {}, el("th", { scope: "row", class: "number" }, String(depth)),
          sorted.map((row) => heatCell(row.depths.find(([at]) => at === depth)))))))));
}

function showHeatMaps() {
  const rows = data.rows.filter((row) => row.depths);
  if (!rows.some((row) => row.depths.length > 1)) return;
  const groups = [...groupBy(rows, (row) => JSON.stringify([data.cells[row.cell].group, row.spec]))];
  const maps = groups.map(([key, of]) => heatMap(...JSON.parse(key).map((each, i) => (i ? data.specs[each] : each)), of));
  section("heat", "Depth and length", "Mean score by how deep in the text the answer lies (0: at its beginning) and how " +
    "long the text is, in tokens.", cards(maps, MOST_MAPS));
}
