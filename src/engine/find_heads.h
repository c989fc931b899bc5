// Which KV heads fetch things from far away: a text in which tokens come again is read once; a head
// that attends to earlier copies of the token at hand (echo) or to what followed them (induction)
// retrieves.
#pragma once

#include <cstdint>
#include <span>

#include "engine/head_probe.h"
#include "methods/side_file.h"

namespace kvasir {

struct ProbeOptions {
  enum class Text : uint8_t { kBlock, kNumber } text = Text::kBlock;  // see head_probe.h
  int64_t block = 2500;  // tokens, different ones; fewer where the context or vocabulary is small
  int64_t repeats = 4;   // of the block
  int64_t n_tokens = 1000;  // of a text with a number, about; fewer where the context is smaller
  int64_t n_seeds = 3;      // probes whose scores are averaged
};

struct CopyScores {
  double echo = 0, induction = 0;
};

// Means over copies of the attention from the row to the copy, and to the `reach` tokens after it.
// weight(i, j): attention of row i to key j.
template <class F>
CopyScores ScoreCopies(std::span<const Copy> copies, int64_t reach, F&& weight) {
  CopyScores scores;
  for (const Copy& at : copies) {
    scores.echo += weight(at.row, at.copy);
    for (int64_t r = 1; r <= reach; ++r) scores.induction += weight(at.row, at.copy + r);
  }
  scores.echo /= static_cast<double>(copies.size());
  scores.induction /= static_cast<double>(copies.size());
  return scores;
}

// A side file of kind "razor-heads": tensors "echo" and "induction", [layers][kv_heads], of each KV
// head the highest score of its query heads; -1 in layers with a sliding window. Without a path.
struct FoundHeads {
  SideFile file;
  double even = 0;    // the induction score that attention to all tokens alike would have
  std::string about;  // what was read, for people
};
Result<FoundHeads> FindHeads(LoadedModel& model, const ProbeOptions& options,
                             const ProgressFn& progress = {});

}  // namespace kvasir
