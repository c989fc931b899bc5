// Tokenizer: text to token ids and back. Knows no file format: tokenizer_source.h and
// tokenizer_json.h fill the TokenizerData it is made from. Immutable: any number of threads may
// use one object.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/special_tokens.h"
#include "model/tokenizer/token_model.h"
#include "model/tokenizer/tokenizer_data.h"
#include "model/tokenizer/vocabulary.h"

namespace kvasir {

// What Encode could not do; each is worth one warning to the user.
struct EncodeNotes {
  int64_t dropped_bytes = 0;      // the vocabulary has no token for them
  bool split_incomplete = false;  // a pattern of the pre-tokenizer gave up on this text
};

struct EncodeOptions {
  bool parse_special = true;     // control tokens written in the text become those tokens
  bool add_special = true;       // puts BOS, EOS around, where the model wants them
  EncodeNotes* notes = nullptr;  // filled where given
};

struct DecodeOptions {
  bool special = true;     // control tokens are written out, else left out
  bool text_start = true;  // the ids start a text: the space that encoding put first is dropped
};

class Tokenizer {
 public:
  static Result<Tokenizer> Make(TokenizerData data);

  // Bytes that are no UTF-8 are encoded as bytes. Time is O(n log n) in the text.
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The bytes of the tokens; a character may be incomplete at either end. Ids outside of the
  // vocabulary stand for nothing.
  std::string Decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;
  std::string Piece(int32_t id) const;
  // The token of this spelling ("<|im_end|>", " the"), -1: none.
  int32_t Lookup(std::string_view piece) const;

  int32_t n_vocab() const { return vocabulary_->size(); }
  // -1 where the model has none.
  int32_t bos() const { return bos_; }
  int32_t eos() const { return eos_; }
  int32_t pad() const { return pad_; }
  int32_t unk() const { return vocabulary_->unknown(); }
  bool IsSpecial(int32_t id) const;  // a control or unknown token: not text of the user's
  bool IsEog(int32_t id) const;      // generation ends here
  const std::vector<int32_t>& eog() const { return eog_; }  // ascending
  // BOS, or nothing: what add_special puts first.
  const std::vector<int32_t>& prefix_ids() const { return prefix_ids_; }

 private:
  Tokenizer(std::unique_ptr<const Vocabulary> vocabulary, Normalizer normalizer,
            const TokenizerData& data);
  void EncodePlain(std::string_view fragment, bool first, bool control, TokenScratch& scratch,
                   EncodeNotes& notes, std::vector<int32_t>& ids) const;
  void EncodePieces(std::string text, bool first, TokenScratch& scratch, EncodeNotes& notes,
                    std::vector<int32_t>& ids) const;

  std::unique_ptr<const Vocabulary> vocabulary_;  // on the heap: the model points to it
  std::unique_ptr<TokenModel> model_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  SpecialTokens raw_special_, normalized_special_;
  std::vector<int32_t> prefix_ids_, suffix_ids_, eog_;
  int32_t bos_, eos_, pad_;
  bool escape_spaces_;
  LeadingSpace leading_space_;
};

}  // namespace kvasir
