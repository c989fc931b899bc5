// Drill-down: one sample at a time, its prompt, what each spec answered and what its cache kept.
const FILTERS = {
  all: ["all samples", () => true],
  differ: ["where specs differ", (of) => new Set(of.map((sample) => sample.value)).size > 1],
  wrong: ["where one is wrong", (of) => of.some((sample) => sample.value < 1)],
  failed: ["where one failed", (of) => of.some((sample) => sample.error)],
};
const MOST_KEPT = 24;
const view = { cell: 0, filter: "all", at: 0, spec: null };
const samplesOf = groupBy(data.samples, (sample) => sample.case);
const casesOf = groupBy(data.cases.keys(), (index) => data.cases[index].cell);

function matchingCases() {
  const accepts = FILTERS[view.filter][1];
  return (casesOf.get(view.cell) || []).filter((index) => accepts(samplesOf.get(index) || []));
}

// The prompt's pieces with the answers marked; a number stands for characters that are left out.
function promptText(pieces, answers) {
  const wanted = [...new Set(answers)].filter(Boolean).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = wanted.length ? new RegExp(`(${wanted.join("|")})`) : null;
  return pieces.flatMap((piece) => {
    if (typeof piece === "number") return el("span", { class: "gap" }, ` … ${piece.toLocaleString("en")} characters … `);
    if (!pattern) return piece;
    return piece.split(pattern).map((part, i) => (i % 2 ? el("mark", {}, part) : part));
  });
}

const specCell = (sample) => el("th", { scope: "row" }, sample.spec === view.spec ? "▸ " : null,
  el("code", {}, data.specs[sample.spec]));

function answersTable(turn, index, samples) {
  return el("div", { class: "scroll tall", role: "region", tabindex: 0, "aria-label": `Answers to: ${turn.question}` },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "spec"),
      el("th", { scope: "col", class: "number" }, "score"), el("th", { scope: "col" }, "answer"))),
    el("tbody", {}, samples.map((sample) => {
      const given = sample.turns && sample.turns[index];
      return el("tr", {}, specCell(sample),
        el("td", { class: "number" }, given ? (100 * given.score).toFixed(0) : "–"),
        el("td", { class: "wrap answer" }, sample.error ? el("span", { class: "loss" }, sample.error)
          : given ? given.prediction : ""));
    }))));
}

// Texts have no answers but figures.
function figuresTable(samples) {
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample.figures || {})))];
  return el("div", { class: "scroll tall", role: "region", tabindex: 0, "aria-label": "Figures" },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "spec"),
      names.map((name) => el("th", { scope: "col", class: "number" }, name)))),
    el("tbody", {}, samples.map((sample) => el("tr", {}, specCell(sample), sample.error
      ? el("td", { class: "loss", colspan: names.length }, sample.error)
      : names.map((name) => el("td", { class: "number" }, String(Number((sample.figures[name] ?? NaN).toPrecision(5))))))))));
}

// Rows are layers, columns parts of the prompt.
function keptMap(sample) {
  const rows = sample.map, spec = data.specs[sample.spec];
  const share = sample.share === undefined ? "" : `${(100 * sample.share).toFixed(1)} % of entries`;
  const canvas = el("canvas", { role: "img", width: rows[0].length, height: rows.length,
    "aria-label": `${spec}: what each layer holds of the prompt, ${share}` });
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

function caseView(index) {
  const { prompt, tokens, turns, seed, index: number } = data.cases[index];
  const samples = [...(samplesOf.get(index) || [])].sort((a, b) => a.spec - b.spec);
  const answers = turns.flatMap((turn) => turn.answers);
  const kept = samples.filter((sample) => sample.map);
  return el("article", {},
    el("p", { class: "soft" }, `Sample ${number} of seed ${seed}` + (tokens ? `, ${tokens.toLocaleString("en")} tokens read and compressed` : "")),
    el("pre", { class: "prompt", tabindex: 0, role: "region", "aria-label": "Prompt" }, promptText(prompt, answers)),
    turns.map((turn, i) => [el("h3", {}, turn.question.trim() || "The prompt goes on with"),
      el("p", { class: "soft" }, "Right: ", turn.answers.map((answer, j) => [j ? ", " : "", el("code", {}, answer)])),
      answersTable(turn, i, samples)]),
    turns.length === 0 ? figuresTable(samples) : null,
    kept.length === 0 ? null : [el("h3", { class: "apart" }, "What each cache kept"),
      el("p", { class: "soft" }, "Layers from the first at the top; the prompt from left to right; the stronger the colour, the more of it is held" +
        (data.layers_per_line > 1 ? ` (a line is the mean of ${data.layers_per_line} layers).` : ".")),
      cards(kept.map(keptMap), MOST_KEPT, "kept")]);
}

const controls = {};

function paintSamples() {
  const cases = matchingCases();
  view.at = Math.min(Math.max(view.at, 0), Math.max(cases.length - 1, 0));
  controls.cell.value = view.cell;
  controls.filter.value = view.filter;
  controls.place.textContent = cases.length ? `${view.at + 1} of ${cases.length}` : "none";
  controls.before.disabled = view.at === 0;
  controls.after.disabled = view.at >= cases.length - 1;
  controls.body.replaceChildren(cases.length ? caseView(cases[view.at]) : el("p", {}, "No sample here."));
}

function change(values) {
  Object.assign(view, values);
  paintSamples();
}

// From the table: the samples of a row, its spec pointed out.
function openSamples(cell, spec) {
  change({ cell, spec, filter: "all", at: 0 });
  document.getElementById("samples").scrollIntoView();
  controls.before.disabled ? controls.cell.focus({ preventScroll: true }) : controls.before.focus({ preventScroll: true });
}

function showSamples() {
  if (data.cases.length === 0) return;
  const option = (value, text) => el("option", { value }, text);
  controls.cell = el("select", { onchange: () => change({ cell: Number(controls.cell.value), at: 0, spec: null }) },
    [...casesOf.keys()].map((cell) => option(cell, data.cells[cell].label)));
  controls.filter = el("select", { onchange: () => change({ filter: controls.filter.value, at: 0 }) },
    Object.entries(FILTERS).map(([name, [text]]) => option(name, text)));
  controls.before = el("button", { type: "button", onclick: () => change({ at: view.at - 1 }) }, "← before");
  controls.after = el("button", { type: "button", onclick: () => change({ at: view.at + 1 }) }, "next →");
  controls.place = el("span", { class: "soft", "aria-live": "polite" });
  controls.body = el("div");
  view.cell = casesOf.keys().next().value;
  section("samples", "Samples", null,
    el("div", { class: "tools" }, el("label", {}, "Task", controls.cell), el("label", {}, "Show", controls.filter),
      el("div", { class: "turn" }, controls.before, controls.place, controls.after)), controls.body);
  paintSamples();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintSamples);
}
