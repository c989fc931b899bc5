// Report: what result files hold, as rows and as one page that opens from disk without a network.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "eval/results.h"
#include "eval/summary.h"

namespace kvasir::eval {

class Report {
 public:
  struct Sample {
    Outcome outcome;
    std::string line;           // of the result file
    std::string prompt, build;  // hash of the prompt
  };

  Report() = default;
  // Only samples of these keys.
  explicit Report(std::set<std::string> keys) : keys_(std::move(keys)) {}

  // The lines of a result file. Where a sample is there twice the last finished one counts,
  // whatever build made it. An error names `path` and the line.
  Status Add(std::string_view text, const std::string& path);

  const std::vector<Json>& runs() const { return runs_; }
  const std::vector<Sample>& samples() const { return samples_; }
  const std::map<std::string, std::string>& prompts() const { return prompts_; }  // by hash
  // Tasks and specs that have samples, in the order of the headers.
  std::vector<CellFacts> Cells() const;
  std::vector<std::string> Specs() const;
  // What readers must know of the figures: what stood in for data, what is missing or mixed.
  struct Note {
    std::string text;
    bool is_bad = false;
  };
  std::vector<Note> Notes() const;

  // Rows without samples are left out.
  Summary Rows() const;
  std::string Html() const;

 private:
  // Model, settings, task, length, spec, seed, index.
  using Identity =
      std::tuple<std::string, std::string, std::string, int64_t, std::string, uint64_t, int64_t>;
  void AddRun(Json record);
  Status AddSample(const Json& record, std::string_view line);

  std::set<std::string> keys_;  // empty: all
  std::vector<Json> runs_;
  std::vector<Sample> samples_;
  std::map<Identity, size_t> at_;
  std::map<std::string, std::string> prompts_;
};

// A field of a record that someone may have edited; an empty text, or zero, where it is not there.
std::string TextOf(const Json& record, const char* name);
int64_t IntOf(const Json& record, const char* name);
double NumberOf(const Json& record, const char* name);
// Elements of a list; none where it is no list.
const Json& ListOf(const Json& record, const char* name);

}  // namespace kvasir::eval
