// What a cache holds of a prompt, in few bytes: for the drill-down of reports.
#pragma once

#include <cstdint>
#include <span>

#include "cache/kv_cache.h"
#include "eval/prompt.h"
#include "eval/sample.h"

namespace kvasir::eval {

// {"entries": [[a number a head] a layer], "map": [a string a layer], "bins": n}: character i of a
// map says which share of the entries of the i-th part of the prompt its heads hold, '0' (none) to
// '9' (all, or nearly). Below 2 KB.
Json KeptSummary(const KvCache& cache, int64_t n_prompt);

// Share of the evidence's tokens that each KV head holds.
struct Recall {
  double mean = 0;               // over layers and heads
  double best_head = 0;          // of one head
  std::vector<double> by_layer;  // mean over heads
};
// REQUIRES: !evidence.empty()
Recall RecallOf(const KvCache& cache, std::span<const TokenSpan> evidence);

}  // namespace kvasir::eval
