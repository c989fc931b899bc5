// Every parameter of every registered method refuses what it cannot mean, before any work, and says
// where. A new method joins by being registered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "methods/registry.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const std::string& spec) {
  const auto program = Program::Build(spec);
  return program ? "" : program.error().message;
}

// The method's example with a parameter of the method written anew, or added.
std::string With(const MethodInfo& method, const std::string& name, const std::string& value) {
  auto items = ParseSpec(method.example);
  std::string spec;
  for (SpecItem& item : *items) {
    if (item.name == method.name) {
      std::erase_if(item.params, [&](const auto& param) { return param.first == name; });
      item.params.emplace_back(name, value);
    }
    spec += (spec.empty() ? "" : " + ") + ItemText(item);
  }
  return spec;
}

std::vector<std::string> WrongValues(const ParamInfo& param) {
  switch (param.kind) {
    case ParamKind::kBudget:
      return {"0", "-1", "-5%", "0%", "100.1%", "200%", "nan", "inf", "1e400", "1.5", "x", "20%%"};
    case ParamKind::kInteger:
      return {"nan", "inf", "1.5", "x", "", "1e30", "-1e30"};
    case ParamKind::kNumber:
      return {"nan", "-nan", "inf", "x", "", "1e300", "-1e300"};
    case ParamKind::kWord:
      return {"nonsense", "1", "PAPER"};
    case ParamKind::kFlag:
      return {"yes", "1", "True", ""};
    case ParamKind::kText:  // any text is one; what it names is checked when it is opened
      return {};
  }
  return {};
}

class BadInput : public testing::TestWithParam<const MethodInfo*> {};

TEST_P(BadInput, WrongValuesAreRefusedAndNamed) {
  const MethodInfo& method = *GetParam();
  ASSERT_EQ(ErrorOf(std::string(method.example)), "");
  for (const ParamInfo& param : method.params) {
    for (const std::string& value : WrongValues(param)) {
      const std::string error = ErrorOf(With(method, std::string(param.name), value));
      EXPECT_THAT(error, HasSubstr(method.name)) << param.name << "=" << value;
      EXPECT_THAT(error, HasSubstr(param.name)) << param.name << "=" << value;
    }
    // What it says is the default is a value that it takes.
    if (!param.fallback.empty()) {
      EXPECT_EQ(ErrorOf(With(method, std::string(param.name), std::string(param.fallback))), "");
    }
  }
}

TEST_P(BadInput, UnknownAndDoubledParametersAreRefused) {
  const MethodInfo& method = *GetParam();
  EXPECT_THAT(ErrorOf(With(method, "budgett", "1")), HasSubstr("no parameter 'budgett'"));
  if (method.params.empty()) return;
  const std::string_view name = method.params[0].name, value = method.params[0].fallback;
  const std::string twice = fmt::format("{0}:{1}={2},{1}={2}", method.name, name, value);
  EXPECT_THAT(ErrorOf(twice), HasSubstr("given twice"));
}

INSTANTIATE_TEST_SUITE_P(All, BadInput, testing::ValuesIn(AllMethods().begin(), AllMethods().end()),
                         [](const testing::TestParamInfo<const MethodInfo*>& test) {
                           return std::string(test.param->name);
                         });

// Stacks that contradict each other name the recipe that is right.
TEST(Stacks, NameTheLegalRecipe) {
  const std::pair<const char*, const char*> cases[] = {
      {"snapkv + h2o", "two bases"},
      {"protect", "write \"protect + "},
      {"renumber + adakv", "write \"renumber + "},
      {"adakv + simlayer", "write \"adakv + "},
      {"pyramidkv + windowkv", "write \"pyramidkv + "},
      {"chunkkv + streaming", "write \"chunkkv + "},
      {"renumber + snapkv:when=always", "leave out what renumbers"},
      {"finch:when=always", "leave out what renumbers"},
      {"adakv + adakv + snapkv", "stacked twice"},
  };
  for (const auto& [spec, recipe] : cases) EXPECT_THAT(ErrorOf(spec), HasSubstr(recipe)) << spec;
}

}  // namespace
}  // namespace kvasir
