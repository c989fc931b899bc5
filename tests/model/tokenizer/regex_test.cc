// Patterns against PyPI's `tokenizers` (tools/references/tokenizer_regex.py).
#include "model/tokenizer/regex.h"

#include <gmock/gmock.h>

#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_json.h"
#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using testing::HasSubstr;
using Cuts = std::vector<std::string>;

// What a name of the golden file holds: some cases.
const nlohmann::json& Golden(const char* name) {
  static const auto kAll = nlohmann::json::parse(ReadAll(GoldenDir() + "/tokenizer/regex.json"));
  EXPECT_FALSE(kAll.at(name).empty());
  return kAll.at(name);
}

Cuts CutBy(const std::vector<PreTokenizerStep>& steps, const std::string& text) {
  const Result<PreTokenizer> made = PreTokenizer::Make(steps);
  if (!made) return {made.error().message};
  SplitText split{text, {}};
  if (!text.empty()) split.ends.push_back(text.size());
  EXPECT_TRUE(made->Split(split, true));
  Cuts pieces;
  size_t begin = 0;
  for (const size_t end : split.ends) {
    pieces.push_back(split.text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

TEST(Regex, MeansWhatItMeansInOniguruma) {
  for (const nlohmann::json& each : Golden("patterns")) {
    const std::string pattern = each[0];
    for (const nlohmann::json& cut : each[1]) {
      EXPECT_EQ(CutBy({{PreTokenizerStep::Op::kSplit, pattern}}, cut[0]), cut[1].get<Cuts>())
          << pattern;
    }
  }
}

TEST(Regex, WhitespaceKnowsWordsAsRustDoes) {
  const std::string json =
      R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
          "pre_tokenizer": {"type": "Whitespace"}})";
  const Result<TokenizerData> data = TokenizerDataFromJson(json);
  ASSERT_TRUE(data) << data.error().message;
  for (const nlohmann::json& cut : Golden("whitespace")) {
    EXPECT_EQ(CutBy(data->pre_tokenizer, cut[0]), cut[1].get<Cuts>());
  }
}

TEST(Regex, NamesTheByteAndTheConstructThatItRefuses) {
  const std::pair<std::string, const char*> cases[] = {
      {"ab\\h", "byte 2: \\h is a hex digit"},
      {"[a\\W]", "byte 2: \\W inside a class"},
      {"[a[b]]", "byte 2: a class inside a class"},
      {"[a&&b]", "byte 2: class intersections"},
      {"(?s).", "byte 0: option 's' is not supported"},
      {"(?\xc3\xa9)", ""},
      {"a{3,1}", "byte 1: a repeat of 3 to 1"},
      {"a{999999}", "byte 1: a repeat of 999999"},
      {"\\u12", "byte 0: \\u needs four hex digits"},
      {"\\Qa\\E", "byte 0: \\Q is not supported"},
      {"[[:^alnum:]]", "byte 1: [:^alnum:] is not supported"},
      {"[[:foo:]]", "byte 1: [:foo:] is not supported"},
      {"[\\P{Alnum}]", "byte 1: the negation of 'Alnum'"},
      {"\\p{Foo}", "unknown property"},
      {"\\p{L", "byte 0: \\p{ without }"},
      {"\\pL", "byte 0: \\p needs a name in braces"},
      {"a)", "byte 1: an unmatched )"},
      {"(?i", "byte 0: (? without )"},
      {"(?#", "byte 0: (?# without )"},
      {"(a", "missing closing parenthesis"},
      {"[a", "missing terminating ]"},
      {"[\\", ""},
      {"a\\", ""},
      {std::string(20000, '(').append("\\b"), "nested"},
  };
  for (const auto& [pattern, mentions] : cases) {
    const Result<Regex> regex = Regex::Compile(pattern);
    ASSERT_FALSE(regex) << pattern.substr(0, 40);
    EXPECT_THAT(regex.error().message, HasSubstr(mentions)) << pattern.substr(0, 40);
  }
  std::string boundaries;
  for (int i = 0; i < 30000; ++i) boundaries += "\\b";
  EXPECT_THAT(Regex::Compile(boundaries).error().message, HasSubstr("too long"));
}

TEST(Normalizers, MakeOfTextsWhatTokenizersMakes) {
  for (const auto& [type, cases] : Golden("normalizers").items()) {
    nlohmann::json root = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}}},
                           {"normalizer", {{"type", type}}}};
    root["model"]["merges"] = nlohmann::json::array();
    const Result<TokenizerData> data = TokenizerDataFromJson(root.dump());
    ASSERT_TRUE(data) << data.error().message;
    const Result<Normalizer> normalizer = Normalizer::Make(data->normalizer);
    ASSERT_TRUE(normalizer) << normalizer.error().message;
    for (const nlohmann::json& each : cases) {
      EXPECT_EQ(normalizer->Apply(each[0].get<std::string>(), true), each[1]) << type;
    }
  }
}

// Cuts that tie but for the rounding of sums: doubles from tokenizer.json.
TEST(Unigram, AddsScoresOfTokenizerJsonUpInDoubles) {
  const nlohmann::json golden = Golden("unigram");
  const nlohmann::json root = {
      {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", golden["scores"]}}}};
  const Result<Tokenizer> tokenizer = TokenizerFromJson(root.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  for (const nlohmann::json& each : golden["ids"]) {
    EXPECT_EQ(tokenizer->Encode(each[0].get<std::string>(), {.add_special = false}),
              each[1].get<std::vector<int32_t>>())
        << each[0];
  }
}

}  // namespace
}  // namespace kvasir
