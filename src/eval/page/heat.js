// Heat maps: the score by depth of the needle and length of the text, one table a task and spec.
const MOST_MAPS = 12;

function heatCell(found) {
  if (!found) return el("td", { class: "soft" }, "–");
  const [, value, n] = found, share = Math.round(100 * value);
  const background = `background: color-mix(in oklab, var(--heat) ${share}%, var(--paper))`;
  return el("td", {
    title: count(n, "sample"),
    class: share === 0 ? "none" : null,
    style: share > 45 ? `${background}; color: var(--paper)` : background,
  }, String(share));
}

// Rows of one task and spec, one a length.
function heatMap(rows) {
  const { group } = data.cells[rows[0].cell], spec = specOf(rows[0]);
  const lengthOf = (row) => data.cells[row.cell].length;
  const columns = [...rows].sort((a, b) => lengthOf(a) - lengthOf(b));
  const depths = [...new Set(rows.flatMap((row) => row.depths.map(([depth]) => depth)))];
  depths.sort((a, b) => a - b);
  const header = (row) => el("th", { scope: "col" }, lengthOf(row).toLocaleString("en"));
  const line = (depth) => el("tr", {},
    el("th", { scope: "row", class: "number" }, String(depth)),
    columns.map((row) => heatCell(row.depths.find(([at]) => at === depth))));
  return el("figure", { class: "card" },
    el("h3", {}, group, " ", el("code", { class: "soft" }, spec)),
    scrolling("fits", `${group}, ${spec}: score by depth and length`,
      el("table", { class: "heat" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "depth, %"), columns.map(header))),
        el("tbody", {}, depths.map(line)))));
}

function showHeatMaps() {
  const rows = data.rows.filter((row) => row.depths);
  if (!rows.some((row) => row.depths.length > 1)) return;
  const groups = groupBy(rows, (row) => `${data.cells[row.cell].group}\n${row.spec}`);
  section("heat", "Depth and length",
    "Mean score by how deep in the text the answer lies (0: at its beginning) and how long the " +
    "text is, in tokens.",
    cards([...groups.values()].map(heatMap), MOST_MAPS));
}
