// Drill-down: one sample at a time, its prompt, what each spec answered and what its cache kept.
const MOST_KEPT = 24;
const FILTERS = {
  all: ["all samples", () => true],
  differ: ["where specs differ", (of) => new Set(of.map((sample) => sample.value)).size > 1],
  wrong: ["where one is wrong", (of) => of.some((sample) => sample.value < 1)],
  failed: ["where one failed", (of) => of.some((sample) => sample.error)],
};
const view = { cell: 0, filter: "all", at: 0, spec: null };
const samplesOf = groupBy(data.samples, (sample) => sample.case);
const casesOf = groupBy(data.cases.keys(), (index) => data.cases[index].cell);

function matchingCases() {
  const accepts = FILTERS[view.filter][1];
  return (casesOf.get(view.cell) || []).filter((index) => accepts(samplesOf.get(index) || []));
}

// The prompt's pieces with the answers marked; a number stands for characters that are left out.
function promptText(pieces, answers) {
  const wanted = [...new Set(answers)].filter(Boolean);
  const escaped = wanted.map((answer) => answer.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = wanted.length > 0 ? new RegExp(`(${escaped.join("|")})`) : null;
  const marked = (piece) => (pattern === null ? piece
    : piece.split(pattern).map((part, i) => (i % 2 === 1 ? el("mark", {}, part) : part)));
  const gap = (n) => el("span", { class: "gap" }, ` … ${count(n, "character")} … `);
  return pieces.map((piece) => (typeof piece === "number" ? gap(piece) : marked(piece)));
}

const head = (name, kind) => el("th", { scope: "col", class: kind }, name);
const specCell = (sample) => el("th", { scope: "row" },
  sample.spec === view.spec ? "▸ " : null, el("code", {}, specOf(sample)));

function answersTable(turn, index, samples) {
  const line = (sample) => {
    const given = sample.turns && sample.turns[index];
    return el("tr", {}, specCell(sample),
      el("td", { class: "number" }, given ? (100 * given.score).toFixed(0) : "–"),
      el("td", { class: "wrap answer" },
        sample.error ? el("span", { class: "loss" }, sample.error) : given && given.prediction));
  };
  return scrolling("scroll tall", `Answers to: ${turn.question}`, el("table", {},
    el("thead", {}, el("tr", {}, head("spec"), head("score", "number"), head("answer"))),
    el("tbody", {}, samples.map(line))));
}

// Texts have no answers but figures.
function figuresTable(samples) {
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample.figures || {})))];
  const figureCell = (value) =>
    el("td", { class: "number" }, value === undefined ? "" : String(rounded(value, 5)));
  const line = (sample) => el("tr", {}, specCell(sample), sample.error
    ? el("td", { class: "loss", colspan: names.length }, sample.error)
    : names.map((name) => figureCell(sample.figures[name])));
  return scrolling("scroll tall", "Figures", el("table", {},
    el("thead", {}, el("tr", {}, head("spec"), names.map((name) => head(name, "number")))),
    el("tbody", {}, samples.map(line))));
}

// Rows are layers, columns parts of the prompt.
function keptMap(sample) {
  const rows = sample.map, spec = specOf(sample);
  const share = sample.share === undefined ? "" : `${(100 * sample.share).toFixed(1)} % of entries`;
  const canvas = el("canvas", {
    role: "img", width: rows[0].length, height: rows.length,
    "aria-label": `${spec}: what each layer holds of the prompt, ${share}`,
  });
  const context = canvas.getContext("2d");
  context.fillStyle = colour("--paper");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colour("--heat");
  rows.forEach((line, layer) => [...line].forEach((level, part) => {
    context.globalAlpha = Number(level) / 9;
    context.fillRect(part, layer, 1, 1);
  }));
  return el("figure", {}, canvas, el("figcaption", {}, el("code", {}, spec), ` ${share}`));
}

function keptMaps(samples) {
  const kept = samples.filter((sample) => sample.map);
  if (kept.length === 0) return null;
  const merged = data.layers_per_line > 1
    ? ` (a line is the mean of ${data.layers_per_line} layers).` : ".";
  return [
    el("h3", { class: "apart" }, "What each cache kept"),
    el("p", { class: "soft" }, "Layers from the first at the top; the prompt from left to right; " +
      `the stronger the colour, the more of it is held${merged}`),
    cards(kept.map(keptMap), MOST_KEPT, "kept"),
  ];
}

function turnView(turn, index, samples) {
  const answers = turn.answers.map((answer, i) => [i > 0 ? ", " : null, el("code", {}, answer)]);
  return [
    el("h3", {}, turn.question.trim() || "The prompt goes on with"),
    el("p", { class: "soft" }, "Right: ", answers),
    answersTable(turn, index, samples),
  ];
}

function caseView(index) {
  const { prompt, tokens, turns, seed, index: number } = data.cases[index];
  const samples = [...(samplesOf.get(index) || [])].sort((a, b) => a.spec - b.spec);
  const answers = turns.flatMap((turn) => turn.answers);
  const size = tokens ? `, ${count(tokens, "token")} read and compressed` : "";
  return el("article", {},
    el("p", { class: "soft" }, `Sample ${number} of seed ${seed}${size}`),
    scrolling("prompt", "Prompt", promptText(prompt, answers)),
    turns.map((turn, i) => turnView(turn, i, samples)),
    turns.length === 0 ? figuresTable(samples) : null,
    keptMaps(samples));
}

const controls = {};

function paintSamples() {
  const cases = matchingCases();
  view.at = Math.min(Math.max(view.at, 0), Math.max(cases.length - 1, 0));
  controls.cell.value = view.cell;
  controls.filter.value = view.filter;
  controls.place.textContent = cases.length > 0 ? `${view.at + 1} of ${cases.length}` : "none";
  controls.before.disabled = view.at === 0;
  controls.after.disabled = view.at >= cases.length - 1;
  controls.body.replaceChildren(cases.length > 0 ? caseView(cases[view.at])
    : el("p", {}, "No sample here."));
}

function change(values) {
  Object.assign(view, values);
  paintSamples();
}

// From the table: the samples of a row, its spec pointed out.
function openSamples(cell, spec) {
  change({ cell, spec, filter: "all", at: 0 });
  document.getElementById("samples").scrollIntoView();
  controls.cell.focus({ preventScroll: true });
}

function showSamples() {
  if (data.cases.length === 0) return;
  const choice = (label, options, choose) => {
    const select = el("select", { onchange: () => choose(select.value) },
      options.map(([value, name]) => el("option", { value }, name)));
    return [select, el("label", {}, label, select)];
  };
  const step = (name, by) =>
    el("button", { type: "button", onclick: () => change({ at: view.at + by }) }, name);
  const cells = [...casesOf.keys()].map((cell) => [cell, data.cells[cell].label]);
  const filters = Object.entries(FILTERS).map(([name, [title]]) => [name, title]);
  const [cell, cellLabel] = choice("Task", cells, (value) =>
    change({ cell: Number(value), at: 0, spec: null }));
  const [filter, filterLabel] = choice("Show", filters, (value) =>
    change({ filter: value, at: 0 }));
  Object.assign(controls, {
    cell, filter, before: step("← before", -1), after: step("next →", 1),
    place: el("span", { class: "soft", "aria-live": "polite" }), body: el("div"),
  });
  view.cell = cells[0][0];
  section("samples", "Samples", null,
    el("div", { class: "tools" }, cellLabel, filterLabel,
      el("div", { class: "turn" }, controls.before, controls.place, controls.after)),
    controls.body);
  paintSamples();
  DARK.addEventListener("change", paintSamples);
}
