// Summary: means by task, length and spec with intervals and differences to the first spec, as
// text, Markdown, CSV and JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/results.h"
#include "eval/statistics.h"

namespace kvasir::eval {

struct SummaryRow {
  CellFacts cell;
  std::string spec;
  int64_t n = 0, n_failed = 0;
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

// Over the outcomes of these cells and specs; differences are to the first spec.
Summary Summarise(std::span<const CellFacts> cells, std::span<const std::string> specs,
                  std::span<const Outcome* const> outcomes);

std::string SummaryText(const Summary& summary);
std::string SummaryMarkdown(const Summary& summary);
std::string SummaryCsv(const Summary& summary);
Json SummaryJson(const Summary& summary);

}  // namespace kvasir::eval
