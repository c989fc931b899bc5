// TokenModel: turns one piece of text into tokens. Implementations are immutable and serve all
// threads; what a call needs beside them is its scratch.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/merge.h"
#include "model/tokenizer/tokenizer_data.h"
#include "model/tokenizer/vocabulary.h"

namespace kvasir {

struct TokenScratch {
  std::vector<Symbol> symbols;
  MergeQueue queue;
  int64_t dropped_bytes = 0;  // no token and no unknown token could stand for them
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Appends the tokens of `piece` (below 4 GiB) to `ids`.
  virtual void Encode(std::string_view piece, TokenScratch& scratch,
                      std::vector<int32_t>& ids) const = 0;
};

// `vocabulary` must outlive the model.
Result<std::unique_ptr<TokenModel>> MakeBpe(const Vocabulary& vocabulary,
                                            const TokenizerData& data);
std::unique_ptr<TokenModel> MakeUnigram(const Vocabulary& vocabulary, const TokenizerData& data);

// Appends what stands for bytes outside the vocabulary: their byte tokens, else the unknown token
// (one for a run where `fuse`: ids beyond `from` are of the same piece), else nothing.
void EncodeUnknown(const Vocabulary& vocabulary, std::string_view bytes, bool fuse, size_t from,
                   TokenScratch& scratch, std::vector<int32_t>& ids);

}  // namespace kvasir
