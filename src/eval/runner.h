// Runner: specs × samples. Every spec gets the same samples in the same order, and one forward pass
// over a prompt serves all specs that have not done it yet.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/session_group.h"
#include "eval/prompt.h"
#include "eval/results.h"
#include "eval/task.h"

namespace kvasir::eval {

struct RunOptions {
  std::vector<const Task*> tasks = {};
  std::vector<int64_t> lengths = {};  // empty: each task's own
  int64_t n_samples = 20;
  uint64_t seed = 42;
  std::vector<std::string> specs = {};
  bool query_agnostic = false;
  // Specs answer together. But for the first sample of a cell, which shows how fast each is alone.
  bool batch = false;
  Sources sources = {};
  SessionOptions session = {};  // but for the spec
  std::string build = {};       // of this program: part of every key
};

// The figure by which a task is judged: "score"; of texts "kl_mean" or "attention_error".
std::string FigureOf(const Task& task);

// One line of work: a task at a length.
struct Cell {
  const Task* task = nullptr;
  int64_t length = 0;  // 0: samples have their own
  int64_t n_samples = 0;
};

struct RunEvents {
  std::function<bool()> interrupted = [] { return false; };
  std::function<void(int64_t done, int64_t total)> progress = [](int64_t, int64_t) {};
  std::function<void(const std::string& line)> warn = [](const std::string&) {};
};

struct RunSummary {
  int64_t n_done = 0, n_before = 0, n_failed = 0;
  bool interrupted = false;
};

class Runner {
 public:
  Runner(std::shared_ptr<LoadedModel> model, const RunOptions& options, const RunEvents& events)
      : model_(std::move(model)),
        options_(options),
        events_(events),
        workshop_(*model_, options.sources),
        file_hash_(HashOfFile(options.sources.file)) {}

  // Looks at everything that can be wrong before any work is done: data files, lengths beyond the
  // context, tasks whose smallest sample is too long.
  Result<std::vector<Cell>> Plan();
  Result<RunSummary> Run(const std::vector<Cell>& cells, ResultFile& results);

  // What a record's key is made of, besides spec, task, length, seed and index.
  std::string Settings(const Task& task) const;
  std::string KeyOf(const Cell& cell, const std::string& spec, int64_t index) const;
  // Of all samples of these cells: a file may hold others.
  std::set<std::string> KeysOf(std::span<const Cell> cells) const;
  CellFacts FactsOf(const Cell& cell) const;

 private:
  // What a spec has to show for a sample, turn by turn.
  struct Work {
    std::string spec, key, error;
    Json turns = Json::array();
    Json kept;
    double score = 0, forward_ms = 0, compress_ms = 0, ttft_ms = 0, decode_ms = 0;
    double recall = 0, recall_best = 0;
    int64_t n_reads = 0, n_decoded = 0, n_recall = 0, n_prompt = 0, n_forced = 0,
            n_forced_right = 0;
    std::vector<double> recall_by_layer, attention_error_by_layer;
    KvReport kv;
    Json figures = Json::object();
  };

  struct Question {
    const Task& task;
    const Sample& sample;
    size_t turn;
    const PromptParts& parts;
    const Turn& ask() const { return sample.turns[turn]; }
  };
  struct Asked;  // runner_turns.cc

  static std::string HashOfFile(const std::string& path);
  Scope ScopeOf(const Task& task) const;
  // How many of the first of these read a prompt together.
  size_t NTogether(const Cell& cell, std::span<const Work> works) const;
  bool AnswerTogether(int64_t index) const { return options_.batch && index > 0; }
  Status RunSample(const Cell& cell, const Sample& sample, int64_t index,
                   std::vector<Work>& works);
  Status RunTurns(const Cell& cell, const Sample& sample, bool together, std::span<Work> works);
  Status RunText(const Sample& sample, std::span<Work> works);
  void NoteGroup(const SessionGroup& group, const PromptParts& parts, std::span<Work> works) const;
  void Ask(const Question& question, std::span<GroupMember> members, std::span<Work> works) const;
  static void ReadOn(std::span<const int32_t> tokens, bool note_best, std::vector<Asked>& asked);
  void Remember(const Question& question, SessionImpl& session, Work& work) const;
  void Generate(const Question& question, std::vector<Asked>& asked) const;
  void Force(const Question& question, std::vector<Asked>& asked) const;
  Result<SessionGroup> Read(std::span<const Work> works, std::span<const int32_t> tokens) const;
  Json RecordOf(const Cell& cell, const Sample& sample, int64_t index, const std::string& prompt,
                const Work& work) const;
  Status WritePrompt(const std::string& text, const std::string& hash, ResultFile& results) const;

  std::shared_ptr<LoadedModel> model_;
  const RunOptions& options_;
  const RunEvents& events_;
  Workshop workshop_;
  // What a spec's cache held after a prompt of a length; not known yet: counted as the full one.
  std::map<std::pair<std::string, int64_t>, int64_t> cache_bytes_;
  const std::string file_hash_;  // of --file: a text that has changed makes other samples
};

}  // namespace kvasir::eval
