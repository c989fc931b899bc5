#include "eval/calls.h"

#include "tests/eval/eval_test_util.h"
#include "tests/paths.h"

namespace kvasir::eval {
namespace {

TEST(ParseCalls, ReadsPythonAndJson) {
  const auto python = ParseCalls("Sure: [geo.area(base=10, height=-5.5, unit='cm', on=True), g()]");
  ASSERT_EQ(python.size(), 2u);
  EXPECT_EQ(python[0].name, "geo.area");
  EXPECT_EQ(python[0].arguments,
            Json({{"base", 10}, {"height", -5.5}, {"unit", "cm"}, {"on", true}}));
  EXPECT_EQ(python[1].name, "g");
  const auto json = ParseCalls(R"(```json
[{"name": "f", "arguments": {"x": [1, 2], "s": "a"}}]
```)");
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0].arguments["x"], Json({1, 2}));
  EXPECT_EQ(ParseCalls("f(x=[1, {'k': 'v'}], s=\"it's\")")[0].arguments["s"], "it's");
  EXPECT_TRUE(ParseCalls("I cannot call anything (sorry).").empty());
  EXPECT_TRUE(ParseCalls("f(x=").empty());
  EXPECT_TRUE(ParseCalls("f(x=" + std::string(1000, '[')).empty());
}

TEST(CallsMatch, ComparesNamesAndAllowedValues) {
  const Json expected = Json::parse(
      R"([{"f": {"lamp": ["Skarn", "lamp of Skarn"], "height": [12.5], "unit": ["", "km"]}}])");
  EXPECT_TRUE(CallsMatch(ParseCalls("f(lamp='skarn', height=12.5)"), expected));
  EXPECT_TRUE(CallsMatch(ParseCalls("f(height=12.5, lamp='Lamp of Skarn', unit='km')"), expected));
  EXPECT_FALSE(CallsMatch(ParseCalls("f(lamp='Skarn')"), expected));             // one is missing
  EXPECT_FALSE(CallsMatch(ParseCalls("f(lamp='Skarn', height=12)"), expected));  // wrong
  EXPECT_FALSE(CallsMatch(ParseCalls("f(lamp='Skarn', height=12.5, x=1)"), expected));
  EXPECT_FALSE(CallsMatch(ParseCalls("g(lamp='Skarn', height=12.5)"), expected));
  EXPECT_FALSE(CallsMatch({}, expected));
  const Json two = Json::parse(R"([{"f": {"x": [1]}}, {"f": {"x": [2]}}])");
  EXPECT_TRUE(CallsMatch(ParseCalls("[f(x=2), f(x=1)]"), two));
  EXPECT_FALSE(CallsMatch(ParseCalls("[f(x=1), f(x=1)]"), two));
}

TEST(Bfcl, QuestionsMeetTheirAnswers) {
  const auto model = TinyModel();
  Workshop workshop(*model, {.data = GoldenDir() + "/eval"});
  const Task* task = TheTask("bfcl_simple");
  const auto size = task->Size(workshop, 4096);
  ASSERT_TRUE(size) << size.error().message;
  EXPECT_EQ(**size, 1);
  const auto sample = task->Make(workshop, {4096, 42, 0});
  ASSERT_TRUE(sample) << sample.error().message;
  EXPECT_THAT(sample->context, testing::HasSubstr("lamp.visible_range"));
  const Turn& turn = sample->turns[0];
  EXPECT_EQ(task->Score(*sample, turn, "[lamp.visible_range(lamp=\"Skarn\", height=12.5)]"), 1);
  EXPECT_EQ(task->Score(*sample, turn, "It is 30 km."), 0);
}

}  // namespace
}  // namespace kvasir::eval
