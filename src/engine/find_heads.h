// Which KV heads fetch things from far away: RazorAttention's probe (arXiv 2407.15891, algorithm
// 1). A block of random tokens, repeated, is read once; a head that attends to earlier copies of
// the token at hand (echo) or to what followed them (induction) retrieves.
#pragma once

#include <cstdint>

#include "engine/loaded_model.h"
#include "methods/side_file.h"

namespace kvasir {

struct ProbeOptions {
  int64_t block = 2500;  // tokens, different ones; fewer where the context or vocabulary is small
  int64_t repeats = 4;
  int64_t n_seeds = 3;  // probes whose scores are averaged
};

struct CopyScores {
  double echo = 0, induction = 0;
};

// Means over all pairs of a token i and an earlier copy of it, of the attention from i to the copy
// and to the token after the copy. weight(i, j): attention of row i to key j, counted from the
// first token of the first block.
template <class F>
CopyScores ScoreCopies(int64_t block, int64_t repeats, F&& weight) {
  CopyScores scores;
  for (int64_t i = block; i < block * repeats; ++i) {
    for (int64_t copy = i - block; copy >= 0; copy -= block) {
      scores.echo += weight(i, copy);
      scores.induction += weight(i, copy + 1);
    }
  }
  const double n_pairs = static_cast<double>(block * repeats * (repeats - 1) / 2);
  scores.echo /= n_pairs;
  scores.induction /= n_pairs;
  return scores;
}

// A side file of kind "razor-heads": tensors "echo" and "induction", [layers][kv_heads], of each KV
// head the highest score of its query heads; -1 in layers with a sliding window. Without a path.
Result<SideFile> FindHeads(LoadedModel& model, const ProbeOptions& options,
                           const ProgressFn& progress = {});

}  // namespace kvasir
