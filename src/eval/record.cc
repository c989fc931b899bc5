#include "eval/record.h"

#include <cmath>
#include <numeric>

namespace kvasir::eval {

Json TurnRecord(const Turn& turn) {
  Json record = {{"question", turn.question}, {"answers", turn.answers}};
  if (!turn.meta.empty()) record["meta"] = turn.meta;
  return record;
}

Json KvRecord(const KvReport& kv, int64_t weight_bytes) {
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  };
  // Before a decode step has been made: it would read everything.
  const double n_read =
      kv.read_entries_per_step > 0 ? kv.read_entries_per_step : static_cast<double>(kv.entries);
  const double entry_bytes = share(kv.bytes, kv.entries);
  return {{"reads_as", kv.reads_as},
          {"entries", kv.entries},
          {"entries_full", kv.entries_full},
          {"bytes", kv.bytes},
          {"bytes_full", kv.bytes_full},
          {"entry_share", share(kv.entries, kv.entries_full)},
          {"kv_share", share(kv.bytes, kv.bytes_full)},
          {"read_entries_per_step", n_read},
          {"read_bytes_per_token", static_cast<double>(weight_bytes) + n_read * entry_bytes}};
}

void TextDistance::Add(int32_t token, const Distribution& full, std::span<const float> logits) {
  const double log_sum_exp = LogSumExp(logits);
  nll_ += log_sum_exp - logits[token];
  nll_full_ += full.log_sum_exp - full.logits[token];
  const bool same = full.best == ArgMax(logits);
  n_top1_ += same;
  if (!same && first_divergence_ < 0) first_divergence_ = std::ssize(kl_);
  kl_.push_back(KlDivergence(full, logits, log_sum_exp));
}

Json TextDistance::Figures() const {
  if (kl_.empty()) return Json::object();
  const auto n = static_cast<double>(kl_.size());
  const double nll = nll_ / n;
  const double sum = std::accumulate(kl_.begin(), kl_.end(), 0.0);
  return {{"positions", kl_.size()},
          {"nll", nll},
          {"nll_full", nll_full_ / n},
          {"perplexity", std::exp(nll)},
          {"kl_mean", sum / n},
          {"kl_median", Median(kl_)},
          {"kl_p99", Percentile(kl_, 0.99)},
          {"kl_max", Percentile(kl_, 1)},
          {"top1", static_cast<double>(n_top1_) / n},
          {"first_divergence",
           first_divergence_ < 0 ? static_cast<int64_t>(kl_.size()) : first_divergence_}};
}

}  // namespace kvasir::eval
