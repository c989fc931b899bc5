// Numbers worked by hand; those of RougeLsum agree with the package `rouge-score` 0.1.2.
#include "eval/rouge.h"

#include <gmock/gmock.h>

namespace kvasir::eval {
namespace {

TEST(RougeL, TakesTheUnionOfSentences) {
  EXPECT_NEAR(RougeL("the cat sat on the mat", "the cat is on the mat"), 0.8, 1e-7);
  EXPECT_NEAR(RougeL("a b c. d e", "a c e. d b."), 1, 1e-7);
  EXPECT_NEAR(RougeL("The cat. ", "The cat"), 0.8, 1e-7);  // the blank piece is an empty word
  EXPECT_EQ(RougeL("", "The cat"), 0);
}

TEST(RougeLZhChar, TakesCharactersForWords) {
  // 桥要修3.5米 against 桥要修好3.5米: the stop within 3.5 parts sentences, as in the package. 桥
  // 要 修 3 | 5 米, all six of them among the gold's seven.
  EXPECT_NEAR(RougeLZhChar("桥要修3.5米", "桥要修好3.5米"), 12.0 / 13, 1e-7);
  EXPECT_NEAR(RougeLZhChar("修桥", "修桥"), 1, 1e-7);
  EXPECT_EQ(RougeLZhChar("", "修桥"), 0);
  EXPECT_EQ(RougeLZhChar("\xe4\xbf", "修桥"), 0);  // a character that was cut off
}

TEST(RougeLsum, CountsWordsAsOftenAsBothHaveThem) {
  EXPECT_NEAR(RougeLsum("the cat sat on the mat", "the cat is on the mat"), 5.0 / 6, 1e-12);
  EXPECT_NEAR(RougeLsum("A b.\nC d", "a b c d"), 1, 1e-12);
  EXPECT_NEAR(RougeLsum("one two three four five", "five six\nthree four\none seven"), 8.0 / 11,
              1e-12);
  // The worked example of Lin 2004, section 3: a union of four words.
  EXPECT_NEAR(RougeLsum("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"), 8.0 / 15, 1e-12);
  EXPECT_EQ(RougeLsum("", "a"), 0);
}

}  // namespace
}  // namespace kvasir::eval
