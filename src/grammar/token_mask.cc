#include "grammar/token_mask.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

namespace kvasir::grammar {
namespace {

// Longer tokens (there are none in practice) are never allowed: they would only be a short cut.
constexpr size_t kMaxTokenBytes = 1024;
constexpr size_t kMaxCacheBytes = 8 << 20;  // of masks, for one text

size_t CommonPrefix(std::string_view a, std::string_view b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

}  // namespace

size_t TokenMask::count() const {
  size_t n = 0;
  for (const uint64_t word : words_) n += std::popcount(word);
  return n;
}

void TokenMask::Apply(std::span<float> logits) const {
  for (size_t id = 0; id < logits.size(); ++id) {
    if (id >= n_tokens_ || !Has(static_cast<int32_t>(id)))
      logits[id] = -std::numeric_limits<float>::infinity();
  }
}

TokenTrie::TokenTrie(std::span<const std::string> tokens, std::span<const int32_t> end_ids)
    : tokens_(tokens.begin(), tokens.end()), end_ids_(end_ids.begin(), end_ids.end()) {
  std::ranges::sort(end_ids_);
  for (size_t id = 0; id < tokens.size(); ++id) {
    const size_t size = tokens[id].size();
    const auto token = static_cast<int32_t>(id);
    if (size > 0 && size <= kMaxTokenBytes && !IsEnd(token)) ids_.push_back(token);
  }
  std::ranges::stable_sort(ids_, [&](int32_t a, int32_t b) { return tokens_[a] < tokens_[b]; });

  std::vector<int32_t> open;  // nodes from the root to the last token's end
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back())
      nodes_[open.back()].end = static_cast<int32_t>(nodes_.size());
  };
  for (size_t i = 0; i < ids_.size(); ++i) {
    const std::string& token = tokens_[ids_[i]];
    close_to(i == 0 ? 0 : CommonPrefix(tokens_[ids_[i - 1]], token));
    for (size_t depth = open.size(); depth < token.size(); ++depth) {
      open.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({static_cast<uint8_t>(token[depth]), static_cast<uint16_t>(depth + 1), 0,
                        static_cast<int32_t>(i)});
    }
    max_depth_ = std::max(max_depth_, token.size());
  }
  close_to(0);
  nodes_.push_back({0, 0, 0, static_cast<int32_t>(ids_.size())});
}

bool TokenTrie::IsEnd(int32_t id) const { return std::ranges::binary_search(end_ids_, id); }

void TokenTrie::Walk(Matcher& matcher, TokenMask& mask) const {
  std::vector<Matcher::State> at(max_depth_ + 1);  // by depth
  at[0] = matcher.state();
  const auto n_nodes = static_cast<int32_t>(nodes_.size()) - 1;
  for (int32_t i = 0; i < n_nodes;) {
    const Node& node = nodes_[i];
    const Matcher::State state = matcher.Next(at[node.depth - 1], node.byte);
    if (state == Matcher::kDead) {
      i = node.end;
      continue;
    }
    at[node.depth] = state;
    ++i;
    for (int32_t k = node.first_id; k < nodes_[i].first_id; ++k) mask.Set(ids_[k]);
  }
}

void TokenTrie::AddEnds(TokenMask& mask) const {
  for (const int32_t id : end_ids_) {
    if (id >= 0 && static_cast<size_t>(id) < tokens_.size()) mask.Set(id);
  }
}

TokenMasker::TokenMasker(std::shared_ptr<const Grammar> grammar,
                         std::shared_ptr<const TokenTrie> trie)
    : trie_(std::move(trie)), matcher_(std::move(grammar)) {}

Result<const TokenMask*> TokenMasker::Allowed() {
  if (ended_) return Fail("the text has ended: no token can follow");
  if (cache_generation_ != matcher_.generation()) {
    cache_.clear();
    cache_generation_ = matcher_.generation();
  }
  if (const auto it = cache_.find(matcher_.state()); it != cache_.end()) return &it->second;
  if ((cache_.size() + 1) * trie_->n_tokens() / 8 > kMaxCacheBytes) cache_.clear();
  TokenMask mask(trie_->n_tokens());
  matcher_.RefillWork();
  trie_->Walk(matcher_, mask);
  if (!matcher_.problem().empty()) return Fail("{}", matcher_.problem());
  if (matcher_.complete()) {
    trie_->AddEnds(mask);
  } else if (mask.count() == 0) {
    return Fail(
        "no token of the vocabulary can follow: the grammar asks for characters that this "
        "model has no tokens for, or nests too deep");
  }
  return &cache_.emplace(matcher_.state(), std::move(mask)).first->second;
}

Status TokenMasker::Accept(int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= trie_->n_tokens())
    return Fail("token {} is not in the vocabulary of {}", token, trie_->n_tokens());
  if (ended_) return Fail("token {} comes after the text has ended", token);
  if (trie_->IsEnd(token)) {
    if (!matcher_.complete()) return Fail("token {} ends the text before it is complete", token);
    ended_ = true;
    return {};
  }
  const std::string& bytes = trie_->bytes(token);
  if (!bytes.empty() && matcher_.Accept(bytes)) return {};
  if (!matcher_.problem().empty()) return Fail("{}", matcher_.problem());
  return Fail("token {} ('{}') does not fit the grammar here", token, bytes);
}

}  // namespace kvasir::grammar
