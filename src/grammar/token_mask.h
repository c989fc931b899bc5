// Which tokens of a vocabulary may come next. TokenTrie holds the vocabulary's bytes and is shared;
// TokenMasker follows one text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "grammar/matcher.h"

namespace kvasir::grammar {

// A set of token ids.
class TokenMask {
 public:
  explicit TokenMask(size_t n_tokens) : n_tokens_(n_tokens), words_((n_tokens + 63) / 64) {}

  void Set(int32_t id) { words_[id >> 6] |= uint64_t{1} << (id & 63); }
  bool Has(int32_t id) const { return words_[id >> 6] >> (id & 63) & 1; }
  size_t n_tokens() const { return n_tokens_; }
  size_t count() const;
  // Logits of tokens outside of the set become -inf, those beyond the vocabulary too.
  void Apply(std::span<float> logits) const;

 private:
  size_t n_tokens_;
  std::vector<uint64_t> words_;
};

// Immutable.
class TokenTrie {
 public:
  // tokens[id]: the bytes that the token adds to a text; empty: no text (control tokens), never
  // allowed. end_ids: the tokens that end an answer.
  TokenTrie(std::span<const std::string> tokens, std::span<const int32_t> end_ids);

  size_t n_tokens() const { return tokens_.size(); }
  const std::string& bytes(int32_t id) const { return tokens_[id]; }
  bool IsEnd(int32_t id) const;

  // Adds the tokens that the matcher could read in its present state.
  void Walk(Matcher& matcher, TokenMask& mask) const;
  void AddEnds(TokenMask& mask) const;

 private:
  // The nodes lie depth first: the children of a node follow it, up to `end`.
  struct Node {
    uint8_t byte;
    uint16_t depth;    // from 1
    int32_t end;       // the first node that is not below this one
    int32_t first_id;  // in ids_; its own tokens end where those of the next node begin
  };

  std::vector<std::string> tokens_;
  std::vector<int32_t> end_ids_;  // ascending
  std::vector<Node> nodes_;       // and one more, behind the last
  std::vector<int32_t> ids_;      // ordered by bytes
  size_t max_depth_ = 0;
};

// Not thread safe; a copy goes on independently.
class TokenMasker {
 public:
  TokenMasker(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  // The tokens that may come next, an ending one among them where the text is complete. Valid until
  // the next call. An error where there is none, or where the grammar is too ambiguous.
  Result<const TokenMask*> Allowed();
  Status Accept(int32_t token);

  bool complete() const { return matcher_.complete(); }
  // Only the end can follow, or it came already.
  bool finished() const { return ended_ || (complete() && !matcher_.can_continue()); }

 private:
  std::shared_ptr<const TokenTrie> trie_;
  Matcher matcher_;
  bool ended_ = false;
  std::unordered_map<Matcher::State, TokenMask> cache_;
  int64_t cache_generation_ = 0;
};

}  // namespace kvasir::grammar
