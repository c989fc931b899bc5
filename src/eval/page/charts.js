// Charts: drawn when they come near the screen, again when colours or choices change.
const charts = [];

function drawAll(again) {
  for (const chart of charts) if (again || !chart.drawn) chart.draw();
}

const nearby = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    nearby.unobserve(entry.target);
    charts.find((chart) => chart.canvas === entry.target).draw();
  }
}, { rootMargin: "400px" });
addEventListener("beforeprint", () => drawAll(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawDrawn());

function redrawDrawn() {
  for (const chart of charts) if (chart.drawn) chart.draw();
}

// A card with a chart of what `configure` returns; `caption` is told anew each time.
function chartCard(title, label, configure, caption) {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const note = el("figcaption");
  const chart = { canvas, drawn: null, draw() {
    if (this.drawn) this.drawn.destroy();
    this.drawn = new Chart(canvas, themed(configure()));
    note.textContent = caption ? caption() : "";
  } };
  charts.push(chart);
  nearby.observe(canvas);
  return el("figure", { class: "card" }, el("h3", {}, title), el("div", { class: "chart" }, canvas),
    caption ? note : null);
}

// Points with `low` and `high` get whiskers; `reference` of the options is a level with its band.
const intervals = {
  id: "intervals",
  beforeDatasetsDraw({ ctx, chartArea, scales: { y } }, _, { reference }) {
    if (!reference) return;
    ctx.save();
    const [top, bottom] = [y.getPixelForValue(reference.high), y.getPixelForValue(reference.low)];
    const clip = (at) => Math.min(Math.max(at, chartArea.top), chartArea.bottom);
    ctx.fillStyle = reference.colour;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(chartArea.left, clip(top), chartArea.width, clip(bottom) - clip(top));
    ctx.globalAlpha = 0.8;
    ctx.strokeStyle = reference.colour;
    ctx.setLineDash([5, 4]);
    ctx.beginPath();
    ctx.moveTo(chartArea.left, y.getPixelForValue(reference.mean));
    ctx.lineTo(chartArea.right, y.getPixelForValue(reference.mean));
    ctx.stroke();
    ctx.restore();
  },
  afterDatasetsDraw({ ctx, chartArea, data: { datasets }, scales: { x, y } }) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(chartArea.left, chartArea.top - 3, chartArea.width, chartArea.height + 6);
    ctx.clip();
    for (const dataset of datasets) {
      for (const point of dataset.data) {
        if (point.low === undefined) continue;
        const at = x.getPixelForValue(point.x);
        const ends = [point.low, point.high].map((value) => y.getPixelForValue(value));
        ctx.strokeStyle = dataset.borderColor;
        ctx.globalAlpha = 0.55;
        ctx.beginPath();
        ctx.moveTo(at, ends[0]);
        ctx.lineTo(at, Number.isFinite(ends[1]) ? ends[1] : chartArea.bottom);
        for (const end of ends) { ctx.moveTo(at - 3, end); ctx.lineTo(at + 3, end); }
        ctx.stroke();
      }
    }
    ctx.restore();
  },
};

function themed(config) {
  const soft = colour("--soft"), line = colour("--line");
  for (const scale of Object.values(config.options.scales)) {
    scale.ticks = { color: soft, ...scale.ticks };
    scale.grid = { color: line, borderColor: line, tickColor: line };
    scale.title = { display: true, color: soft, ...scale.title };
  }
  return {
    type: "scatter",
    data: config.data,
    plugins: [intervals],
    options: {
      ...config.options,
      animation: false, responsive: true, maintainAspectRatio: false,
      font: { family: "system-ui, sans-serif" },
      plugins: {
        legend: { display: false },
        tooltip: { displayColors: false, callbacks: { label: (item) => item.raw.tip } },
        intervals: { reference: config.reference },
      },
    },
  };
}

// Points of one series. Those of a form that is not chosen are small, grey and without whiskers.
function seriesOf(form, points, lines = true) {
  const style = styleOf(form);
  const tone = style ? style.colour : colour("--line");
  return {
    data: style ? points : points.map(({ low, high, ...point }) => point),
    showLine: lines && points.length > 1,
    borderColor: tone, backgroundColor: tone, borderWidth: 1.5,
    pointStyle: style ? style.shape : "circle", pointRadius: style ? 4 : 2.5, pointHoverRadius: 6,
    order: style ? 0 : 1, clip: 8,
  };
}

const tipOf = (row) => `${data.specs[row.spec]}: ${figure(row.cell, row.mean)} ` +
  `(${figure(row.cell, row.low)} … ${figure(row.cell, row.high)})`;

// The y axis of a task's figure: scores from 0 to 100, distances in powers of ten.
function figureAxis(cell, rows) {
  if (isScore(cell)) {
    return { min: 0, max: 1, title: { text: "score" },
             ticks: { stepSize: 0.25, callback: (value) => Math.round(100 * value) } };
  }
  const least = Math.min(...rows.filter((row) => row.mean > 0).map((row) => row.mean));
  return { type: "logarithmic", title: { text: figureName(cell) },
           min: 10 ** Math.floor(Math.log10(least)), ...POWERS };
}

// A logarithmic axis has lines at 1, 2 and 5 of each power of ten.
const POWERS = {
  afterBuildTicks: (axis) => {
    axis.ticks = [];
    for (let power = 10 ** Math.floor(Math.log10(axis.min)); power <= axis.max; power *= 10) {
      for (const step of [1, 2, 5]) axis.ticks.push({ value: step * power });
    }
    axis.ticks = axis.ticks.filter(({ value }) => value >= axis.min * 0.999 && value <= axis.max * 1.001);
  },
  ticks: { autoSkip: true, maxRotation: 0, callback: (value) => Number(value.toPrecision(3)) },
};

const seen = (rows) => rows.filter((row) => row.n > 0 && (isScore(row.cell) || row.mean > 0));
