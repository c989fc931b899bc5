// KvCache: all head caches of one sequence, and the account of their bytes.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "cache/head_cache.h"

namespace kvasir {

// Counted from pages, not from arithmetic.
struct KvAccount {
  int64_t entries = 0;                      // summed over layers and KV heads
  int64_t bytes = 0;                        // planes and facts
  std::map<std::string, int64_t> by_codec;  // planes; facts are under "facts"
  std::map<std::string, int64_t> by_tier;
};

class KvCache {
 public:
  // One format for all heads of a layer: formats has one element a layer.
  KvCache(PagePool& pool, std::span<const HeadFormat> formats, int n_kv_heads);

  int n_layers() const { return n_layers_; }
  int n_kv_heads() const { return n_kv_heads_; }
  std::span<HeadCache> layer(int l) {
    return std::span(heads_).subspan(static_cast<size_t>(l) * n_kv_heads_, n_kv_heads_);
  }
  std::span<const HeadCache> layer(int l) const {
    return std::span(heads_).subspan(static_cast<size_t>(l) * n_kv_heads_, n_kv_heads_);
  }
  KvCache Fork() const;
  KvCache Empty(PagePool& pool) const;  // of the same shape
  // This layer becomes a fork of another cache's. REQUIRES: one shape
  void ForkLayer(int l, const KvCache& from);
  void Truncate(int32_t order);
  void Clear();
  KvAccount Account() const;

 private:
  KvCache() = default;
  int n_layers_ = 0, n_kv_heads_ = 0;
  std::vector<HeadCache> heads_;  // [layer][kv_head]
};

}  // namespace kvasir
