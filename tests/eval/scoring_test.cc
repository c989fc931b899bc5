// Worked numbers of the benchmarks' own definitions.
#include "eval/scoring.h"

#include <gmock/gmock.h>

namespace kvasir::eval {
namespace {

using Texts = std::vector<std::string>;

TEST(Scoring, StringMatchAllIsTheShareOfContainedAnswers) {
  EXPECT_EQ(StringMatchAll("It is 123.", Texts{"123", "456"}), 0.5);
  EXPECT_EQ(StringMatchAll("", Texts{"123", "456"}), 0);
  EXPECT_EQ(StringMatchAll("xABx", Texts{"Ab"}), 1);
  EXPECT_EQ(CleanPrediction(" \x01 a\tb \n"), "a\nb");
}

TEST(Scoring, StringMatchPartIsAnyAnswer) {
  EXPECT_EQ(StringMatchPart("paris, France", Texts{"Paris", "City of Light"}), 1);
  EXPECT_EQ(StringMatchPart("Rome", Texts{"Paris", "City of Light"}), 0);
}

TEST(Scoring, PasskeyIsTheFirstRunOfDigits) {
  EXPECT_EQ(FirstDigits(" 71432. 9", Texts{"71432"}), 1);
  EXPECT_EQ(FirstDigits("key 7 1432", Texts{"71432"}), 0);
  EXPECT_EQ(FirstDigits("none", Texts{"71432"}), 0);
}

TEST(Scoring, AValueIsAWholeWord) {
  const Texts gold = {"0a1b-2c"};
  EXPECT_EQ(ContainsWord("\"0a1b-2c\", ok", gold), 1);
  EXPECT_EQ(ContainsWord("0a1b-2", gold), 0);
  EXPECT_EQ(ContainsWord("x0a1b-2c", gold), 0);
}

}  // namespace
}  // namespace kvasir::eval
