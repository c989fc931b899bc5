// Quality against what it costs: budget curves, Pareto plots, figures by layer and by question.
// Each takes the rows of one task at one length and returns a card, or null where there is nothing.

function budgetCurve(cell, rows) {
  const points = drawable(rows).filter((row) => budgetOf(row) !== undefined);
  const budgets = [...new Set(points.map(budgetOf))].sort((a, b) => a - b);
  if (budgets.length < 2) return null;
  const { label } = data.cells[cell];
  const full = rows.find((row) => row.n > 0 && specOf(row) === "full" && isScore(cell));
  const pointOf = (row) =>
    ({ x: budgetOf(row), y: row.mean, low: row.low, high: row.high, tip: tipOf(row) });
  const configure = () => ({
    reference: full && { ...full, colour: colour("--soft") },
    datasets: [...groupBy(points.filter(isChosen), formOfRow)].map(([form, of]) =>
      seriesOf(form, of.map(pointOf).sort((a, b) => a.x - b.x))),
    x: {
      name: "budget, % of the prompt",
      type: "logarithmic",
      min: budgets[0] * 0.85, max: budgets[budgets.length - 1] * 1.18,
      afterBuildTicks: (axis) => { axis.ticks = budgets.map((value) => ({ value })); },
      ticks: { callback: (value) => rounded(value) },
    },
    y: figureAxis(cell, points),
  });
  return chartCard(label, `${label}: ${figureName(cell)} against the budget`, configure,
    () => (full ? `dashed: full, ${figure(cell, full.mean)}` : ""));
}

// Rows that no other one beats in both.
function frontOf(rows, cost) {
  const better = (a, b) => (isScore(a.cell) ? a.mean > b.mean : a.mean < b.mean);
  const front = [];
  for (const row of [...rows].sort((a, b) => cost(a) - cost(b) || (better(a, b) ? -1 : 1))) {
    if (front.length === 0 || better(row, front[front.length - 1])) front.push(row);
  }
  return front;
}

const COSTS = [
  // `name` of the means, in units of 1 / `scale`; `sign` 1: less is better, -1: more is.
  { id: "bytes", name: "bytes", scale: 1e-6, sign: 1, axis: "MB of KV cache",
    title: "bytes of the cache", powers: true },
  { id: "speed", name: "decode_tok_s", scale: 1, sign: -1, axis: "tokens/s",
    title: "decode speed" },
];
const MOST_WHISKERS = 24;  // of a plot whose points lie anywhere

function paretoPlot(cell, rows, { name, scale, sign, axis, title, powers }) {
  const points = drawable(rows).filter((row) => row.means[name] > 0);
  if (points.length < 2) return null;
  const { label } = data.cells[cell];
  const cost = (row) => row.means[name] * scale;
  const front = frontOf(points, (row) => sign * cost(row));
  const pointOf = (row) => ({
    x: cost(row), y: row.mean, tip: `${tipOf(row)}, ${rounded(cost(row))} ${axis}`,
    ...(points.length <= MOST_WHISKERS && { low: row.low, high: row.high }),
  });
  const configure = () => ({
    datasets: [
      ...[...groupBy(points, formOfRow)].map(([form, of]) =>
        seriesOf(form, of.map(pointOf), false)),
      { data: front.map((row) => ({ x: cost(row), y: row.mean })), showLine: true, order: 2,
        borderColor: colour("--soft"), borderDash: [3, 3], borderWidth: 1,
        pointRadius: 0, pointHitRadius: 0, clip: 8 },
    ],
    x: powers
      ? { name: axis, ...POWERS, min: Math.min(...points.map(cost)) * 0.8,
          max: Math.max(...points.map(cost)) * 1.25 }
      : { name: axis, grace: "5%" },
    y: figureAxis(cell, points),
  });
  return chartCard(label, `${label}: ${figureName(cell)} against ${title}`, configure,
    () => `not beaten in both: ${front.map(specOf).join(" · ")}`);
}

// A series whose line is the fainter, the smaller the budget: lines of one form share a colour.
function shaded(row, points) {
  const series = seriesOf(formOfRow(row), points);
  const budget = budgetOf(row);
  const strength = budget === undefined ? 1 : Math.min(1, 0.35 + 0.13 * budget ** 0.4);
  const tone = series.borderColor + Math.round(255 * strength).toString(16).padStart(2, "0");
  const pointRadius = points.length > 12 ? 1.5 : 2.5;
  return { ...series, borderColor: tone, backgroundColor: tone, pointRadius };
}

// One line a spec over the layers of the model; null where all lines are one level.
function layerPlot(cell, rows, name, axis) {
  const lines = rows.filter((row) => row.layers && row.layers[name]);
  const values = lines.flatMap((row) => row.layers[name]);
  if (new Set(values).size < 2) return null;
  const { label } = data.cells[cell];
  const pointsOf = (row) => row.layers[name].map((value, layer) =>
    ({ x: layer, y: value, tip: `${specOf(row)}, layer ${layer}: ${rounded(value)}` }));
  return chartCard(label, `${label}: ${axis} by layer`, () => ({
    datasets: lines.filter(isChosen).map((row) => shaded(row, pointsOf(row))),
    x: { name: "layer", ticks: { precision: 0 } },
    y: { name: axis, min: 0, suggestedMax: Math.max(...values), ticks: { maxTicksLimit: 6 } },
  }));
}

function turnPlot(cell, rows) {
  const lines = rows.filter((row) => row.by_turn);
  if (lines.length === 0) return null;
  const { label } = data.cells[cell];
  const pointsOf = (row) => row.by_turn.map((value, turn) => ({
    x: turn + 1, y: value, tip: `${specOf(row)}, question ${turn + 1}: ${figure(cell, value)}`,
  }));
  return chartCard(label, `${label}: score by question`, () => ({
    datasets: lines.filter(isChosen).map((row) => shaded(row, pointsOf(row))),
    x: { name: "question", ticks: { precision: 0, stepSize: 1 } },
    y: figureAxis(cell, lines),
  }));
}

const FAINT = "The fainter a line, the smaller the budget.";

function showCurves() {
  const cells = [...groupBy(data.rows, (row) => row.cell)];
  let chips = forms.length > 1 ? formChips(redrawDrawn) : null;
  const show = (id, title, lead, make) => {
    const made = cells.map(([cell, rows]) => make(cell, rows)).filter(Boolean);
    if (made.length === 0) return;
    section(id, title, lead, chips, el("div", { class: "grid" }, made));
    chips = null;  // above the first charts only
  };
  show("budget", "Quality against budget",
    "What each spec was asked to keep or read, and how well it did. Whiskers are 95 % intervals.",
    budgetCurve);
  for (const cost of COSTS) {
    show(cost.id, `Quality against ${cost.title}`,
      "Each point is a spec; the dotted line joins those that no other beats in both.",
      (cell, rows) => paretoPlot(cell, rows, cost));
  }
  show("error", "Attention output by layer",
    "How far each layer's attention output is from that of full on the same text, relative to " +
    `its length. ${FAINT}`,
    (cell, rows) => layerPlot(cell, rows, "attention_error", "relative error"));
  show("recall", "Evidence by layer",
    `Which share of the answer's tokens the heads of each layer still hold. ${FAINT}`,
    (cell, rows) => layerPlot(cell, rows, "recall", "share held"));
  show("turns", "By question",
    `Several questions to one compressed context, in the order asked. ${FAINT}`, turnPlot);
}
