// kvasir eval: quality, fidelity and speed of specs on the same samples.
#include <malloc.h>
#include <sys/utsname.h>

#include <ctime>
#include <fstream>

#include "cache/spare_slabs.h"
#include "commands.h"
#include "context.h"
#include "engine/loaded_model.h"
#include "eval/report.h"
#include "eval/runner.h"
#include "eval/summary.h"
#include "eval_output.h"
#include "methods/registry.h"
#include "version.h"

namespace kvasir::cli {
namespace {

using eval::Cell;
using eval::Json;
using eval::Task;

std::string ListText() {
  std::string text, family;
  for (const std::unique_ptr<Task>& task : eval::AllTasks()) {
    const eval::TaskFacts& facts = task->facts();
    if (facts.family != family)
      text += fmt::format("{}{}\n", text.empty() ? "" : "\n", facts.family);
    family = facts.family;
    text += fmt::format("  {:<26} {}{}\n", facts.name, facts.summary,
                        facts.stand_in.empty() ? "" : fmt::format(" ({})", facts.stand_in));
  }
  return text;
}

Json ListJson() {
  Json tasks = Json::array();
  for (const std::unique_ptr<Task>& task : eval::AllTasks()) {
    const eval::TaskFacts& facts = task->facts();
    tasks.push_back({{"name", facts.name},
                     {"family", facts.family},
                     {"metric", facts.metric},
                     {"summary", facts.summary},
                     {"default_length", facts.default_length},
                     {"stand_in", facts.stand_in}});
  }
  return {{"tasks", std::move(tasks)}};
}

// Version and a hash of the program's own bytes: results of another build are other results.
std::string BuildName() {
  const auto bytes = eval::ReadWholeFile("/proc/self/exe");
  return fmt::format("{}-{}", kVersion, bytes ? eval::Hex(eval::HashText(*bytes)) : "unknown");
}

Json MachineJson(const ModelFacts& facts) {
  Json machine = {{"cpu", "unknown"}, {"threads", facts.threads}, {"kernels", facts.cpu}};
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      machine["cpu"] = line.substr(colon + 2);
      break;
    }
  }
  utsname system;
  if (uname(&system) == 0) machine["system"] = fmt::format("{} {}", system.sysname, system.release);
  return machine;
}

// "kvasir eval --task a --kv 'full; b'": what a shell takes.
std::string CommandLine(const Args& args) {
  std::string line = "kvasir eval";
  for (const FlagGroup* group : args.command().groups) {
    for (const Flag& flag : group->flags) {
      if (!args.Given(flag.name)) continue;
      line += fmt::format(" --{}", flag.name);
      if (!TakesValue(flag)) continue;
      std::string quoted = "'";
      for (const char c : args.Text(flag.name)) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
      }
      line += " " + quoted + "'";
    }
  }
  return line;
}

// "2026-11-28T18:41:51Z"
std::string TimeNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json HeaderOf(const Args& args, const ModelFacts& facts, const eval::RunOptions& options,
              std::span<const Cell> cells) {
  Json tasks = Json::array();
  for (const Cell& cell : cells) {
    const eval::TaskFacts& task = cell.task->facts();
    tasks.push_back({{"name", task.name},
                     {"family", task.family},
                     {"metric", task.metric},
                     {"figure", eval::FigureOf(*cell.task)},
                     {"summary", task.summary},
                     {"stand_in", cell.task->StandIn(options.sources)},
                     {"length", cell.length},
                     {"samples", cell.n_samples}});
  }
  return {{"type", "run"},
          {"schema", 1},
          {"command", CommandLine(args)},
          {"build", options.build},
          {"started", TimeNow()},
          {"machine", MachineJson(facts)},
          {"model",
           {{"name", facts.name},
            {"fingerprint", facts.fingerprint},
            {"architecture", facts.architecture},
            {"parameters", facts.n_params},
            {"weight_bytes", facts.weight_bytes},
            {"layers", facts.n_layers},
            {"kv_heads", facts.n_kv_heads}}},
          {"specs", options.specs},
          {"seed", options.seed},
          {"query_agnostic", options.query_agnostic},
          {"tasks", std::move(tasks)}};
}

Result<eval::RunOptions> OptionsOf(const Args& args) {
  eval::RunOptions options;
  KV_ASSIGN_OR_RETURN(options.tasks, eval::FindTasks(args.Text("task")));
  KV_ASSIGN_OR_RETURN(options.specs, SplitSpecs(args.Text("kv")));
  options.lengths = args.Ints("length");
  options.n_samples = args.Int("samples");
  options.seed = static_cast<uint64_t>(args.Int("seed"));
  options.query_agnostic = args.On("query-agnostic");
  options.batch = args.On("batch");
  options.sources = {.data = args.Text("data"),
                     .file = args.Text("file"),
                     .wrap = args.On("raw") ? eval::Wrap::kLine : eval::Wrap::kChat};
  // A group of specs reads a prompt layer by layer, so there is no --chunk-major here.
  options.session.kv_type = args.Text("kv-type");
  options.session.ctx = args.Int("ctx");
  options.session.kv_memory = args.Bytes("kv-memory");
  options.session.chunk = static_cast<int>(std::min<int64_t>(args.Int("chunk"), 1 << 20));
  options.build = BuildName();
  return options;
}

void TellEnd(Context& context, const eval::RunSummary& run) {
  std::string line = fmt::format("{} samples done", run.n_done - run.n_failed);
  if (run.n_before > 0) line += fmt::format(", {} known before", run.n_before);
  if (run.n_failed > 0) line += fmt::format(", {} failed", run.n_failed);
  if (run.interrupted) {
    line += context.args.Given("out") ? "; interrupted: results so far are kept, --resume goes on"
                                      : "; interrupted: the table shows the results so far";
  }
  context.console.Info(line);
}

Result<eval::ResultFile> OpenResults(Context& context) {
  if (!context.args.Given("out")) return eval::ResultFile();
  KV_ASSIGN_OR_RETURN(eval::ResultFile results,
                      eval::ResultFile::Open(context.args.Text("out"), context.args.On("resume")));
  if (results.repaired()) {
    context.console.Warn(fmt::format("{}: its last line was cut off and has been taken away",
                                     context.args.Text("out")));
  }
  return results;
}

// Methods take and give back vectors of a megabyte all the time. What goes back to the system has
// to be cleared before it comes again: up to a quarter of an evaluation.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most there is
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int ListTasks(Context& context) {
  if (context.console.json()) {
    context.console.WriteJson(ListJson());
  } else {
    context.console.Write(ListText());
  }
  return kExitDone;
}

eval::RunEvents EventsOf(Context& context, ProgressBar& bar) {
  return {.interrupted = [] { return Interrupt::Pending(); },
          .progress = [&bar](int64_t done, int64_t total) { bar.Show(done, total); },
          .warn =
              [&context, &bar](const std::string& line) {
                bar.Clear();
                context.console.Warn(line);
              }};
}

// What this command's cells have shown, now and before: its file may hold other samples too.
Status ShowResults(Context& context, const eval::RunOptions& options, const eval::Runner& runner,
                   std::span<const Cell> cells, const eval::ResultFile& results, const Json& header,
                   const eval::RunSummary& run) {
  const Args& args = context.args;
  const std::set<std::string> keys = runner.KeysOf(cells);
  std::vector<const eval::Outcome*> outcomes;
  for (const eval::Outcome& outcome : results.outcomes()) {
    if (keys.contains(outcome.key)) outcomes.push_back(&outcome);
  }
  std::vector<eval::CellFacts> facts;
  for (const Cell& cell : cells) facts.push_back(runner.FactsOf(cell));
  const eval::Summary summary = eval::Summarise(facts, options.specs, outcomes);
  const auto page = [&]() -> Result<std::string> {
    eval::Report report(keys);
    KV_ASSIGN_OR_RETURN(const std::string text, results.Text());
    KV_RETURN_IF_ERROR(report.Add(text, args.Text("out")));
    return report.Html();
  };
  KV_RETURN_IF_ERROR(WriteEvalOutputs(args, summary, page));
  if (context.console.json()) {
    context.console.WriteJson({{"run", header},
                               {"rows", eval::SummaryJson(summary)},
                               {"failed", run.n_failed},
                               {"interrupted", run.interrupted}});
  } else {
    context.console.Write(eval::SummaryText(summary));
  }
  return {};
}

}  // namespace

Result<int> EvalCommand(Context& context) {
  KeepFreedMemory();
  const SpareSlabs spare(int64_t{4} << 30);
  const Args& args = context.args;
  if (args.On("list")) return ListTasks(context);
  if (!args.Given("task")) {
    return WrongUsage(context, "nothing to do: give --task NAME; --list shows the tasks");
  }
  if (args.On("resume") && !args.Given("out")) {
    return WrongUsage(context, "--resume needs the file to go on with: --out FILE");
  }
  KV_ASSIGN_OR_RETURN(const eval::RunOptions options, OptionsOf(args));
  KV_RETURN_IF_ERROR(CheckEvalOutputs(args));
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());

  ProgressBar bar(context.console, "evaluating");
  const eval::RunEvents events = EventsOf(context, bar);
  eval::Runner runner(std::static_pointer_cast<LoadedModel>(model), options, events);
  KV_ASSIGN_OR_RETURN(const std::vector<Cell> cells, runner.Plan());
  KV_ASSIGN_OR_RETURN(eval::ResultFile results, OpenResults(context));
  const Json header = HeaderOf(args, model->facts(), options, cells);
  KV_RETURN_IF_ERROR(results.Append(header));
  KV_ASSIGN_OR_RETURN(const eval::RunSummary run, runner.Run(cells, results));
  bar.Clear();
  KV_RETURN_IF_ERROR(ShowResults(context, options, runner, cells, results, header, run));
  TellEnd(context, run);
  if (run.interrupted) return kExitInterrupted;
  return run.n_failed > 0 ? kExitFailed : kExitDone;
}

}  // namespace kvasir::cli
