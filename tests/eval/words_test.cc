#include "eval/words.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace kvasir::eval {
namespace {

TEST(Words, ListsAreSortedAndWithoutDoubles) {
  for (const auto list : {Nouns(), Adjectives()}) {
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end(), std::less_equal<>()));
  }
  EXPECT_GE(WordPool().size(), 3000u);
}

TEST(Prose, HasALargeVocabularyAndIsTheSameAgain) {
  const std::string text = Prose(Random(1)).Words(120000);
  EXPECT_EQ(Prose(Random(1)).Words(120000), text);
  EXPECT_NE(Prose(Random(2)).Words(120000), text);
  std::vector<std::string> words = SplitWords(text);
  for (std::string& word : words) {
    while (word.ends_with('.') || word.ends_with(',')) word.pop_back();
  }
  EXPECT_GE(words.size(), 120000u);
  EXPECT_GE(std::set(words.begin(), words.end()).size(), 3000u);
}

TEST(Prose, ALongerTextBeginsAsTheShorterOne) {
  const std::string brief = Prose(Random(5)).Words(100);
  EXPECT_EQ(Prose(Random(5)).Words(1000).substr(0, brief.size()), brief);
}

TEST(SplitSentences, CutsBehindStopsThatABlankFollows) {
  EXPECT_THAT(SplitSentences("One. Two 3.5 is! Three"),
              testing::ElementsAre("One.", "Two 3.5 is!", "Three"));
  EXPECT_THAT(SplitSentences(""), testing::IsEmpty());
}

}  // namespace
}  // namespace kvasir::eval
