// Numbers worked by hand from the definitions of LongBench, GSM8K and SCBench.
#include "eval/text_scores.h"

#include <gmock/gmock.h>

namespace kvasir::eval {
namespace {

using Texts = std::vector<std::string>;

TEST(QaF1, IsOfBagsOfNormalisedWords) {
  EXPECT_EQ(NormaliseAnswer("The  U.S. is an old-land"), "us is oldland");
  EXPECT_DOUBLE_EQ(QaF1("The answer is Paris, France.", "Paris"), 0.4);
  EXPECT_DOUBLE_EQ(QaF1("in the old town of Bern", "the old town Bern"), 0.75);
  EXPECT_EQ(QaF1("", "Paris"), 0);
  EXPECT_EQ(QaF1("the", "a"), 0);
  EXPECT_DOUBLE_EQ(QaF1("b b", "b"), 2.0 / 3);  // a word counts as often as it is there
}

TEST(QaF1, ZhGoesByCharacters) {
  // "北京。" against "北京市": 2 of 2, 2 of 3.
  EXPECT_DOUBLE_EQ(
      QaF1ZhChar("\xe5\x8c\x97\xe4\xba\xac\xe3\x80\x82", "\xe5\x8c\x97\xe4\xba\xac\xe5\xb8\x82"),
      0.8);
  EXPECT_DOUBLE_EQ(QaF1ZhChar("GPT 4", "gpt 4"), 1);
}

TEST(EditSimilarity, IsOfTheFirstLineOfCode) {
  EXPECT_DOUBLE_EQ(EditSimilarity("return x + 1", "return x+1"), 0.91);
  EXPECT_EQ(EditSimilarity("```python\nreturn x", "return x"), 1);
  EXPECT_EQ(EditSimilarity("# only this", "return x"), 0);
  EXPECT_EQ(EditSimilarity("\n\nreturn x\nmore", "return x"), 1);
}

TEST(Retrieval, IsTheShareOfRightNumbers) {
  EXPECT_EQ(Retrieval("Paragraph 7 or 8", "Paragraph 7"), 0.5);
  EXPECT_EQ(Retrieval("none", "Paragraph 7"), 0);
  EXPECT_EQ(Retrieval("Paragraph 17", "Paragraph 7"), 0);
  EXPECT_EQ(Retrieval("7",
                      "\xe6\xae\xb5\xe8\x90\xbd"
                      "7",
                      true),
            1);
  EXPECT_EQ(CountScore("about 12", "12"), 1);
}

TEST(Classification, DropsNamesWithinTheRightOne) {
  const Texts classes = {"Number", "Number of something", "Date"};
  EXPECT_EQ(Classification("Number of something", "Number of something", classes), 1);
  EXPECT_EQ(Classification("Date or Number", "Date", classes), 0.5);
  EXPECT_EQ(Classification("Number", "Date", classes), 0);
  // What follows a removed name is skipped, as in the original: "B" stays.
  EXPECT_EQ(Classification("A B C", "A B C", Texts{"A", "B", "A B C"}), 0.5);
}

TEST(Gsm, ReadsTheAnswerInThreeWays) {
  EXPECT_EQ(GsmStrict("so #### 1,234", "#### 1234"), 1);
  EXPECT_EQ(GsmStrict("so 1234", "1234"), 0);
  EXPECT_EQ(GsmFlexible("costs $18.00 in total.", "18"), 0);
  EXPECT_EQ(GsmFlexible("costs $18.00 in total.", "18.00"), 1);
  EXPECT_EQ(GsmNumeric("costs $18.00 in total.", "18"), 1);
  EXPECT_EQ(GsmFlexible("It is 7.", "7"), 1);
  EXPECT_EQ(GsmFlexible("minus -12 it is", "-12"), 1);
  EXPECT_EQ(GsmNumeric("none", "7"), 0);
}

TEST(Choices, AreALetterThatStandsAlone) {
  EXPECT_EQ(ChoiceLetter("The answer is B.", "B"), 1);
  EXPECT_EQ(ChoiceLetter("(C) because", "C"), 1);
  EXPECT_EQ(ChoiceLetter("A number of things, so D", "D"), 1);
  EXPECT_EQ(ChoiceLetter("Alpha", "A"), 0);
  EXPECT_EQ(FirstNumber("it is 42, not 7", "42"), 1);
  EXPECT_EQ(LastNumber("first 3, then -12.", "-12"), 1);
}

}  // namespace
}  // namespace kvasir::eval
