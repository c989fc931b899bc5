#include "methods/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "methods/registry.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view spec) {
  const auto program = Program::Build(spec);
  return program ? "" : program.error().message;
}

TEST(Spec, ParsesItemsAndParameters) {
  const auto items = ParseSpec(" renumber + snapkv:budget=20%,window = 16 ");
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2u);
  EXPECT_EQ((*items)[0].name, "renumber");
  EXPECT_EQ((*items)[1].params[1], std::pair(std::string("window"), std::string("16")));
}

TEST(Spec, SplitsSeveralOutsideOfQuotes) {
  const auto specs = SplitSpecs("full; razor:heads=\"a;b\" ; streaming");
  ASSERT_TRUE(specs);
  EXPECT_THAT(*specs, testing::ElementsAre("full", "razor:heads=\"a;b\"", "streaming"));
}

TEST(Spec, BudgetsAreCountsOrShares) {
  EXPECT_EQ((Budget{.count = 300}.Of(10)), 300);
  EXPECT_EQ((Budget{.share = 0.2}.Of(600)), 120);
  EXPECT_EQ((Budget{.share = 0.01}.Of(5)), 1);
}

// Each wrong input names what was wrong and what would be right.
TEST(Spec, ErrorsTeach) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("write \"full\""));
  EXPECT_THAT(ErrorOf("snapkv:budgt=9"),
              HasSubstr("snapkv has no parameter 'budgt' (did you mean 'budget'?)"));
  EXPECT_THAT(ErrorOf("snapk"), HasSubstr("did you mean 'snapkv'?"));
  for (const char* shouted : {"KIVI", "TOVA", "SnapKV", "STREAMING"}) {
    EXPECT_THAT(ErrorOf(shouted), HasSubstr("did you mean")) << shouted;
  }
  EXPECT_THAT(ErrorOf("snapkv:BUDGET=9"), HasSubstr("did you mean 'budget'?"));
  EXPECT_THAT(ErrorOf("snapkv:budget="),
              HasSubstr("--kv \"snapkv:budget=\": 'budget' has no value"));
  EXPECT_THAT(ErrorOf("razor:heads=\"\""), HasSubstr("'heads' has no value"));
  EXPECT_THAT(ErrorOf("snapkv:budget=1e16"), HasSubstr("at most 1e+15 entries"));
  EXPECT_THAT(ErrorOf("snapkv:budget=0"), HasSubstr("at least 1"));
  EXPECT_THAT(ErrorOf("snapkv:budget=-5"), HasSubstr("at least 1"));
  EXPECT_THAT(ErrorOf("snapkv:budget=0%"), HasSubstr("above 0%"));
  EXPECT_THAT(ErrorOf("snapkv:budget=101%"), HasSubstr("at most 100%"));
  EXPECT_THAT(ErrorOf("snapkv:budget=abc"), HasSubstr("'abc' is not a budget"));
  EXPECT_THAT(ErrorOf("snapkv:budget=1.5"), HasSubstr("whole number"));
  EXPECT_THAT(ErrorOf("snapkv:budget=nan"), HasSubstr("not a budget"));
  EXPECT_THAT(ErrorOf("snapkv:kernel=4"), HasSubstr("odd 1..63"));
  EXPECT_THAT(ErrorOf("snapkv:window=0"), HasSubstr("1..1024"));
  EXPECT_THAT(ErrorOf("snapkv:window=100%"), HasSubstr("a share, where a whole number is needed"));
  EXPECT_THAT(ErrorOf("snapkv:pool=median"), HasSubstr("max|avg"));
  EXPECT_THAT(ErrorOf("snapkv:window=8,window=9"), HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf("snapkv:window"), HasSubstr("write key=value"));
  EXPECT_THAT(ErrorOf("renumber"), HasSubstr("none follows"));
  EXPECT_THAT(ErrorOf("snapkv + streaming"), HasSubstr("two bases"));
  EXPECT_THAT(ErrorOf("snapkv + + full"), HasSubstr("not a method name"));
  EXPECT_THAT(ErrorOf("snapkv:budget=\"9"), HasSubstr("quote is not closed"));
}

// Untrusted text: what the nearest legal spec is took time and memory by the square of its parts.
TEST(Spec, EndlessStacksAreRefusedAtOnce) {
  std::string spec = "q4";
  for (int i = 0; i < 20000; ++i) spec += " + adakv";
  const std::string error = ErrorOf(spec + " + snapkv");
  EXPECT_THAT(error, HasSubstr("--kv: 20002 methods are stacked; at most 64 can be"));
  EXPECT_LT(error.size(), 200u);
  EXPECT_THAT(ErrorOf(std::string(1 << 20, 'a')), testing::Not(HasSubstr("did you mean")));
}

TEST(Spec, ItemsAreWrittenAsTheyAreRead) {
  const std::string text = "razor:heads=\"a + b, c;d\",budget=30%";
  const auto items = ParseSpec(text);
  ASSERT_TRUE(items);
  EXPECT_EQ(ItemText((*items)[0]), text);
}

// Whatever stack of two or three methods is refused: where its error says what to write, that
// builds.
TEST(Spec, RecipesOfErrorsAreLegal) {
  const std::regex recipe("write \"([^\"]+)\"");
  std::set<std::string> written;
  const auto check = [&](const std::string& spec) {
    const std::string error = ErrorOf(spec);
    if (error.empty()) return;
    for (std::sregex_iterator at(error.begin(), error.end(), recipe), end; at != end; ++at) {
      written.insert((*at)[1]);
    }
    EXPECT_TRUE(std::regex_search(error, recipe) || error.find("leave") != std::string::npos ||
                error.find("stack") != std::string::npos)
        << error;
  };
  for (const MethodInfo* a : AllMethods()) {
    check(std::string(a->name));
    for (const MethodInfo* b : AllMethods()) {
      check(fmt::format("{} + {}", a->name, b->name));
      for (const MethodInfo* c : AllMethods()) {
        check(fmt::format("{} + {} + {}", a->name, b->name, c->name));
      }
    }
  }
  EXPECT_GT(written.size(), 100u);
  for (const std::string& spec : written) EXPECT_EQ(ErrorOf(spec), "") << spec;
}

TEST(Spec, RecipesKeepWhatWasWritten) {
  EXPECT_THAT(ErrorOf("snapkv:budget=300 + adakv:floor=10%"),
              HasSubstr("write \"adakv:floor=10% + snapkv:budget=300\""));
  EXPECT_THAT(ErrorOf("adakv + streaming:sinks=8 + kivi"),
              HasSubstr("write \"adakv + snapkv:budget=20% + kivi\""));
  EXPECT_THAT(ErrorOf("q4 + snapkv + q8"), HasSubstr("write \"snapkv + q4\""));
  EXPECT_THAT(ErrorOf("h2o + mikv + think"), HasSubstr("write \"think + mikv + h2o\""));
}

TEST(Spec, GoodSpecsBuild) {
  for (std::string_view spec :
       {"full", "streaming", "snapkv:budget=2k", "renumber + streaming:budget=300,sinks=8",
        "snapkv:variant=kvpress,budget=100%", "renumber+snapkv:budget=1M"}) {
    EXPECT_EQ(ErrorOf(spec), "") << spec;
  }
}

TEST(Registry, IsSortedAndDocumented) {
  std::string_view before;
  for (const MethodInfo* method : AllMethods()) {
    EXPECT_LT(before, method->name);
    before = method->name;
    EXPECT_FALSE(method->summary.empty());
    EXPECT_FALSE(method->about.empty());
    EXPECT_EQ(ErrorOf(method->example), "") << method->name;
  }
}

}  // namespace
}  // namespace kvasir
