#include "cache/kv_cache.h"

#include <memory>

namespace kvasir {

KvCache::KvCache(PagePool& pool, std::span<const HeadFormat> formats, int n_kv_heads)
    : n_layers_(static_cast<int>(formats.size())), n_kv_heads_(n_kv_heads) {
  heads_.reserve(formats.size() * static_cast<size_t>(n_kv_heads));
  for (const HeadFormat& format : formats) {
    for (int h = 0; h < n_kv_heads; ++h) heads_.emplace_back(pool, format);
  }
}

KvCache KvCache::Fork() const {
  KvCache fork;
  fork.n_layers_ = n_layers_;
  fork.n_kv_heads_ = n_kv_heads_;
  fork.heads_.reserve(heads_.size());
  for (const HeadCache& head : heads_) fork.heads_.push_back(head.Fork());
  return fork;
}

void KvCache::ForkLayer(int l, const KvCache& from) {
  KV_CHECK(n_layers_ == from.n_layers_ && n_kv_heads_ == from.n_kv_heads_);
  for (int h = 0; h < n_kv_heads_; ++h) {
    const size_t at = static_cast<size_t>(l) * n_kv_heads_ + h;
    std::destroy_at(&heads_[at]);
    std::construct_at(&heads_[at], from.heads_[at].Fork());
  }
}

KvCache KvCache::Empty(PagePool& pool) const {
  std::vector<HeadFormat> formats;
  for (int l = 0; l < n_layers_; ++l) formats.push_back(layer(l)[0].format());
  return KvCache(pool, formats, n_kv_heads_);
}

void KvCache::Truncate(int32_t order) {
  for (HeadCache& head : heads_) head.Truncate(order);
}

void KvCache::Clear() {
  for (HeadCache& head : heads_) head.Clear();
}

KvAccount KvCache::Account() const {
  KvAccount account;
  for (const HeadCache& head : heads_) {
    const HeadBytes bytes = head.bytes();
    account.entries += head.size();
    account.bytes += bytes.total();
    for (const auto& [codec, n] : bytes.by_codec) account.by_codec[codec] += n;
    account.by_codec["facts"] += bytes.facts;
    account.by_tier["host"] += bytes.total();
  }
  return account;
}

}  // namespace kvasir
