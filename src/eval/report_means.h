// Means over samples that a summary's rows do not have: by depth of the answer and by layer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "eval/results.h"

namespace kvasir::eval {

class ReportMeans {
 public:
  using Row = std::pair<size_t, size_t>;  // numbers of cell and spec

  // `record` is the sample's line.
  void Add(Row row, const Outcome& outcome, const Json& record);

  double PromptTokens(size_t cell) const;
  // [[depth in %, mean score, samples], …], in tenths; empty where depths are not known.
  Json Depths(Row row) const;
  // {"recall": [a mean a layer], "attention_error": […]}; empty likewise.
  Json Layers(Row row) const;

 private:
  struct Mean {
    double sum = 0;
    int64_t n = 0;
    void Add(double value) { sum += value, ++n; }
    double Value() const;  // zero of none
  };
  void AddDepths(Row row, const Outcome& outcome, const Json& record);

  std::map<size_t, Mean> tokens_;
  std::map<Row, std::map<int64_t, Mean>> depths_;
  std::map<Row, std::map<std::string, std::vector<Mean>>> layers_;
};

// To six places: what a page needs of a number.
double Rounded(double value);

}  // namespace kvasir::eval
