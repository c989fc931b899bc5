// Pieces of a sample's record, and what they are measured with.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/session.h"
#include "eval/distributions.h"
#include "eval/sample.h"

namespace kvasir::eval {

class Stopwatch {
 public:
  double Ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// {"question","answers","meta"}: what was asked and what would be right.
Json TurnRecord(const Turn& turn);
// The account, with "kv_share" (bytes of those of `full`), "entry_share" and
// "read_bytes_per_token" (weights and entries of a decode step).
Json KvRecord(const KvReport& kv, int64_t weight_bytes);

// How likely a text is under a compressed cache, and how far its distributions are from those of
// the full one.
class TextDistance {
 public:
  // `logits` and those of `full` predict `token`.
  void Add(int32_t token, const Distribution& full, std::span<const float> logits);
  // "positions", "nll", "nll_full", "perplexity", "kl_mean", "kl_median", "kl_p99", "kl_max",
  // "top1" (share of positions with the same most likely token), "first_divergence". Empty of none.
  Json Figures() const;

 private:
  std::vector<double> kl_;
  double nll_ = 0, nll_full_ = 0;
  int64_t n_top1_ = 0, first_divergence_ = -1;
};

}  // namespace kvasir::eval
