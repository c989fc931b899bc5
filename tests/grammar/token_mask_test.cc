#include "grammar/token_mask.h"

#include <gmock/gmock.h>

#include <cmath>

#include "grammar/gbnf.h"
#include "tests/grammar/random_grammar.h"

namespace kvasir::grammar {
namespace {

using ::testing::HasSubstr;

TokenMasker Masker(std::string_view gbnf, const std::vector<std::string>& tokens,
                   std::vector<int32_t> ends) {
  auto grammar = ParseGbnf(gbnf);
  EXPECT_TRUE(grammar) << grammar.error().message;
  return {*grammar, std::make_shared<TokenTrie>(tokens, ends)};
}

std::vector<int32_t> Allowed(TokenMasker& masker) {
  const auto mask = masker.Allowed();
  EXPECT_TRUE(mask) << mask.error().message;
  std::vector<int32_t> ids;
  for (size_t id = 0; mask && id < (*mask)->n_tokens(); ++id) {
    if ((*mask)->Has(static_cast<int32_t>(id))) ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

using Ids = std::vector<int32_t>;

TEST(TokenMask, AllowsWhatCanFollowAndTheEndWhenComplete) {
  //                                0    1     2     3      4    5   6    7
  const std::vector<std::string> tokens = {"a", "ab", "abc", "abcd", "b", "", "ab", "</s>"};
  TokenMasker masker = Masker("root ::= \"abc\" | \"a\"", tokens, {7});
  EXPECT_EQ(Allowed(masker), (Ids{0, 1, 2, 6}));  // two tokens with the same bytes
  ASSERT_TRUE(masker.Accept(0));
  EXPECT_EQ(Allowed(masker), (Ids{4, 7}));
  ASSERT_TRUE(masker.Accept(4));
  const auto mask = masker.Allowed();
  ASSERT_FALSE(mask);  // "c" alone is no token
  EXPECT_THAT(mask.error().message, HasSubstr("no token of the vocabulary can follow"));
}

TEST(TokenMask, RefusesWhatDoesNotFit) {
  TokenMasker masker = Masker("root ::= \"ab\"", {"a", "b", "</s>", ""}, {2});
  EXPECT_FALSE(masker.Accept(1));
  EXPECT_FALSE(masker.Accept(2));
  EXPECT_FALSE(masker.Accept(3));
  EXPECT_FALSE(masker.Accept(-1));
  EXPECT_FALSE(masker.Accept(4));
  ASSERT_TRUE(masker.Accept(0));
  ASSERT_TRUE(masker.Accept(1));
  EXPECT_TRUE(masker.finished());
  EXPECT_EQ(Allowed(masker), (Ids{2}));
  ASSERT_TRUE(masker.Accept(2));
  EXPECT_FALSE(masker.Accept(2));
  EXPECT_FALSE(masker.Allowed());
}

TEST(TokenMask, TokensMayEndInsideACharacter) {
  const std::string c = "世";
  TokenMasker masker =
      Masker("root ::= [世-界]+",
             {c.substr(0, 1), c.substr(1), c + c.substr(0, 2), c.substr(2), "x", "</s>"}, {5});
  EXPECT_EQ(Allowed(masker), (Ids{0, 2}));
  ASSERT_TRUE(masker.Accept(2));
  EXPECT_EQ(Allowed(masker), (Ids{3}));
  ASSERT_TRUE(masker.Accept(3));
  EXPECT_EQ(Allowed(masker), (Ids{0, 2, 5}));
}

TEST(TokenMask, MasksLogits) {
  TokenMask mask(70);
  mask.Set(0);
  mask.Set(69);
  std::vector<float> logits(80, 1.0f);
  mask.Apply(logits);
  EXPECT_EQ(logits[0], 1.0f);
  EXPECT_EQ(logits[69], 1.0f);
  EXPECT_TRUE(std::isinf(logits[1]));
  EXPECT_TRUE(std::isinf(logits[75]));
  EXPECT_EQ(mask.count(), 2u);
}

TEST(TokenMask, ACopyGoesOnIndependently) {
  TokenMasker masker = Masker("root ::= \"a\" \"b\" | \"c\"", {"a", "b", "c", "</s>"}, {3});
  TokenMasker copy = masker;
  ASSERT_TRUE(masker.Accept(0));
  EXPECT_EQ(Allowed(masker), (Ids{1}));
  EXPECT_EQ(Allowed(copy), (Ids{0, 2}));
}

// The trie's walk against asking the matcher for each token.
TEST(TokenMask, EqualsTryingEachToken) {
  std::vector<std::string> tokens;
  for (const std::string_view a : RandomGrammar::kLetters) {
    for (const std::string_view b : RandomGrammar::kLetters) {
      const std::string both = std::string(a) + std::string(b);
      for (size_t n = 1; n <= both.size(); ++n) {
        tokens.push_back(both.substr(0, n));
        tokens.push_back(both.substr(both.size() - n));
      }
    }
  }
  tokens.push_back("</s>");
  const auto end = static_cast<int32_t>(tokens.size() - 1);
  int n_masks = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    RandomGrammar random(seed);
    const auto grammar = ParseGbnf(random.Text());
    if (!grammar) continue;
    TokenMasker masker(*grammar, std::make_shared<TokenTrie>(tokens, Ids{end}));
    Matcher matcher(*grammar);
    for (int step = 0; step < 6; ++step) {
      const auto mask = masker.Allowed();
      Ids allowed;
      for (int32_t id = 0; id < end; ++id) {
        const bool fits = Matcher(matcher).Accept(tokens[id]);
        if (fits) allowed.push_back(id);
        if (mask) {
          ASSERT_EQ((*mask)->Has(id), fits) << random.Text() << tokens[id];
        }
      }
      if (!mask) {
        ASSERT_TRUE(allowed.empty());
        break;
      }
      ++n_masks;
      ASSERT_EQ((*mask)->Has(end), matcher.complete());
      if (allowed.empty()) break;
      const int32_t id = allowed[random.Draw(static_cast<int>(allowed.size()))];
      ASSERT_TRUE(masker.Accept(id));
      ASSERT_TRUE(matcher.Accept(tokens[id]));
    }
  }
  EXPECT_GT(n_masks, 300);
}

}  // namespace
}  // namespace kvasir::grammar
