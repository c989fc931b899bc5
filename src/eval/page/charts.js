// Charts: drawn when they come near the screen, again when colours or choices change.
const charts = [];

const nearby = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    nearby.unobserve(entry.target);
    charts.find((chart) => chart.canvas === entry.target).draw();
  }
}, { rootMargin: "400px" });

function redrawDrawn() {
  for (const chart of charts) if (chart.drawn) chart.draw();
}
DARK.addEventListener("change", redrawDrawn);
addEventListener("beforeprint", () => charts.forEach((chart) => chart.drawn || chart.draw()));

// A card with a chart of what `configure` returns; `caption` is told anew each time.
function chartCard(title, label, configure, caption) {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const note = el("figcaption");
  const chart = {
    canvas,
    drawn: null,
    draw() {
      if (this.drawn) this.drawn.destroy();
      this.drawn = new Chart(canvas, themed(configure()));
      note.textContent = caption ? caption() : "";
    },
  };
  charts.push(chart);
  nearby.observe(canvas);
  return el("figure", { class: "card" },
    el("h3", {}, title), el("div", { class: "chart" }, canvas), caption ? note : null);
}

// A level with its band: `reference` is { mean, low, high, colour }.
function drawReference({ ctx, chartArea, scales: { y } }, reference) {
  const inside = (value) =>
    Math.min(Math.max(y.getPixelForValue(value), chartArea.top), chartArea.bottom);
  const top = inside(reference.high);
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = reference.colour;
  ctx.globalAlpha = 0.12;
  ctx.fillRect(chartArea.left, top, chartArea.width, inside(reference.low) - top);
  ctx.globalAlpha = 0.8;
  ctx.setLineDash([5, 4]);
  ctx.beginPath();
  ctx.moveTo(chartArea.left, y.getPixelForValue(reference.mean));
  ctx.lineTo(chartArea.right, y.getPixelForValue(reference.mean));
  ctx.stroke();
  ctx.restore();
}

// From `low` to `high` of each point that has them.
function drawWhiskers({ ctx, chartArea, data: { datasets }, scales: { x, y } }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(chartArea.left, chartArea.top - 3, chartArea.width, chartArea.height + 6);
  ctx.clip();
  ctx.globalAlpha = 0.55;
  for (const dataset of datasets) {
    ctx.strokeStyle = dataset.borderColor;
    for (const point of dataset.data) {
      if (point.low === undefined) continue;
      const at = x.getPixelForValue(point.x), high = y.getPixelForValue(point.high);
      // Zero is nowhere on a logarithmic axis.
      const low = point.low > 0 || y.type !== "logarithmic" ? y.getPixelForValue(point.low)
        : chartArea.bottom + 9;
      ctx.beginPath();
      ctx.moveTo(at, low);
      ctx.lineTo(at, high);
      for (const end of [low, high]) {
        ctx.moveTo(at - 3, end);
        ctx.lineTo(at + 3, end);
      }
      ctx.stroke();
    }
  }
  ctx.restore();
}

const intervals = {
  id: "intervals",
  beforeDatasetsDraw(chart, _, { reference }) {
    if (reference) drawReference(chart, reference);
  },
  afterDatasetsDraw: drawWhiskers,
};

// { datasets, x, y, reference }: a chart in the colours of the page.
function themed({ datasets, x, y, reference }) {
  const soft = colour("--soft"), line = colour("--line");
  const axis = (options) => ({
    ...options,
    ticks: { color: soft, maxRotation: 0, ...options.ticks },
    grid: { color: line, borderColor: line, tickColor: line },
    title: { display: true, color: soft, text: options.name },
  });
  return {
    type: "scatter",
    data: { datasets },
    plugins: [intervals],
    options: {
      animation: false, responsive: true, maintainAspectRatio: false,
      font: { family: "system-ui, sans-serif" },
      scales: { x: axis(x), y: axis(y) },
      plugins: {
        legend: { display: false },
        tooltip: { displayColors: false, callbacks: { label: (item) => item.raw.tip } },
        intervals: { reference },
      },
    },
  };
}

// Points of one form. Where it is not chosen they are small, grey and without whiskers.
function seriesOf(form, points, showLine = true) {
  const style = styleOf(form);
  const tone = style ? style.colour : colour("--line");
  return {
    data: style ? points : points.map(({ low, high, ...point }) => point),
    showLine: showLine && points.length > 1,
    borderColor: tone, backgroundColor: tone, borderWidth: 1.5,
    pointStyle: style ? style.shape : "circle",
    pointRadius: style ? 4 : 2.5, pointHoverRadius: 6,
    order: style ? 0 : 1,
    clip: 8,
  };
}

// A logarithmic axis with lines at 1, 2 and 5 of each power of ten.
const POWERS = {
  type: "logarithmic",
  afterBuildTicks: (axis) => {
    const values = [];
    for (let power = 10 ** Math.floor(Math.log10(axis.min)); power <= axis.max; power *= 10) {
      values.push(power, 2 * power, 5 * power);
    }
    axis.ticks = values.filter((value) => value >= axis.min * 0.999 && value <= axis.max * 1.001)
      .map((value) => ({ value }));
  },
  ticks: { callback: (value) => rounded(value) },
};

// The axis of a task's figure: scores from 0 to 100, distances in powers of ten.
function figureAxis(cell, rows) {
  const name = figureName(cell);
  if (isScore(cell)) {
    return { name, min: 0, max: 1,
             ticks: { stepSize: 0.25, callback: (value) => Math.round(100 * value) } };
  }
  const least = Math.min(...rows.map((row) => row.mean));
  return { name, min: 10 ** Math.floor(Math.log10(least)), ...POWERS };
}

// Rows that an axis can show.
const drawable = (rows) => rows.filter((row) => row.n > 0 && (isScore(row.cell) || row.mean > 0));
const tipOf = (row) => `${specOf(row)}: ${figure(row.cell, row.mean)} ` +
  `(${figure(row.cell, row.low)} … ${figure(row.cell, row.high)})`;
