// TokenizerData: everything a tokenizer is made of, as plain data. Filled from GGUF metadata
// (tokenizer_source.h) or from a tokenizer.json (tokenizer_json.h); read by Tokenizer::Make.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kvasir {

enum class TokenizerKind : uint8_t {
  kByteLevelBpe,   // symbols are bytes, pairs merge by rank; pieces written in GPT-2's alphabet
  kCharacterBpe,   // symbols are characters, pairs merge by rank; byte tokens for the unknown
  kSentencePiece,  // symbols are characters, pairs merge by the score of what they make
  kUnigram,        // the segmentation of largest total score
};

enum class TokenType : uint8_t {  // numbered as in GGUF's tokenizer.ggml.token_type
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // found in text only where special tokens are parsed
  kUserDefined = 4,  // found in text always, whole
  kUnused = 5,
  kByte = 6,  // written <0xXX>
};

// How a special token sits in the text around it (tokenizer.json's added_tokens).
struct SpecialRule {
  int32_t id = 0;
  bool lstrip = false;       // swallows the white space before it
  bool rstrip = false;       // ... and after it
  bool single_word = false;  // not next to a letter, digit or underscore
  bool normalized = false;   // looked for in the normalised text, not in the raw one
};

struct NormalizerStep {
  enum class Op : uint8_t {
    kReplace,         // every `pattern` (a literal) becomes `content`
    kReplaceRegex,    // every match of `pattern` becomes `content`
    kPrepend,         // `content` before a fragment that is not empty
    kPrependFirst,    // ... only before the fragment the text starts with
    kStripLeft,       // white space at the start of a fragment goes
    kStripRight,      // ... at the end
    kCollapseSpaces,  // runs of spaces become one; none stays at either end
    kCharsMap,        // `content` is SentencePiece's precompiled character map
    kNfc,             // Unicode's normalisation forms
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,  // each character by itself
  };
  Op op = Op::kReplace;
  std::string pattern;
  std::string content;
};

enum class SplitBehavior : uint8_t {  // what becomes of a match; what lies between is a piece
  kIsolated,
  kRemoved,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,  // touching matches are one piece
};

struct PreTokenizerStep {
  enum class Op : uint8_t {
    kSplit,        // at the matches of the regular expression `pattern`
    kPrefix,       // `pattern` before each piece that does not start with it
    kPrefixFirst,  // ... only before the piece the text starts with
    kReplace,      // the character U+0020 becomes `pattern`
  };
  Op op = Op::kSplit;
  std::string pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what lies between the matches are the matches
};

// What decoding drops from the token that a text starts with.
enum class LeadingSpace : uint8_t {
  kKeep,
  kDropOne,  // the one space that encoding put first
  kDropAll,  // every escaped space of that token, as Hugging Face's Metaspace does
};

struct TokenizerData {
  TokenizerKind kind = TokenizerKind::kByteLevelBpe;
  std::vector<std::string> pieces;  // [n_vocab], as the file spells them
  std::vector<double> scores;       // [n_vocab], or empty where pieces have none
  std::vector<TokenType> types;     // [n_vocab], or empty: all normal
  std::vector<std::pair<std::string, std::string>> merges;  // best first
  // [n_vocab]: the model may make this token of text; empty: the normal and user-defined ones.
  // A tokenizer.json has added tokens that its model knows, special ones too, and others.
  std::vector<bool> in_model;

  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<SpecialRule> special_rules;  // for control and user-defined tokens; others have none

  int32_t bos = -1, eos = -1, eot = -1, eom = -1, unk = -1, pad = -1;  // -1: the model has none
  std::vector<int32_t> more_eog;    // further ends of generation, beside those known by their text
  std::vector<int32_t> prefix_ids;  // what add_special puts before the text, bos among them
  std::vector<int32_t> suffix_ids;  // ... and after it
  // Unigram: scores add up as in `tokenizers`, which has doubles; else as in SentencePiece, in
  // float. Ties between ways to cut a piece are broken by the rounding.
  bool double_sums = false;
  bool ignore_merges = false;  // a piece found whole in the vocabulary is not merged together
  bool fuse_unknown = false;   // neighbouring unknown characters are one unknown token
  bool escape_spaces = false;  // a space is written as U+2581 in the pieces
  // Characters without any token are as if they were not there: what stands around them merges.
  bool joins_over_dropped = false;
  LeadingSpace leading_space = LeadingSpace::kKeep;
};

}  // namespace kvasir
