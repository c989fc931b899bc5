// Quality against what it costs: budget curves, Pareto plots, figures by layer and by question.

function budgetCurve(cell, rows) {
  const points = seen(rows).filter((row) => budgetOf(row) !== undefined);
  if (points.length === 0) return null;
  const budgets = [...new Set(points.map(budgetOf))].sort((a, b) => a - b);
  const whole = rows.find((row) => row.n > 0 && data.specs[row.spec] === "full");
  const { label } = data.cells[cell];
  return chartCard(label, `${label}: ${figureName(cell)} against the budget, one line a spec`, () => ({
    reference: whole && isScore(cell) ? { ...whole, colour: colour("--soft") } : undefined,
    data: { datasets: [...groupBy(points, (row) => formOf(data.specs[row.spec]))].filter(([form]) => styleOf(form))
      .map(([form, of]) => seriesOf(form, of.map((row) => ({
        x: budgetOf(row), y: row.mean, low: row.low, high: row.high, tip: tipOf(row) }))
        .sort((a, b) => a.x - b.x))) },
    options: { scales: {
      x: { type: "logarithmic", min: budgets[0] * 0.85, max: budgets[budgets.length - 1] * 1.18,
           title: { text: "budget, % of the prompt" },
           afterBuildTicks: (axis) => { axis.ticks = budgets.map((value) => ({ value })); },
           ticks: { autoSkip: true, maxRotation: 0, callback: (value) => Number(value.toPrecision(3)) } },
      y: figureAxis(cell, points) } },
  }), () => (whole && isScore(cell) ? `dashed: full, ${figure(cell, whole.mean)}` : ""));
}

const MOST_WHISKERS = 24;  // of a plot whose points lie anywhere

// Rows that no other one beats in both.
function front(rows, cost) {
  const better = (a, b) => (isScore(a.cell) ? a.mean > b.mean : a.mean < b.mean);
  const best = [];
  for (const row of [...rows].sort((a, b) => cost(a) - cost(b) || (better(a, b) ? -1 : 1))) {
    if (best.length === 0 || better(row, best[best.length - 1])) best.push(row);
  }
  return best;
}

// `name` of the means, `scale`d; `sign` 1: less is better, -1: more is.
function paretoPlot(cell, rows, { name, scale, sign, axis, title, type }) {
  const points = seen(rows).filter((row) => row.means[name] > 0);
  if (points.length < 2) return null;
  const best = front(points, (row) => sign * row.means[name]);
  const at = (row) => ({ x: row.means[name] * scale, y: row.mean, tip: `${tipOf(row)}, ` +
    `${Number((row.means[name] * scale).toPrecision(3))} ${axis}` });
  const { label } = data.cells[cell];
  const costs = points.map((row) => row.means[name] * scale);
  const range = type === "logarithmic" ? { min: Math.min(...costs) * 0.8, max: Math.max(...costs) * 1.25, ...POWERS }
    : { grace: "5%" };
  return chartCard(label, `${label}: ${figureName(cell)} against ${title}`, () => ({
    data: { datasets: [
      ...[...groupBy(points, (row) => formOf(data.specs[row.spec]))].map(([form, of]) =>
        seriesOf(form, of.map((row) => ({ ...at(row), ...(points.length <= MOST_WHISKERS && { low: row.low, high: row.high }) })), false)),
      { data: best.map(at), showLine: true, borderColor: colour("--soft"), borderDash: [3, 3],
        borderWidth: 1, pointRadius: 0, pointHitRadius: 0, order: 2, clip: 8 }] },
    options: { scales: {
      x: { type, title: { text: axis }, ...range },
      y: figureAxis(cell, points) } },
  }), () => `not beaten in both: ${best.map((row) => data.specs[row.spec]).join(" · ")}`);
}

const COSTS = [
  { id: "bytes", name: "bytes", scale: 1e-6, sign: 1, axis: "MB of KV cache", title: "bytes of the cache",
    type: "logarithmic" },
  { id: "speed", name: "decode_tok_s", scale: 1, sign: -1, axis: "tokens/s", title: "decode speed",
    type: "linear" },
];

// A series whose line is the fainter, the smaller the budget: lines of one form share a colour.
function shaded(row, points) {
  const series = seriesOf(formOf(data.specs[row.spec]), points);
  const strength = budgetOf(row) === undefined ? 1 : Math.min(1, 0.35 + 0.13 * budgetOf(row) ** 0.4);
  series.borderColor += Math.round(255 * strength).toString(16).padStart(2, "0");
  return { ...series, backgroundColor: series.borderColor, pointRadius: 2.5 };
}
const isChosen = (row) => styleOf(formOf(data.specs[row.spec]));

// One line a spec over the layers of the model.
function layerPlot(cell, rows, name, axis) {
  const lines = rows.filter((row) => row.layers && row.layers[name]);
  const even = lines.every((row) => new Set(row.layers[name]).size === 1 && row.layers[name][0] === lines[0].layers[name][0]);
  if (even) return null;  // nothing lost, or no line at all
  const { label } = data.cells[cell];
  const most = Math.max(...lines.flatMap((row) => row.layers[name]));
  return chartCard(label, `${label}: ${axis} by layer`, () => ({
    data: { datasets: lines.filter(isChosen).map((row) => shaded(row, row.layers[name].map((value, layer) => (
      { x: layer, y: value, tip: `${data.specs[row.spec]}, layer ${layer}: ${Number(value.toPrecision(3))}` })))) },
    options: { scales: { x: { title: { text: "layer" }, ticks: { precision: 0 } },
                         y: { min: 0, suggestedMax: Math.max(most, 1e-3), title: { text: axis }, ticks: { maxTicksLimit: 6 } } } },
  }));
}

function turnPlot(cell, rows) {
  const lines = rows.filter((row) => row.by_turn);
  if (lines.length === 0) return null;
  const { label } = data.cells[cell];
  return chartCard(label, `${label}: score by question`, () => ({
    data: { datasets: lines.filter(isChosen).map((row) => shaded(row, row.by_turn.map((value, turn) => (
      { x: turn + 1, y: value, tip: `${data.specs[row.spec]}, question ${turn + 1}: ${(100 * value).toFixed(1)}` })))) },
    options: { scales: { x: { title: { text: "question" }, ticks: { precision: 0, stepSize: 1 } },
                         y: figureAxis(cell, lines) } },
  }));
}

function showCurves() {
  const cells = [...groupBy(data.rows, (row) => row.cell)];
  const plots = (make) => cells.map(([cell, rows]) => make(cell, rows)).filter(Boolean);
  const parts = [
    ["budget", "Quality against budget", "What each spec was asked to keep or read, and how well it did. " +
      "Whiskers are 95 % intervals.", plots(budgetCurve)],
    ...COSTS.map((cost) => [cost.id, `Quality against ${cost.title}`, "Each point is a spec; the dotted line joins " +
      "those that no other beats in both.", plots((cell, rows) => paretoPlot(cell, rows, cost))]),
    ["error", "Attention output by layer", "How far each layer's attention output is from that of full on the same " +
      "text, relative to its length. The fainter a line, the smaller the budget.", plots((cell, rows) => layerPlot(cell, rows, "attention_error", "relative error"))],
    ["recall", "Evidence by layer", "Which share of the answer's tokens the heads of each layer still hold. The fainter a line, the smaller the budget.",
      plots((cell, rows) => layerPlot(cell, rows, "recall", "share held"))],
    ["turns", "By question", "Several questions to one compressed context, in the order asked.", plots(turnPlot)],
  ].filter(([, , , cards]) => cards.length > 0);
  parts.forEach(([id, title, lead, cards], i) => section(id, title, lead,
    i === 0 && forms.length > 1 ? formChips(redrawDrawn) : null, el("div", { class: "grid" }, cards)));
}
