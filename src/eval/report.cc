#include "eval/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir::eval {
namespace {

bool SameTask(const Json& run, const Json& task, const CellFacts& cell) {
  const auto model = run.find("model");
  return model != run.end() && TextOf(*model, "fingerprint") == cell.model &&
         TextOf(task, "name") == cell.task && IntOf(task, "length") == cell.length;
}

}  // namespace

std::string TextOf(const Json& record, const char* name) {
  const auto found = record.is_object() ? record.find(name) : record.end();
  return found != record.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t IntOf(const Json& record, const char* name) {
  const auto found = record.is_object() ? record.find(name) : record.end();
  return found != record.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

double NumberOf(const Json& record, const char* name) {
  const auto found = record.is_object() ? record.find(name) : record.end();
  return found != record.end() && found->is_number() ? found->get<double>() : 0;
}

const Json& ListOf(const Json& record, const char* name) {
  static const Json kNone = Json::array();
  const auto found = record.is_object() ? record.find(name) : record.end();
  return found != record.end() && found->is_array() ? *found : kNone;
}

Status Report::Add(std::string_view text, const std::string& path) {
  return ForEachRecord(text, path, [&](const Json& record, std::string_view line) -> Status {
    const std::string type = TextOf(record, "type");
    if (type.empty()) return Fail("'type' is missing or no text");
    if (type == "run") AddRun(record);
    if (type == "prompt") prompts_[TextOf(record, "hash")] = TextOf(record, "text");
    if (type == "sample" || type == "failure") return AddSample(record, line);
    return {};
  });
}

// A run that was stopped and started again is one.
void Report::AddRun(Json record) {
  const auto same = [&](const Json& run) {
    return TextOf(run, "command") == TextOf(record, "command") &&
           TextOf(run, "build") == TextOf(record, "build") &&
           ListOf(run, "tasks") == ListOf(record, "tasks");
  };
  const auto found = std::find_if(runs_.begin(), runs_.end(), same);
  if (found == runs_.end()) {
    runs_.push_back(std::move(record));
  } else {
    *found = std::move(record);
  }
}

Status Report::AddSample(const Json& record, std::string_view line) {
  KV_ASSIGN_OR_RETURN(Outcome outcome, OutcomeOf(record));
  if (!keys_.empty() && !keys_.contains(outcome.key)) return {};
  const CellFacts& cell = outcome.cell;
  const Identity identity = {cell.model,   cell.settings, cell.task,    cell.length,
                             outcome.spec, outcome.seed,  outcome.index};
  const auto [at, is_first] = at_.emplace(identity, samples_.size());
  if (is_first) samples_.emplace_back();
  Sample& sample = samples_[at->second];
  const bool was_done = !is_first && sample.outcome.error.empty();
  if (was_done && !outcome.error.empty()) return {};
  sample = {std::move(outcome), std::string(line), TextOf(record, "prompt"),
            TextOf(record, "build")};
  return {};
}

std::vector<CellFacts> Report::Cells() const {
  std::vector<CellFacts> cells;
  for (const Sample& sample : samples_) {
    const auto same = [&](const CellFacts& cell) { return cell.SameCell(sample.outcome.cell); };
    if (std::none_of(cells.begin(), cells.end(), same)) cells.push_back(sample.outcome.cell);
  }
  // What only headers know, and their order.
  std::vector<std::pair<size_t, CellFacts>> ranked;
  for (CellFacts& cell : cells) {
    size_t rank = 0, at = 0;
    for (const Json& run : runs_) {
      for (const Json& task : ListOf(run, "tasks")) {
        ++at;
        if (!SameTask(run, task, cell)) continue;
        if (rank == 0) rank = at;
        cell.figure = TextOf(task, "figure");
        cell.stand_in = TextOf(task, "stand_in");
      }
    }
    ranked.emplace_back(rank, std::move(cell));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  cells.clear();
  for (auto& [rank, cell] : ranked) cells.push_back(std::move(cell));
  return cells;
}

std::vector<std::string> Report::Specs() const {
  std::set<std::string> has_samples;
  for (const Sample& sample : samples_) has_samples.insert(sample.outcome.spec);
  std::vector<std::string> specs;
  const auto add = [&](const std::string& spec) {
    if (has_samples.erase(spec) > 0) specs.push_back(spec);
  };
  for (const Json& run : runs_) {
    for (const Json& spec : ListOf(run, "specs")) {
      if (spec.is_string()) add(spec.get<std::string>());
    }
  }
  for (const Sample& sample : samples_) add(sample.outcome.spec);
  return specs;
}

std::vector<Report::Note> Report::Notes() const {
  std::vector<Note> notes;
  std::set<std::string> builds;
  std::map<std::string, std::set<std::string>> stand_ins;  // -> tasks
  std::map<std::string, int64_t> n_failed;
  for (const Sample& sample : samples_) {
    builds.insert(sample.build);
    if (!sample.outcome.error.empty()) ++n_failed[sample.outcome.spec];
  }
  for (const auto& [spec, n] : n_failed) {
    notes.push_back(
        {fmt::format("{} failed on {} sample{}; the others count", spec, n, n == 1 ? "" : "s"),
         true});
  }
  int64_t n_planned = 0, n_there = 0;
  const std::vector<CellFacts> cells = Cells();
  for (const CellFacts& cell : cells) {
    int64_t planned = 0, there = 0;
    for (const Json& run : runs_) {
      for (const Json& task : ListOf(run, "tasks")) {
        if (!SameTask(run, task, cell)) continue;
        planned = std::max(planned, IntOf(task, "samples") * std::ssize(ListOf(run, "specs")));
      }
    }
    for (const Sample& sample : samples_) there += sample.outcome.cell.SameCell(cell);
    n_planned += std::max(planned, there);
    n_there += there;
    if (!cell.stand_in.empty()) stand_ins[cell.stand_in].insert(cell.task);
  }
  for (const auto& [stand_in, tasks] : stand_ins) {
    notes.push_back({fmt::format("{}: {}", fmt::join(tasks, ", "), stand_in)});
  }
  if (n_there < n_planned) {
    notes.push_back(
        {fmt::format("Not finished: {} of {} results are here", n_there, n_planned), true});
  }
  if (builds.size() > 1) {
    notes.push_back(
        {fmt::format("Results of {} builds of the program are mixed", builds.size()), true});
  }
  return notes;
}

Summary Report::Rows() const {
  std::vector<const Outcome*> outcomes;
  for (const Sample& sample : samples_) outcomes.push_back(&sample.outcome);
  Summary summary = Summarise(Cells(), Specs(), outcomes);
  std::erase_if(summary.rows, [](const SummaryRow& row) { return row.n + row.n_failed == 0; });
  return summary;
}

}  // namespace kvasir::eval
