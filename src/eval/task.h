// Task: makes samples from (length, seed, index) and says how an answer is scored. All tasks are in
// the table of task_table.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/corpus.h"
#include "eval/random.h"
#include "eval/records.h"
#include "eval/sample.h"
#include "kvasir/kvasir.h"

namespace kvasir::eval {

// How a sample is run.
enum class Answering : uint8_t {
  kGenerate,  // greedy, to the end of the turn or Sample::max_new tokens
  kForced,    // right where every token of the answer is the most likely one
  kText,      // no answer: how likely the rest of a text is, and how far from `full`
};

// What published data, or a text of the user's own, stand in place of what we generate.
struct Sources {
  std::string data = {};    // folder of published files; empty: none
  std::string file = {};    // a text that replaces generated prose; empty: none
  Wrap wrap = Wrap::kChat;  // of samples that say nothing else
};

struct Request {
  int64_t length = 0;  // tokens of prompt and answer together
  uint64_t seed = 42;
  int64_t index = 0;
};

// What tasks share while they make samples: the model's tokenizer, sources read once, and sizes
// found once. Used by one thread.
class Workshop {
 public:
  Workshop(const Model& model, Sources sources) : model_(model), sources_(std::move(sources)) {}

  const Model& model() const { return model_; }
  const Sources& sources() const { return sources_; }
  // Tokens of the whole prompt of a sample's first question, wrapped in the chat template.
  Result<int64_t> PromptTokens(const Sample& sample);
  // Running text: that of --file, else the essays of --data (of the published benchmark), else
  // generated prose. At least n words, whitespace collapsed, repeated where it is too short.
  Result<std::span<const std::string>> EssayWords(int64_t n, uint64_t seed);
  // The tokens of that text (of --file: as it stands), without BOS. At least n, or, of --file, all.
  Result<std::span<const int32_t>> TextTokens(int64_t n, uint64_t seed);
  // What the tokenizer puts before a text.
  std::vector<int32_t> Bos() const;
  // Made where it is asked for the first time.
  Result<const Corpus*> CorpusOf(const std::string& key,
                                 const std::function<Result<Corpus>()>& make);
  // The lines of a file of published data, read once.
  Result<const std::vector<Record>*> Records(const std::string& path);
  // Sizes found by length fitting, by any key.
  std::map<std::string, int64_t>& sizes() { return sizes_; }

 private:
  const Model& model_;
  const Sources sources_;
  std::map<std::string, Corpus> corpora_;
  std::map<std::string, std::vector<Record>> records_;
  std::vector<int32_t> ids_;
  uint64_t ids_seed_ = 0;
  std::vector<std::string> words_;
  size_t n_own_words_ = 0;  // of words_, before they repeat
  uint64_t words_seed_ = 0;
  std::map<std::string, int64_t> sizes_;
};

struct TaskFacts {
  std::string name;
  std::string family;   // "ruler", "board", …
  std::string metric;   // "string_match_all", …
  std::string summary;  // one line
  // What stands in for data that may not be shipped; empty: nothing does. In every report.
  std::string stand_in;
  Answering answering = Answering::kGenerate;
  Scope scope = Scope::kQuestion;  // unless --query-agnostic asks for kContext
  bool fixed_scope = false;        // --query-agnostic changes nothing
  bool by_token = false;           // kForced: the score is the share of tokens that are right
  int64_t default_length = 4096;   // 0: samples have their own length
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const TaskFacts& facts() const = 0;
  // How many samples there are; nullopt: as many as one likes. Reads what has to be read.
  virtual Result<std::optional<int64_t>> Size(Workshop&, int64_t /*length*/) const {
    return std::nullopt;
  }
  virtual Result<Sample> Make(Workshop& workshop, const Request& request) const = 0;
  // 0 … 1. `text` is what the model generated. Not called for kForced and kText.
  virtual double Score(const Sample& sample, const Turn& turn, std::string_view text) const = 0;
  // What stands in under these sources.
  virtual std::string StandIn(const Sources&) const { return facts().stand_in; }
};

// The bytes of a file; an error names it.
Result<std::string> ReadWholeFile(const std::string& path);

// Every task by its name, in the order of `eval --list`.
std::span<const std::unique_ptr<Task>> AllTasks();
// "a,b": names; a family's name stands for all its tasks. An error names the nearest right one.
Result<std::vector<const Task*>> FindTasks(std::string_view names);

}  // namespace kvasir::eval
