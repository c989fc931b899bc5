// The result file: JSON lines that grow as samples are done, from which a killed run resumes. What
// the lines hold is written down in docs/eval.md; readers rely on it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/sample.h"

namespace kvasir::eval {

// A task at a length under one model and one way to run it: what rows of a table are about.
struct CellFacts {
  std::string task, model, settings;
  int64_t length = 0;
  std::string figure = "score";  // of Outcome::figures: by which the task is judged
  std::string stand_in = {};     // what stood in for published data

  bool SameCell(const CellFacts& other) const {
    return task == other.task && length == other.length && model == other.model &&
           settings == other.settings;
  }
};

// What summaries need of a line "sample" or "failure".
struct Outcome {
  std::string key, spec;
  CellFacts cell;  // without figure and stand_in, which the header knows
  int64_t index = 0;
  uint64_t seed = 0;
  std::string error;                      // of a failure; empty: done
  std::map<std::string, double> figures;  // "score", "nll", "kl_mean", "kv_share", "ttft_ms", …
  std::vector<double> turn_scores;        // in the order asked
  Json meta;                              // of the sample: depth, …
};

// An error says what the record lacks.
Result<Outcome> OutcomeOf(const Json& record);

// Every line of a result file. An error names `path` and the line.
Status ForEachRecord(std::string_view text, const std::string& path,
                     const std::function<Status(const Json& record, std::string_view line)>& visit);

class ResultFile {
 public:
  // Nothing is written: results stay in memory.
  ResultFile() = default;
  // Opens for appending. An existing file is an error unless `resume`; a last line that was cut off
  // is taken away, any other that is no record is an error naming its number.
  static Result<ResultFile> Open(const std::string& path, bool resume);

  // Done before, here or in the file. A failure is not done.
  bool Done(const std::string& key) const { return done_.contains(key); }
  bool KnowsPrompt(const std::string& hash) const { return prompts_.contains(hash); }
  // One line, on the disk's way when it returns. An error where it cannot be written.
  Status Append(const Json& record);

  // The last one of each key, in the order of their first appearance.
  const std::vector<Outcome>& outcomes() const { return outcomes_; }
  // All lines, those that the file held before too.
  Result<std::string> Text() const;
  bool repaired() const { return repaired_; }  // a cut-off line was taken away
  int64_t n_read() const { return n_read_; }   // finished samples that the file held

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  Status Add(const Json& record);

  std::string path_;  // empty: lines go to text_
  std::string text_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::set<std::string> done_, prompts_;
  std::map<std::string, size_t> at_;  // key -> outcomes_
  std::vector<Outcome> outcomes_;
  bool repaired_ = false;
  int64_t n_read_ = 0;
};

}  // namespace kvasir::eval
