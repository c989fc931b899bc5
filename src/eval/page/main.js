// The page from top to bottom.

function showHead() {
  const sum = (name) => data.rows.reduce((total, row) => total + row[name], 0);
  document.title = `Kvasir: ${data.title}`;
  document.getElementById("title").textContent = data.title;
  document.getElementById("facts").textContent = [
    count(data.specs.length, "spec"), count(data.cells.length, "task"), count(sum("n"), "result"),
    ...(sum("failed") > 0 ? [`${sum("failed")} failed`] : []),
  ].join(" · ");
  document.getElementById("notes").append(...data.notes.map((note) =>
    el("li", { class: note.bad ? "bad" : null }, note.text)));
}

const pairs = (entries) => el("dl", {}, entries.filter(([, value]) => value).map(
  ([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

function runCard(run) {
  const { model, machine } = run;
  return el("div", { class: "card" }, pairs([
    ["command", el("pre", {}, run.command)],
    ["build", run.build && el("code", {}, run.build)],
    ["started", run.started],
    ["model", model && `${model.name}, ${model.architecture}, ${model.layers} layers, ` +
      `${model.kv_heads} KV heads, fingerprint ${model.fingerprint}`],
    ["machine", machine &&
      `${machine.cpu}, ${machine.threads} threads, ${machine.kernels}, ${machine.system}`],
    ["compressed", run.query_agnostic ? "the context alone, before the question was known"
      : "context and question, where the task does not say otherwise"],
    ["seed", String(run.seed)],
  ]));
}

function showOrigin() {
  const tasks = new Map(data.cells.map((cell) => [cell.task, `${cell.summary} (${cell.metric})`]));
  section("origin", "How this was made", null,
    data.runs.map(runCard),
    el("h3", { class: "apart" }, "Tasks"),
    pairs([...tasks]),
    el("h3", { class: "apart" }, "Statistics"),
    el("p", { class: "lead" }, "All specs run on the same samples. Intervals are 95 %: bootstrap " +
      "percentiles of 10,000 resamples, Wilson's where every score is 0 or 1. Differences are " +
      "paired by sample. Times are of this machine as it was then."));
}

showHead();
showCurves();
showHeatMaps();
showTable();
showSamples();
showOrigin();
