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
      return {"nan", "inf", "1.5", "x", "", "1e30", "-1e30", "100%", "3200%"};
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

// Parameters that count for nothing beside the example's others: a spec in which they do.
std::string WhereItCounts(const MethodInfo& method, const ParamInfo& param) {
  constexpr struct {
    std::string_view method, param, beside;
  } kBeside[] = {
      {"keyformer", "shared", "noise=element,"},
      {"kvmerger", "eps", "mode=threshold,"},
      {"kvmerger", "tail", "when=always,"},
      {"razor", "min_buffer", ""},
      {"razor", "share", ""},
  };
  for (const auto& [name, of, beside] : kBeside) {
    if (name != method.name || of != param.name) continue;
    return fmt::format("{}:{}{}={}", name, beside, of, param.fallback);
  }
  return With(method, std::string(param.name), std::string(param.fallback));
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
      EXPECT_EQ(ErrorOf(WhereItCounts(method, param)), "");
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
      {"renumber + merge + snapkv", "the means that 'merge' makes have none of their own"},
      {"merge + finch", "'finch' moves keys to new positions"},
      {"mikv + renumber + snapkv", "'mikv' keeps every entry"},
      {"adakv + adakv + snapkv", "stacked twice"},
      {"pyramidkv + adakv + keydiff", "write \"adakv + pyramidkv + keydiff\""},
      {"criticalkv + pyramidkv + adakv + h2o", "write \"criticalkv + adakv + pyramidkv + h2o\""},
  };
  for (const auto& [spec, recipe] : cases) EXPECT_THAT(ErrorOf(spec), HasSubstr(recipe)) << spec;
}

// What is written has an effect, or is refused: also where it is the default that is written.
TEST(Parameters, ThatCountForNothingAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"adakv:variant=kvpress,normalize=true + snapkv", "leave normalize out"},
      {"pyramidkv:variant=kvpress,exact_total=true + snapkv", "leave exact_total out"},
      {"kivi:group_size=48", "not in 32|64"},
      {"kivi:group_size=64,residual=96", "a multiple of 64 is needed, such as 64"},
      {"kvmerger:mode=threshold,budget=50%", "leave budget out"},
      {"kvmerger:budget=50%,eps=0.75", "mode=target meets the budget; leave eps out"},
      {"kvmerger:kernel=rms,sigma=5", "leave sigma out"},
      {"kvmerger:kernel=two_pass,sigma=2", "leave sigma out"},
      {"kvmerger:tail=8", "leave tail out"},
      {"kivi:bits=2,k_bits=4,v_bits=2", "k_bits and v_bits say both; leave bits out"},
      {"windowkv:pyramid=flat,lambda=20", "leave lambda out"},
      {"mikv:lo_bits=0,hi_bits=8 + h2o", "leave hi_bits out"},
      {"mikv:lo_bits=0,group=32 + h2o", "leave group out"},
      {"mikv:group=20 + h2o", "a multiple of 8 is needed, such as 16"},
      {"mikv:lo_bits=0,grow=true + h2o", "leave grow out"},
      {"mikv:lo_bits=4,hi_bits=2 + h2o", "write lo_bits=2 or less"},
      {"keyformer:noise=off,seed=1", "noise=off draws nothing; leave seed out"},
      {"keyformer:noise=off,shared=true", "leave shared out"},
      {"keyformer:shared=true", "leave shared out"},
      {"keyformer:tau=2,tau_end=1", "--kv \"keyformer:tau=2,tau_end=1\""},
      {"trimkv:when=prompt,every=8", "when=prompt cuts once; leave every out"},
      {"rkv:when=prompt,every=128", "leave every out"},
      {"vidkv:value_bits=2,protect=10%", "leave protect out"},
      {"vidkv:value_bits=2,alpha=lsq", "leave alpha out"},
      {"razor:budget=30%,min_buffer=4000", "leave min_buffer out"},
      {"razor:budget=30%,share=20%", "leave share out"},
      {"windowkv:top=9", "--kv \"windowkv:top=9\""},
      {"windowkv:layers=15", "--kv \"windowkv:layers=15,lambda=14\""},
  };
  for (const auto& [spec, error] : cases) {
    EXPECT_THAT(ErrorOf(spec), HasSubstr(error)) << spec;
    EXPECT_THAT(ErrorOf(spec), HasSubstr("--kv")) << spec;
  }
}

// expected:budget=64,sinks=100 kept the entries 36 to 99.
TEST(Parameters, ACountThatSinksUseUpIsRefused) {
  for (const char* base : {"streaming", "expected", "cur", "lagkv"}) {
    const auto spec = [&](const char* params) { return fmt::format("{}:{}", base, params); };
    EXPECT_THAT(ErrorOf(spec("budget=64,sinks=100")),
                HasSubstr("the first 100 leave no room for others; write sinks=63 or less"));
    EXPECT_THAT(ErrorOf(spec("budget=1,sinks=1")), HasSubstr("write sinks=0"));
    for (const char* params : {"budget=2", "budget=9,sinks=8", "budget=1%,sinks=8"}) {
      EXPECT_EQ(ErrorOf(spec(params)), "") << base << ":" << params;
    }
  }
}

TEST(Parameters, ACountThatAWindowUsesUpIsRefused) {
  const std::string error = "a window of {} leaves no room for others; write window={} or less";
  const auto expect = [&](const char* spec, int window, int less) {
    EXPECT_THAT(ErrorOf(spec), HasSubstr(fmt::format(fmt::runtime(error), window, less))) << spec;
  };
  expect("snapkv:budget=32", 32, 31);
  expect("snapkv:variant=kvpress,budget=40", 64, 39);
  expect("finch:budget=16,window=16", 16, 15);
  expect("windowkv:budget=4", 16, 3);
  expect("windowkv:budget=20,task=aggregate", 32, 19);
  EXPECT_THAT(ErrorOf("snapkv:budget=1,window=1"), HasSubstr("write budget=2 or more"));
  for (const char* spec : {"snapkv:budget=33", "snapkv:budget=1%", "finch:budget=17,window=16",
                           "windowkv:budget=17", "windowkv:budget=1%"}) {
    EXPECT_EQ(ErrorOf(spec), "") << spec;
  }
}

}  // namespace
}  // namespace kvasir
