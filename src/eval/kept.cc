#include "eval/kept.h"

#include <algorithm>
#include <cmath>

namespace kvasir::eval {
namespace {

constexpr int64_t kMapBytes = 1000;
constexpr int64_t kMostHeads = 160;  // beyond, entries are summed over the heads of a layer

}  // namespace

Json KeptSummary(const KvCache& cache, int64_t n_prompt) {
  const int64_t n_layers = cache.n_layers();
  const int64_t n_bins = std::clamp<int64_t>(kMapBytes / n_layers - 3, 4, 48);
  Json entries = Json::array(), map = Json::array();
  for (int l = 0; l < cache.n_layers(); ++l) {
    std::vector<int64_t> sizes, held(static_cast<size_t>(n_bins)), size(held);
    for (int64_t i = 0; i < n_prompt; ++i) ++size[static_cast<size_t>(i * n_bins / n_prompt)];
    for (const HeadCache& head : cache.layer(l)) {
      sizes.push_back(head.size());
      for (const int32_t order : head.Orders()) {
        if (order < n_prompt) ++held[static_cast<size_t>(order * n_bins / n_prompt)];
      }
    }
    std::string line;
    for (size_t b = 0; b < held.size(); ++b) {
      const int64_t all = size[b] * std::ssize(sizes);
      // Rounded up: '0' is none at all.
      const int64_t tenths = all == 0 ? 0 : (held[b] * 9 + all - 1) / all;
      line += static_cast<char>('0' + tenths);
    }
    map.push_back(std::move(line));
    if (n_layers * cache.n_kv_heads() > kMostHeads) {
      int64_t sum = 0;
      for (const int64_t n : sizes) sum += n;
      sizes = {sum};
    }
    entries.push_back(sizes);
  }
  return {{"entries", std::move(entries)}, {"map", std::move(map)}, {"bins", n_bins}};
}

Recall RecallOf(const KvCache& cache, std::span<const TokenSpan> evidence) {
  Recall recall;
  int64_t n_evidence = 0;
  for (const TokenSpan& span : evidence) n_evidence += span.end - span.begin;
  for (int l = 0; l < cache.n_layers(); ++l) {
    double layer = 0;
    for (const HeadCache& head : cache.layer(l)) {
      int64_t held = 0;
      for (const int32_t order : head.Orders()) {
        held += std::any_of(evidence.begin(), evidence.end(), [&](const TokenSpan& span) {
          return order >= span.begin && order < span.end;
        });
      }
      const double share = static_cast<double>(held) / static_cast<double>(n_evidence);
      recall.best_head = std::max(recall.best_head, share);
      layer += share / cache.n_kv_heads();
    }
    recall.by_layer.push_back(std::round(100 * layer) / 100);
    recall.mean += layer / cache.n_layers();
  }
  return recall;
}

}  // namespace kvasir::eval
