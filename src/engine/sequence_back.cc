// Going back to fewer tokens, to none, and out of the way for a while.
#include <algorithm>

#include "cache/cache_file.h"
#include "engine/sequence.h"

namespace kvasir {

void Sequence::RollBack() {
  cache_.Truncate(static_cast<int32_t>(size()));
  state_.Truncate(cache_, static_cast<int32_t>(size()), 0);
}

Status Sequence::CheckWindows(int64_t n) const {
  for (int l = 0; l < cache_.n_layers(); ++l) {
    const int32_t window = model_->config().layers[l].window;
    if (window == 0) continue;
    for (const HeadCache& head : cache_.layer(l)) {
      if (head.size() > 0 && head.FirstOrder() > std::max<int64_t>(0, n - window)) {
        return Fail(
            "cannot go back to token {}: layer {} has a window of {} and has dropped what "
            "came before; read the text again",
            n, l, window);
      }
    }
  }
  return {};
}

Status Sequence::Truncate(int64_t n) {
  if (n < 0 || n > size()) return Fail("cannot go back to token {} of {}", n, size());
  if (n == size()) return {};
  if (n == 0) {
    Reset();
    return {};
  }
  if (n < chosen_at_) {
    return Fail(
        "cannot go back to token {}: '{}' compressed the cache at token {}; read the text "
        "again",
        n, spec_->program->spec(), chosen_at_);
  }
  // Sums over queries, of which those of forgotten tokens cannot be taken out again. Statistics
  // begin anew with each prompt.
  const Needs& needs = spec_->needs;
  const bool adds_up = needs.mass || (needs.at_decode && needs.query_stats_from >= 0);
  if (adds_up && (needs.at_decode || n < n_prompt_)) {
    return Fail(
        "cannot go back to token {}: '{}' has added up what the queries of later tokens look at; "
        "read the text again",
        n, spec_->program->spec());
  }
  KV_RETURN_IF_ERROR(CheckWindows(n));
  cache_.Truncate(static_cast<int32_t>(n));
  state_.Truncate(cache_, static_cast<int32_t>(n), size() - std::max(n, n_prompt_));
  tokens_.resize(n);
  n_prompt_ = std::min(n_prompt_, n);
  compressed_at_ = std::min(compressed_at_, n);
  while (!turns_.empty() && turns_.back() > n) turns_.pop_back();
  logits_.clear();
  return {};
}

void Sequence::Reset() {
  cache_.Clear();
  state_.Clear();
  tokens_.clear();
  turns_.clear();
  logits_.clear();
  suspended_ = {};
  pins_.clear();
  n_prompt_ = compressed_at_ = chosen_at_ = read_entries_ = 0;
  first_prompt_ = true;
  in_prompt_ = false;
}

void Sequence::Suspend() {
  if (suspended()) return;
  MemoryWriter writer;
  CacheFile::Write(cache_, writer);
  suspended_ = writer.Take();
  cache_.Clear();
}

Status Sequence::Resume() {
  if (!suspended()) return {};
  ByteReader reader(suspended_);
  KV_RETURN_IF_ERROR(CacheFile::Read(reader, size(), cache_));
  suspended_ = {};
  return {};
}

}  // namespace kvasir
