// The table of all results: sortable by column with mouse and keyboard.

const svg = (tag, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

// Mean and interval on the scale of the task: 0 to 1, or 0 to the largest.
function whisker(row, most) {
  const x = (value) => 4 + 92 * Math.min(value / most, 1);
  const picture = svg("svg", { class: "whisker", viewBox: "0 0 100 16", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(svg("line", { class: "track", x1: 4, x2: 96, y1: 8, y2: 8 }),
    svg("line", { x1: x(row.low), x2: x(row.high), y1: 8, y2: 8 }),
    svg("circle", { cx: x(row.mean), cy: 8, r: 4 }));
  return picture;
}

const mean = (name, scale, digits) => ({
  value: (row) => (row.means[name] === undefined ? undefined : row.means[name] * scale),
  text: (row) => (row.means[name] * scale).toFixed(digits),
});

function differenceText(row) {
  const { mean: middle, low, high } = row.difference;
  const better = isScore(row.cell) ? 1 : -1;
  const verdict = low * better > 0 && high * better > 0 ? "gain" : low * better < 0 && high * better < 0 ? "loss" : "";
  return el("span", {}, el("span", { class: verdict }, signed(row.cell, middle)),
    el("span", { class: "soft" }, ` (${signed(row.cell, low)} … ${signed(row.cell, high)})`));
}

const COLUMNS = [
  { name: "model", value: (row) => data.cells[row.cell].model_name, many: true },
  { name: "task", value: (row) => data.cells[row.cell].task },
  { name: "length", number: true, value: (row) => data.cells[row.cell].length || undefined },
  { name: "setting", value: (row) => data.cells[row.cell].variant, many: true },
  { name: "spec", value: (row) => data.specs[row.spec], head: true },
  { name: "value", number: true, value: (row) => (row.n ? row.mean : undefined),
    text: (row) => figure(row.cell, row.mean) },
  { name: "95 % interval", number: true, value: (row) => (row.n ? row.high - row.low : undefined),
    text: (row, most) => el("span", {}, `${figure(row.cell, row.low)} … ${figure(row.cell, row.high)}`, whisker(row, most)) },
  { name: `against ${data.specs[0]}`, number: true, value: (row) => row.difference && row.difference.mean, text: differenceText },
  { name: "KV bytes, %", number: true, ...mean("kv_share", 100, 1) },
  { name: "entries, %", number: true, ...mean("entry_share", 100, 1) },
  { name: "evidence held, %", number: true, ...mean("recall", 100, 0) },
  { name: "top-1 agreement, %", number: true, ...mean("top1", 100, 1) },
  { name: "perplexity", number: true, ...mean("perplexity", 1, 2) },
  { name: "attention error", number: true, ...mean("attention_error", 1, 4) },
  { name: "first token, ms", number: true, ...mean("ttft_ms", 1, 0) },
  { name: "tokens/s", number: true, ...mean("decode_tok_s", 1, 1) },
  { name: "MB read a token", number: true, ...mean("read_bytes_per_token", 1e-6, 1) },
  { name: "samples", number: true, value: (row) => row.n,
    text: (row) => el("button", { type: "button", onclick: () => openSamples(row.cell, row.spec), "aria-label":
      `${count(row.n, "sample")} of ${data.specs[row.spec]} on ${data.cells[row.cell].label}: show them` },
      row.failed ? `${row.n}, ${row.failed} failed` : String(row.n)) },
];

// Columns that no row fills are left out; so is what is the same in all of those that only tell apart.
function columnsOf(rows) {
  return COLUMNS.filter((column) => {
    const values = new Set(rows.map(column.value).filter((value) => value !== undefined && value !== ""));
    return column.many ? values.size > 1 : values.size > 0;
  });
}

function sortBy(table, index, column) {
  const header = table.tHead.rows[0].cells[index];
  const before = header.getAttribute("aria-sort");
  const up = column.number ? before === "descending" : before !== "ascending";
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const order = (a, b) => (column.number ? a - b : a.localeCompare(b, "en", { numeric: true }));
  const lines = [...table.tBodies[0].rows].map((line) => [column.value(data.rows[line.dataset.row]), line]);
  // Rows without a value are last in both directions.
  lines.sort(([a], [b]) => (a === undefined || b === undefined ? (a === undefined) - (b === undefined)
    : up ? order(a, b) : order(b, a)));
  table.tBodies[0].append(...lines.map(([, line]) => line));
}

function showTable() {
  const columns = columnsOf(data.rows);
  const table = el("table", {}, el("thead", {}, el("tr")), el("tbody"));
  columns.forEach((column, index) => table.tHead.rows[0].append(
    el("th", { scope: "col", "aria-sort": "none", class: column.number ? "number" : null },
      el("button", { type: "button", onclick: () => sortBy(table, index, column) }, column.name))));
  const most = data.cells.map((_, cell) => (isScore(cell) ? 1
    : Math.max(1e-12, ...data.rows.filter((row) => row.cell === cell && row.n).map((row) => row.high))));
  data.rows.forEach((row, index) => table.tBodies[0].append(el("tr", { "data-row": index },
    columns.map((column) => {
      const value = column.value(row);
      const content = value === undefined ? "" : column.text ? column.text(row, most[row.cell]) : value;
      return column.head ? el("th", { scope: "row" }, el("code", {}, content))
        : el("td", { class: column.number ? "number" : null }, typeof content === "number" ? String(content) : content);
    }))));
  const filter = el("input", { type: "search", oninput: () => {
    const wanted = filter.value.toLowerCase().split(/\s+/);
    for (const line of table.tBodies[0].rows) {
      line.hidden = !wanted.every((word) => line.textContent.toLowerCase().includes(word));
    }
  } });
  section("table", "Results", "Scores are out of 100. A difference in colour is one whose paired 95 % interval leaves out zero.",
    data.rows.length > 12 ? el("div", { class: "tools" }, el("label", {}, "Rows with", filter)) : null,
    el("div", { class: "scroll tall", role: "region", tabindex: 0, "aria-label": "Results" }, table));
}
