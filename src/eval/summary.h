// Summary: means by task, length and spec with intervals and differences to the first spec, as
// text, Markdown, CSV and JSON.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/results.h"
#include "eval/runner.h"
#include "eval/statistics.h"

namespace kvasir::eval {

struct SummaryRow {
  std::string task, figure, stand_in, spec;
  int64_t length = 0, n = 0, n_failed = 0;
  Estimate value;                      // of the task's figure
  std::optional<Estimate> difference;  // to the first spec, on the samples that both have
  int64_t n_pairs = 0;
  std::map<std::string, double> means;  // of all figures
  std::vector<double> by_turn;          // mean score of each question, where there are several
  std::map<int64_t, double> by_depth;   // mean by the depth of the needle, of tasks on a grid
};

struct Summary {
  std::vector<SummaryRow> rows;  // by cell, then spec
};

// The figure by which a task is judged: "score", or "kl_mean" of texts.
std::string FigureOf(const Task& task);

// Over the samples of these cells and specs, whatever else the file holds.
Summary Summarise(const Runner& runner, std::span<const Cell> cells,
                  std::span<const std::string> specs, const Sources& sources,
                  const ResultFile& results);

std::string SummaryText(const Summary& summary);
std::string SummaryMarkdown(const Summary& summary);
std::string SummaryCsv(const Summary& summary);
Json SummaryJson(const Summary& summary);

}  // namespace kvasir::eval
