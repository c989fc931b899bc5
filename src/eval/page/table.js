// The table of all results: sortable by column with mouse and keyboard.

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Mean and interval between 0 and `most`.
function whisker(row, most) {
  const x = (value) => 4 + 92 * Math.min(value / most, 1);
  const frame = { class: "whisker", viewBox: "0 0 100 16", preserveAspectRatio: "none" };
  return svg("svg", { ...frame, "aria-hidden": "true" },
    svg("line", { class: "track", x1: 4, x2: 96, y1: 8, y2: 8 }),
    svg("line", { x1: x(row.low), x2: x(row.high), y1: 8, y2: 8 }),
    svg("circle", { cx: x(row.mean), cy: 8, r: 4 }));
}

// The largest value of a row's task: the end of its whiskers' scale.
const mostOf = data.cells.map((_, cell) => (isScore(cell) ? 1
  : Math.max(1e-12, ...data.rows.filter((row) => row.cell === cell).map((row) => row.high))));

const intervalCell = (row) => el("span", {},
  `${figure(row.cell, row.low)} … ${figure(row.cell, row.high)}`, whisker(row, mostOf[row.cell]));

function differenceCell(row) {
  const { mean, low, high } = row.difference;
  const better = isScore(row.cell) ? 1 : -1;
  const verdict = Math.min(low * better, high * better) > 0 ? "gain"
    : Math.max(low * better, high * better) < 0 ? "loss" : null;
  return el("span", {},
    el("span", { class: verdict }, signed(row.cell, mean)),
    el("span", { class: "soft" }, ` (${signed(row.cell, low)} … ${signed(row.cell, high)})`));
}

function samplesCell(row) {
  const label = `${count(row.n, "sample")} of ${specOf(row)} on ${data.cells[row.cell].label}`;
  const open = () => openSamples(row.cell, row.spec);
  return el("button", { type: "button", onclick: open, "aria-label": `${label}: show them` },
    row.failed ? `${row.n}, ${row.failed} failed` : String(row.n));
}

// A column has a value to sort by, undefined where a row has none, and perhaps another content.
const text = (name, value, more) => ({ name, value, ...more });
const number = (name, value, content) => ({ name, value, content, number: true });
const meanOf = (title, name, scale, digits) => number(title,
  (row) => (row.means[name] === undefined ? undefined : row.means[name] * scale),
  (row) => (row.means[name] * scale).toFixed(digits));
const ifAny = (row, value) => (row.n > 0 ? value : undefined);

const COLUMNS = [
  // What is the same in all rows tells nothing: models and settings.
  text("model", (row) => data.cells[row.cell].model_name, { tellsApart: true }),
  text("task", (row) => data.cells[row.cell].task),
  number("length", (row) => data.cells[row.cell].length || undefined),
  text("setting", (row) => data.cells[row.cell].variant, { tellsApart: true }),
  text("spec", specOf, { heads: true }),
  number("value", (row) => ifAny(row, row.mean), (row) => figure(row.cell, row.mean)),
  number("95 % interval", (row) => ifAny(row, row.high - row.low), intervalCell),
  number(`against ${data.specs[0]}`, (row) => row.difference && row.difference.mean,
    differenceCell),
  meanOf("KV bytes, %", "kv_share", 100, 1),
  meanOf("entries, %", "entry_share", 100, 1),
  meanOf("evidence held, %", "recall", 100, 0),
  meanOf("top-1 agreement, %", "top1", 100, 1),
  meanOf("perplexity", "perplexity", 1, 2),
  meanOf("attention error", "attention_error", 1, 4),
  meanOf("first token, ms", "ttft_ms", 1, 0),
  meanOf("tokens/s", "decode_tok_s", 1, 1),
  meanOf("MB read a token", "read_bytes_per_token", 1e-6, 1),
  number("samples", (row) => row.n, samplesCell),
];

function usedColumns() {
  return COLUMNS.filter((column) => {
    const values = new Set(data.rows.map(column.value));
    values.delete(undefined);
    values.delete("");
    return values.size > (column.tellsApart ? 1 : 0);
  });
}

function sortBy(table, index, column) {
  const headers = [...table.tHead.rows[0].cells];
  const before = headers[index].getAttribute("aria-sort");
  const up = column.number ? before === "descending" : before !== "ascending";
  for (const header of headers) header.setAttribute("aria-sort", "none");
  headers[index].setAttribute("aria-sort", up ? "ascending" : "descending");
  const order = column.number ? (a, b) => a - b
    : (a, b) => a.localeCompare(b, "en", { numeric: true });
  const lines = [...table.tBodies[0].rows];
  const valueOf = (line) => column.value(data.rows[line.dataset.row]);
  const filled = lines.filter((line) => valueOf(line) !== undefined);
  filled.sort((a, b) => (up ? order(valueOf(a), valueOf(b)) : order(valueOf(b), valueOf(a))));
  // Rows without a value are last in both directions.
  table.tBodies[0].append(...filled, ...lines.filter((line) => valueOf(line) === undefined));
}

function resultCell(row, column) {
  const value = column.value(row);
  const content = value === undefined ? "" : column.content ? column.content(row) : String(value);
  return column.heads ? el("th", { scope: "row" }, el("code", {}, content))
    : el("td", { class: column.number ? "number" : null }, content);
}

// An input that leaves the rows that have all its words.
function rowFilter(table) {
  const filter = el("input", { type: "search", oninput: () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const line of table.tBodies[0].rows) {
      const content = line.textContent.toLowerCase();
      line.hidden = !words.every((word) => content.includes(word));
    }
  } });
  return el("div", { class: "tools" }, el("label", {}, "Rows with", filter));
}

function showTable() {
  const columns = usedColumns();
  const header = (column, index) =>
    el("th", { scope: "col", "aria-sort": "none", class: column.number ? "number" : null },
      el("button", { type: "button", onclick: () => sortBy(table, index, column) }, column.name));
  const line = (row, index) =>
    el("tr", { "data-row": index }, columns.map((column) => resultCell(row, column)));
  const table = el("table", {},
    el("thead", {}, el("tr", {}, columns.map(header))),
    el("tbody", {}, data.rows.map(line)));
  section("table", "Results",
    "Scores are out of 100. A difference in colour is one whose paired 95 % interval leaves out " +
    "zero.",
    data.rows.length > 12 ? rowFilter(table) : null,
    scrolling("scroll tall", "Results", table));
}
