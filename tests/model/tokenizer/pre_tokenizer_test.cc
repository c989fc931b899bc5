// How texts are cut: GGUF's names against llama.cpp (tools/references/tokenizer_names.py), the rest
// worked by hand.
#include "model/tokenizer/pre_tokenizer.h"

#include "model/tokenizer/regex.h"
#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using Pieces = std::vector<std::string>;

Pieces Cut(const std::vector<PreTokenizerStep>& steps, std::string text, bool* complete = nullptr) {
  const Result<PreTokenizer> made = PreTokenizer::Make(steps);
  EXPECT_TRUE(made) << made.error().message;
  SplitText split{std::move(text), {}};
  split.ends.push_back(split.text.size());
  const bool all = made->Split(split, true);
  if (complete != nullptr) *complete = all;
  Pieces pieces;
  size_t begin = 0;
  for (const size_t end : split.ends) {
    pieces.push_back(split.text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, split.text.size());
  return pieces;
}

Pieces CutNamed(const char* name, std::string text) {
  const Result<NamedPreTokenizer> named = FindPreTokenizer(name);
  EXPECT_TRUE(named) << name;
  return Cut(named->steps, std::move(text));
}

TEST(PreTokenizerNames, IdsEqualLlamaCpp) {
  const auto read = [](const char* file) {
    return nlohmann::json::parse(ReadAll(GoldenDir() + "/tokenizer/" + file));
  };
  const nlohmann::json names = read("names.json");
  nlohmann::json model = read("json_models.json").at("models").at("bytes").at("model");
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  std::vector<std::string> tokens(model.at("vocab").size());
  for (const auto& [piece, id] : model.at("vocab").items()) tokens.at(id.get<size_t>()) = piece;
  metadata.Set("tokenizer.ggml.tokens", tokens);
  metadata.Set("tokenizer.ggml.merges", model.at("merges").get<std::vector<std::string>>());
  for (const auto& [name, ids] : names.at("ids").items()) {
    SCOPED_TRACE(name);
    metadata.Set("tokenizer.ggml.pre", name);
    const Result<Tokenizer> tokenizer = TokenizerFromMetadata(metadata);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto text = names.at("texts")[i].get<std::string>();
      EXPECT_EQ(tokenizer->Encode(text, {.add_special = false}), ids[i].get<std::vector<int32_t>>())
          << "text: " << text;
    }
  }
}

TEST(PreTokenizerNames, AnUnknownNameListsTheKnownOnes) {
  const Result<NamedPreTokenizer> named = FindPreTokenizer("smollm3000");
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().message.find("smollm3000"), std::string::npos);
  EXPECT_NE(named.error().message.find("qwen2, "), std::string::npos);
}

TEST(PreTokenizer, CutsDigitsSpacesAndContractions) {
  EXPECT_EQ(CutNamed("smollm", "it's 12 km"), (Pieces{"it", "'s", " ", "1", "2", " km"}));
  EXPECT_EQ(CutNamed("gpt-2", "it's 12  km"), (Pieces{"it", "'s", " 12", " ", " km"}));
  EXPECT_EQ(CutNamed("llama-bpe", "IT'S 12345 a\n\n b"),
            (Pieces{"IT", "'S", " ", "123", "45", " a", "\n\n", " b"}));
  EXPECT_EQ(CutNamed("qwen2", "(abc) 12!\n"), (Pieces{"(abc", ")", " ", "1", "2", "!\n"}));
  EXPECT_EQ(CutNamed("gpt-4o", "helloWorld's"), (Pieces{"hello", "World's"}));
}

TEST(PreTokenizer, AMongolianVowelSeparatorIsNoSpace) {
  EXPECT_EQ(CutNamed("gpt-2", "!\xe1\xa0\x8e!"), (Pieces{"!\xe1\xa0\x8e!"}));  // U+180E
  EXPECT_EQ(CutNamed("gpt-2", "!\xc2\x85!"), (Pieces{"!", "\xc2\x85", "!"}));  // U+0085
}

TEST(PreTokenizer, BytesThatAreNoUtf8AreKept) {
  EXPECT_EQ(CutNamed("gpt-2", "ab\xff\xe4\xb8 cd\xf0"),
            (Pieces{"ab", "\xff\xe4\xb8", " cd", "\xf0"}));
}

TEST(PreTokenizer, BehaviorsPlaceTheMatch) {
  const auto cut = [](SplitBehavior behavior, bool invert = false) {
    return Cut({{PreTokenizerStep::Op::kSplit, "-", behavior, invert}}, "a--b-");
  };
  EXPECT_EQ(cut(SplitBehavior::kIsolated), (Pieces{"a", "-", "-", "b", "-"}));
  EXPECT_EQ(cut(SplitBehavior::kRemoved), (Pieces{"a", "b"}));
  EXPECT_EQ(cut(SplitBehavior::kRemoved, true), (Pieces{"-", "-", "-"}));
  EXPECT_EQ(cut(SplitBehavior::kContiguous), (Pieces{"a", "--", "b", "-"}));
  EXPECT_EQ(cut(SplitBehavior::kMergedWithPrevious), (Pieces{"a-", "-", "b-"}));
  EXPECT_EQ(cut(SplitBehavior::kMergedWithNext), (Pieces{"a", "-", "-b", "-"}));
}

TEST(PreTokenizer, APatternWithoutEndGivesUpAndKeepsTheText) {
  bool complete = true;
  const std::string text = std::string(5000, 'a') + "!b";
  const Pieces pieces = Cut({{PreTokenizerStep::Op::kSplit, "(a+a+)+b"}}, text, &complete);
  EXPECT_FALSE(complete);
  EXPECT_EQ(pieces, Pieces{text});
}

TEST(Regex, RefusesWhatMeansSomethingElseHere) {
  for (const char* pattern : {"[a-z&&[^b]]", "[a[bc]]", "\\h+", "(", "", "\\p{Nonsense}", "\xff"}) {
    EXPECT_FALSE(Regex::Compile(pattern)) << pattern;
  }
  for (const char* pattern : {"[[:alpha:]]+", "[\\[\\]]", "[^\\s\\p{L}]", "(?<!a)b", "a++"}) {
    const Result<Regex> regex = Regex::Compile(pattern);
    EXPECT_TRUE(regex) << regex.error().message;
  }
}

}  // namespace
}  // namespace kvasir
