// The page from top to bottom.

function showHead() {
  document.title = `Kvasir: ${data.title}`;
  document.getElementById("title").textContent = data.title;
  const failed = data.rows.reduce((sum, row) => sum + row.failed, 0);
  document.getElementById("facts").textContent = [count(data.specs.length, "spec"),
    count(data.cells.length, "task"), count(data.rows.reduce((sum, row) => sum + row.n, 0), "result")]
    .concat(failed ? [`${failed} failed`] : []).join(" · ");
  document.getElementById("notes").append(...data.notes.map((note) =>
    el("li", { class: note.bad ? "bad" : null }, note.text)));
}

function showOrigin() {
  const pairs = (entries) => el("dl", {}, entries.filter(([, value]) => value !== undefined && value !== "")
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  const tasks = data.cells.filter((cell, i) => cell.summary && data.cells.findIndex((other) => other.task === cell.task) === i);
  section("origin", "How this was made", null,
    data.runs.map((run) => el("div", { class: "card" }, pairs([
      ["command", el("pre", {}, run.command || "")],
      ["build", el("code", {}, run.build || "")],
      ["started", run.started],
      ["model", run.model ? `${run.model.name}, ${run.model.architecture}, ${run.model.layers} layers, ` +
        `${run.model.kv_heads} KV heads, fingerprint ${run.model.fingerprint}` : undefined],
      ["machine", run.machine ? `${run.machine.cpu}, ${count(run.machine.threads, "thread")}, ${run.machine.kernels}, ` +
        `${run.machine.system || ""}` : undefined],
      ["compressed", run.query_agnostic ? "the context alone, before the question was known" : "context and question, where the task does not say otherwise"],
      ["seed", String(run.seed)]]))),
    el("h3", { class: "apart" }, "Tasks"),
    pairs(tasks.map((cell) => [cell.task, `${cell.summary}${cell.metric ? ` (${cell.metric})` : ""}`])),
    el("h3", { class: "apart" }, "Statistics"),
    el("p", { class: "lead" }, "All specs run on the same samples. Intervals are 95 %: bootstrap percentiles of 10,000 resamples, " +
      "Wilson's where every score is 0 or 1. Differences are paired by sample. Times are of this machine as it was then."));
}

showHead();
showCurves();
showHeatMaps();
showTable();
showSamples();
showOrigin();
