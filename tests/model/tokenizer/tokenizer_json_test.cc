// tokenizer.json: ids equal those of PyPI's `tokenizers` for its steps and flags
// (tools/references/tokenizer_json.py), and what is not supported is an error.
#include "model/tokenizer/tokenizer_json.h"

#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using nlohmann::json;

const json& References() {
  static const json kFile = json::parse(ReadAll(GoldenDir() + "/tokenizer/json_models.json"));
  return kFile;
}

// The tokenizer.json of a variant.
json Compose(const json& variant) {
  json made = References().at("models").at(variant.at("model").get<std::string>());
  for (const auto& [key, value] : variant.at("patch").items()) {
    (key == "ignore_merges" ? made["model"] : made)[key] = value;
  }
  return made;
}

TEST(TokenizerJson, IdsEqualTheReference) {
  int n = 0;
  for (const json& variant : References().at("variants")) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    const Result<Tokenizer> tokenizer = TokenizerFromJson(Compose(variant).dump());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (size_t i = 0; i < References().at("texts").size(); ++i, ++n) {
      const auto text = References().at("texts")[i].get<std::string>();
      EXPECT_EQ(tokenizer->Encode(text), variant.at("ids")[i].get<std::vector<int32_t>>())
          << "text: " << text;
    }
  }
  EXPECT_GT(n, 1000);
}

// What follows is what `tokenizers` 0.22.2 answers.
using Ids = std::vector<int32_t>;

Tokenizer Made(const std::string& text) {
  Result<Tokenizer> made = TokenizerFromJson(text);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

TEST(TokenizerJson, TheModelMakesWhatIsInItsVocabularyAndNothingElse) {
  const Tokenizer bpe = Made(R"({"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},
    "added_tokens":[{"id":2,"content":"ab","single_word":true,"special":true}]})");
  EXPECT_EQ(bpe.Encode("cab"), Ids{2});  // no word of its own, so the merge made it
  EXPECT_EQ(bpe.Encode("acb"), Ids{2});  // what no token stands for is as if it were not there
  const Tokenizer unigram = Made(R"({"model":{"type":"Unigram","unk_id":0,
    "vocab":[["<unk>",0],["a",-1],["b",-1]]},
    "added_tokens":[{"id":3,"content":"ab","single_word":true}]})");
  EXPECT_EQ(unigram.Encode("cab"), (Ids{0, 1, 2}));
  EXPECT_EQ(unigram.Encode("\u00e9ab"), (Ids{0, 1, 2}));
  EXPECT_EQ(unigram.Encode("\u00b2ab"), (Ids{0, 3}));  // a superscript is no part of a word
}

TEST(TokenizerJson, WhatIsOutsideTheAlphabetOfBytesIsNoText) {
  const Tokenizer tokenizer = Made(R"({"model":{"vocab":{"a":0,"\u0109":1,"\t":2,"\u00c3":3,
      "\u00a9":4,"\u00e9":5},"merges":[],"ignore_merges":true},
    "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":false},
    "added_tokens":[{"id":2,"content":"\t","special":true,"single_word":true}]})");
  EXPECT_EQ(tokenizer.Encode("a\ta"), (Ids{0, 1, 0}));  // no word of its own: the byte's token
  EXPECT_EQ(tokenizer.Encode("\u00e9"), (Ids{3, 4}));
}

TEST(TokenizerJson, NmtTakesControlCharactersAway) {
  const Tokenizer nmt = Made(R"({"model":{"vocab":{"a":0," ":1},"merges":[]},
    "normalizer":{"type":"Nmt"}})");
  EXPECT_EQ(nmt.Encode("a\x01\t\u200b\u009fa\u2581"), (Ids{0, 1, 1, 0, 1}));
}

TEST(TokenizerJson, OnlyTheTextsOwnFirstCharacterStartsIt) {
  const auto made = [](const std::string& more) {
    return Made(R"({"model":{"vocab":{"a":0,"\u2581":1},"merges":[]},)" + more + "}");
  };
  const char* metaspace = R"({"type":"Metaspace","prepend_scheme":"first","split":false})";
  const Tokenizer nmt =
      made(fmt::format(R"("normalizer":{{"type":"Nmt"}},"pre_tokenizer":{})", metaspace));
  EXPECT_EQ(nmt.Encode("a"), (Ids{1, 0}));
  EXPECT_EQ(nmt.Encode("\x01"
                       "a"),
            Ids{0});
  const Tokenizer words = made(fmt::format(
      R"("pre_tokenizer":{{"type":"Sequence","pretokenizers":[{{"type":"WhitespaceSplit"}},{}]}})",
      metaspace));
  EXPECT_EQ(words.Encode("a a"), (Ids{1, 0, 0}));
  EXPECT_EQ(words.Encode(" a a"), (Ids{0, 0}));
}

TEST(TokenizerJson, SwallowedSpacesAreNoTokenThatSwallowsSpaces) {
  const char* text = R"({"model":{"vocab":{"a":0},"merges":[]},
    "added_tokens":[{"id":1,"content":"  ","lstrip":LEFT,"rstrip":true}]})";
  const auto made = [&](const char* left) {
    std::string file = text;
    return Made(file.replace(file.find("LEFT"), 4, left));
  };
  EXPECT_EQ(made("true").Encode("a    a"), (Ids{0, 1, 0}));
  EXPECT_EQ(made("false").Encode("a    a"), (Ids{0, 1, 1, 0}));
}

TEST(TokenizerJson, OnlyTheFirstTokenLosesItsSpace) {
  const auto made = [](const std::string& decoder) {
    return Made(R"({"model":{"vocab":{"\u2581\u2581a\u2581":0,"\u2581a":1},"merges":[]},
      "added_tokens":[{"id":2,"content":"<s>","special":true}],"decoder":)" +
                decoder + "}");
  };
  const Tokenizer metaspace = made(R"({"type":"Metaspace","prepend_scheme":"first"})");
  EXPECT_EQ(metaspace.Decode(Ids{0, 1}), "a a");
  EXPECT_EQ(metaspace.Decode(Ids{2, 1}), "<s> a");
  EXPECT_EQ(metaspace.Decode(Ids{2, 1}, {.special = false}), "a");
  const Tokenizer strip = made(R"({"type":"Sequence","decoders":[
    {"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"Fuse"},
    {"type":"Strip","content":" ","start":1,"stop":0}]})");
  EXPECT_EQ(strip.Decode(Ids{0, 1}), " a  a");
  EXPECT_EQ(strip.Decode(Ids{2, 1}), "<s> a");
}

}  // namespace
}  // namespace kvasir
