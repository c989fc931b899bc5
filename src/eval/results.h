// The result file: JSON lines that grow as samples are done, from which a killed run resumes. What
// the lines hold is written down in docs/eval.md; readers rely on it.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/sample.h"

namespace kvasir::eval {

// What summaries need of a line "sample" or "failure".
struct Outcome {
  std::string key, spec, task;
  int64_t length = 0, index = 0;
  uint64_t seed = 0;
  std::string error;                      // of a failure; empty: done
  std::map<std::string, double> figures;  // "score", "nll", "kl_mean", "kv_share", "ttft_ms", …
  std::vector<double> turn_scores;        // in the order asked
  Json meta;                              // of the sample: depth, …
};

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
  bool repaired() const { return repaired_; }  // a cut-off line was taken away
  int64_t n_read() const { return n_read_; }   // finished samples that the file held

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  Status Read(const std::string& text);
  Status Add(const Json& record);

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::set<std::string> done_, prompts_;
  std::map<std::string, size_t> at_;  // key -> outcomes_
  std::vector<Outcome> outcomes_;
  bool repaired_ = false;
  int64_t n_read_ = 0;
};

}  // namespace kvasir::eval
