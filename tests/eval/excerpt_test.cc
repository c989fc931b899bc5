#include "eval/excerpt.h"

#include <gmock/gmock.h>

namespace kvasir::eval {
namespace {

using testing::ElementsAre;

TEST(Clip, CutsBetweenCharacters) {
  EXPECT_EQ(Clip("short", 5), "short");
  EXPECT_EQ(Clip("longer", 4), "long…");
  EXPECT_EQ(Clip("aéb", 2), "a…");  // é has two bytes
}

TEST(Excerpt, AShortTextIsWhole) {
  EXPECT_EQ(Excerpt("a text", std::vector<std::string>{"text"}, 6), Json::array({"a text"}));
}

// Every character is either shown or counted, in order, and the answer is shown.
TEST(Excerpt, ALongTextKeepsItsEndsAndTheAnswer) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += i == 1200 ? "NEEDLE " : i % 7 == 0 ? "é " : "word ";
  const Json pieces = Excerpt(text, std::vector<std::string>{"NEEDLE"}, 900);
  ASSERT_EQ(pieces.size(), 5u);
  std::string rest = text;
  bool shows_answer = false;
  for (const Json& piece : pieces) {
    if (piece.is_string()) {
      const auto shown = piece.get<std::string>();
      ASSERT_TRUE(rest.starts_with(shown));
      rest.erase(0, shown.size());
      shows_answer |= shown.find("NEEDLE") != std::string::npos;
    } else {
      for (int64_t n = piece.get<int64_t>(); n > 0; --n) {
        const size_t size = static_cast<unsigned char>(rest[0]) == 0xC3 ? 2 : 1;
        rest.erase(0, size);
      }
    }
  }
  EXPECT_EQ(rest, "");
  EXPECT_TRUE(shows_answer);
  EXPECT_LE(pieces[0].get<std::string>().size() + pieces[2].get<std::string>().size() +
                pieces[4].get<std::string>().size(),
            900u);
}

TEST(Excerpt, AnAnswerAtTheEdgeOfAnEndIsJoinedToIt) {
  const std::string text = std::string(320, 'a') + "NEEDLE" + std::string(3000, 'b');
  const Json pieces = Excerpt(text, std::vector<std::string>{"NEEDLE"}, 900);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0], std::string(320, 'a') + "NEEDLE" + std::string(100, 'b'));
  EXPECT_EQ(pieces[1], 2600);  // 3326 in all, 426 before, 300 after
  EXPECT_EQ(pieces[2], std::string(300, 'b'));
}

TEST(CoarseMap, IsTheMeanOfNeighbouringLayers) {
  const std::vector<std::string> lines = {"90", "80", "09", "10", "90"};
  EXPECT_EQ(CoarseMap(lines, 1), lines);
  EXPECT_THAT(CoarseMap(lines, 2), ElementsAre("90", "15", "90"));
}

}  // namespace
}  // namespace kvasir::eval
