// Rules of the tokenizer worked by hand on vocabularies of a few tokens.
#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/tokenizer_json.h"

namespace kvasir {
namespace {

using Ids = std::vector<int32_t>;
constexpr EncodeOptions kPlain{.parse_special = false, .add_special = false};

// 256 byte tokens, then these: 256 "ab", 257 "bc", 258 "abc", 259 <s>, 260 <end>, 261 <end>more,
// 262 [tool] (user-defined).
TokenizerData Bytes() {
  TokenizerData data;
  for (int b = 0; b < 256; ++b)
    data.pieces.push_back(PieceOfBytes(std::string(1, static_cast<char>(b))));
  for (const char* piece : {"ab", "bc", "abc", "<s>", "<end>", "<end>more", "[tool]"})
    data.pieces.push_back(piece);
  data.types.assign(data.pieces.size(), TokenType::kNormal);
  data.types[259] = data.types[260] = data.types[261] = TokenType::kControl;
  data.types[262] = TokenType::kUserDefined;
  data.merges = {{"b", "c"}, {"a", "b"}, {"ab", "c"}, {"a", "bc"}};
  data.bos = 259;
  data.eos = 260;
  data.prefix_ids = {259};
  return data;
}

Tokenizer Made(TokenizerData data) {
  Result<Tokenizer> made = Tokenizer::Make(std::move(data));
  if (!made) ADD_FAILURE() << made.error().message;
  return std::move(*made);
}

TEST(Bpe, TheBestPairMergesFirstAndTheLeftmostOfEquals) {
  const Tokenizer tokenizer = Made(Bytes());
  EXPECT_EQ(tokenizer.Encode("ab", kPlain), Ids{256});
  EXPECT_EQ(tokenizer.Encode("abc", kPlain), Ids{258});  // b c, then a bc
  EXPECT_EQ(tokenizer.Encode("abab", kPlain), (Ids{256, 256}));
  EXPECT_EQ(tokenizer.Encode("aabcc", kPlain), (Ids{'a', 258, 'c'}));
  TokenizerData twins = Bytes();
  twins.pieces.push_back("aa");
  twins.types.push_back(TokenType::kNormal);
  twins.merges = {{"a", "a"}};
  EXPECT_EQ(Made(std::move(twins)).Encode("aaa", kPlain), (Ids{263, 'a'}));
}

TEST(Bpe, AWholePieceMayBeTakenWithoutMerges) {
  TokenizerData data = Bytes();
  data.merges = {{"b", "c"}};
  data.ignore_merges = true;
  const Tokenizer tokenizer = Made(std::move(data));
  EXPECT_EQ(tokenizer.Encode("abc", kPlain), Ids{258});
  EXPECT_EQ(tokenizer.Encode("abcc", kPlain), (Ids{'a', 257, 'c'}));
  // Control tokens are no text, however they are spelled.
  EXPECT_EQ(tokenizer.Encode("<s>", kPlain), (Ids{'<', 's', '>'}));
}

TEST(Bpe, BytesWithoutATokenAreDroppedAndCounted) {
  TokenizerData data = Bytes();
  data.pieces['q'] = "unreachable piece";
  const Tokenizer tokenizer = Made(std::move(data));
  EncodeNotes notes;
  EXPECT_EQ(tokenizer.Encode("aqbq", {.add_special = false, .notes = &notes}), (Ids{'a', 'b'}));
  EXPECT_EQ(notes.dropped_bytes, 2);
}

TEST(Special, TheLongestTokenAtAPlaceIsFound) {
  const Tokenizer tokenizer = Made(Bytes());
  EXPECT_EQ(tokenizer.Encode("ab<end>more<end>m", {.add_special = false}),
            (Ids{256, 261, 260, 'm'}));
  EXPECT_EQ(tokenizer.Encode("a<end", {.add_special = false}), (Ids{'a', '<', 'e', 'n', 'd'}));
}

TEST(Special, ControlTokensAreTextUnlessParsedUserDefinedOnesNever) {
  const Tokenizer tokenizer = Made(Bytes());
  EXPECT_EQ(tokenizer.Encode("<s>[tool]", kPlain), (Ids{'<', 's', '>', 262}));
  EXPECT_EQ(tokenizer.Encode("<s>[tool]"), (Ids{259, 259, 262}));
  EXPECT_EQ(tokenizer.Decode(Ids{259, 'x', 262}), "<s>x[tool]");
  EXPECT_EQ(tokenizer.Decode(Ids{259, 'x', 262}, {.special = false}), "x[tool]");
}

TEST(Special, AUserDefinedTokenIsStillMadeByMerges) {
  TokenizerData data = Bytes();
  data.types[258] = TokenType::kUserDefined;  // "abc", only where it stands alone
  SpecialRule rule;
  rule.id = 258;
  rule.single_word = rule.rstrip = true;
  data.special_rules = {rule};
  const Tokenizer tokenizer = Made(std::move(data));
  EXPECT_EQ(tokenizer.Encode("abc  x", kPlain), (Ids{258, 'x'}));
  EXPECT_EQ(tokenizer.Encode("xabc x", kPlain), (Ids{'x', 258, ' ', 'x'}));
}

TEST(Special, EndsAreKnownByIdAndBySpelling) {
  TokenizerData data = Bytes();
  data.pieces.push_back("<|im_end|>");
  data.types.push_back(TokenType::kNormal);  // a file that forgot
  const Tokenizer tokenizer = Made(std::move(data));
  EXPECT_EQ(tokenizer.eog(), (Ids{260, 263}));
  EXPECT_TRUE(tokenizer.IsEog(263));
  EXPECT_TRUE(tokenizer.IsSpecial(263));
  EXPECT_FALSE(tokenizer.IsEog(259));
  EXPECT_EQ(tokenizer.Encode("a<|im_end|>", {.add_special = false}), (Ids{'a', 263}));
}

TEST(Tokenizer, IdsOutsideOfTheVocabularyStandForNothing) {
  const Tokenizer tokenizer = Made(Bytes());
  EXPECT_EQ(tokenizer.Decode(Ids{-1, 'a', 263, INT32_MAX, INT32_MIN}), "a");
  EXPECT_FALSE(tokenizer.IsSpecial(-1));
  EXPECT_FALSE(tokenizer.IsEog(1 << 30));
  EXPECT_EQ(tokenizer.Lookup("nowhere"), -1);
  EXPECT_EQ(tokenizer.Lookup("<s>"), 259);
}

TEST(Tokenizer, RandomBytesComeBack) {
  const Tokenizer tokenizer = Made(Bytes());
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (size_t n = random() % 400; n > 0; --n) {
      text.push_back(i % 3 == 0 ? "abc<s>end"[random() % 9] : static_cast<char>(random()));
    }
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, {.add_special = false})), text);
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, kPlain)), text);
  }
}

TEST(Tokenizer, LongTextsTakeNoQuadraticTime) {
  const Tokenizer tokenizer = Made(Bytes());
  const std::string text(1 << 20, 'a');  // one piece: a quadratic loop would take hours
  EXPECT_EQ(tokenizer.Encode(text, kPlain).size(), text.size());
  std::string pairs;
  for (int i = 0; i < 1 << 18; ++i) pairs += "abc";
  const Ids ids = tokenizer.Encode(pairs, kPlain);
  EXPECT_EQ(ids.size(), size_t{1} << 18);
  EXPECT_TRUE(std::ranges::all_of(ids, [](int32_t id) { return id == 258; }));
}

TEST(Tokenizer, BadDataIsAnErrorThatNamesIt) {
  const auto message = [](auto spoil) {
    TokenizerData data = Bytes();
    spoil(data);
    const Result<Tokenizer> made = Tokenizer::Make(std::move(data));
    return made ? std::string() : made.error().message;
  };
  EXPECT_NE(message([](auto& d) { d.eos = 263; }).find("eos token 263"), std::string::npos);
  EXPECT_NE(message([](auto& d) { d.scores = {1.0f}; }).find("1 scores"), std::string::npos);
  EXPECT_NE(message([](auto& d) { d.types.pop_back(); }).find("262 token types"),
            std::string::npos);
  EXPECT_NE(message([](auto& d) { d.pieces.clear(), d.types.clear(); }).find("0 tokens"),
            std::string::npos);
  EXPECT_NE(message([](auto& d) { d.prefix_ids = {-7}; }).find("special"), std::string::npos);
  EXPECT_NE(message([](auto& d) { d.special_rules = {{999}}; }).find("added token 999"),
            std::string::npos);
  EXPECT_NE(message([](auto& d) {
              d.pre_tokenizer = {{PreTokenizerStep::Op::kSplit, "("}};
            }).find("regex"),
            std::string::npos);
}

// "▁" 0, "a" 1, "▁a" 2, "b" 3, "ab" 4, "▁ab" 5, <unk> 6.
TokenizerData Characters() {
  TokenizerData data;
  data.kind = TokenizerKind::kSentencePiece;
  data.pieces = {"\u2581",
                 "a",
                 "\u2581"
                 "a",
                 "b",
                 "ab",
                 "\u2581"
                 "ab",
                 "<unk>"};
  data.scores = {-5, -5, -2, -5, -1, -3, 0};
  data.types.assign(7, TokenType::kNormal);
  data.types[6] = TokenType::kUnknown;
  data.unk = 6;
  data.fuse_unknown = true;
  data.escape_spaces = true;
  data.leading_space = LeadingSpace::kDropOne;
  data.normalizer = {{NormalizerStep::Op::kPrepend, "", " "},
                     {NormalizerStep::Op::kReplace, " ", "\u2581"}};
  return data;
}

TEST(SentencePiece, MergesByScore) {
  const Tokenizer tokenizer = Made(Characters());
  EXPECT_EQ(tokenizer.Encode("ab", kPlain), Ids{5});  // a b (-1) before ▁ a (-2), then ▁ ab
  EXPECT_EQ(tokenizer.Encode("a a", kPlain), (Ids{2, 2}));
  EXPECT_EQ(tokenizer.Encode("", kPlain), Ids{});
}

TEST(SentencePiece, ARunOfUnknownCharactersIsOneToken) {
  const Tokenizer tokenizer = Made(Characters());
  EXPECT_EQ(tokenizer.Encode("axyzb", kPlain), (Ids{2, 6, 3}));
}

TEST(SentencePiece, TheSpacePutFirstGoesAgain) {
  const Tokenizer tokenizer = Made(Characters());
  EXPECT_EQ(tokenizer.Decode(Ids{2, 2}), "a a");
  EXPECT_EQ(tokenizer.Decode(Ids{2, 2}, {.text_start = false}), " a a");
  EXPECT_EQ(tokenizer.Piece(2), " a");
  EXPECT_EQ(tokenizer.Lookup(" a"), 2);
}

TEST(Unigram, TheLargestSumWins) {
  TokenizerData data = Characters();
  data.kind = TokenizerKind::kUnigram;
  data.normalizer.clear();
  data.scores = {-1, -1, -9, -1, -1.5, -9, 0};
  Tokenizer tokenizer = Made(data);
  EXPECT_EQ(tokenizer.Encode("ab", kPlain), Ids{4});  // -1.5 against -1 -1
  data.scores[4] = -2.5;
  EXPECT_EQ(Made(std::move(data)).Encode("ab", kPlain), (Ids{1, 3}));
}

TEST(TokenizerJson, WhatIsNotSupportedIsAnError) {
  const auto message = [](const char* text) {
    const Result<Tokenizer> made = TokenizerFromJson(text);
    return made ? std::string() : made.error().message;
  };
  EXPECT_NE(message("{").find("JSON"), std::string::npos);
  EXPECT_NE(message("[]").find("model"), std::string::npos);
  EXPECT_NE(message(std::string(100, '[').c_str()).find("deep"), std::string::npos);
  EXPECT_NE(message(R"({"model":{"type":"WordPiece"}})").find("WordPiece"), std::string::npos);
  EXPECT_NE(message(R"({"model":{"vocab":{"a":4000000000},"merges":[]}})").find("vocab"),
            std::string::npos);
  EXPECT_NE(message(R"({"model":{"vocab":{"a":0,"b":0},"merges":[]}})").find("two pieces"),
            std::string::npos);
  EXPECT_NE(message(R"({"model":{"vocab":{"a":0},"merges":["a"]}})").find("merges[0]"),
            std::string::npos);
  EXPECT_NE(message(R"({"model":{"vocab":{"a":0},"merges":[]},"post_processor":{"type":"Sequence",
      "processors":[{"type":"BertProcessing","cls":["a",0],"sep":["a",0]},
                    {"type":"BertProcessing","cls":["a",0],"sep":["a",0]}]}})")
                .find("two steps"),
            std::string::npos);
  EXPECT_NE(
      message(R"({"model":{"vocab":{"a":0},"merges":[]},"normalizer":{"type":"BertNormalizer"}})")
          .find("BertNormalizer"),
      std::string::npos);
  EXPECT_NE(
      message(
          R"({"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"UnicodeScripts"}})")
          .find("UnicodeScripts"),
      std::string::npos);
}

TEST(TokenizerJson, TheConfigNamesBeginAndEnd) {
  const char* text = R"({"model":{"vocab":{"a":0,"<s>":1,"</s>":2},"merges":[]},
    "added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}]})";
  const Result<Tokenizer> made = TokenizerFromJson(
      text, R"({"bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true})");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->bos(), 1);
  EXPECT_TRUE(made->IsEog(2));
  EXPECT_EQ(made->Encode("a</s>"), (Ids{1, 0, 2}));
  EXPECT_FALSE(TokenizerFromJson(text, R"({"bos_token":"<bos>"})"));
}

}  // namespace
}  // namespace kvasir
