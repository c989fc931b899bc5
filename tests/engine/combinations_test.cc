// Every pair that the matrix allows runs; with budgets that cover the length it is `full`, unless
// something in it stores entries smaller.
#include "methods/combinations.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "engine/find_heads.h"
#include "tests/engine/made_gates.h"

namespace kvasir::testing_ {
namespace {

std::string With(std::string spec, const std::string& budget) {
  if (spec.find("auto:") != std::string::npos) return spec;  // takes shares alone
  spec = std::regex_replace(spec, std::regex("budget=[^, +]+"), "budget=" + budget);
  spec = std::regex_replace(spec, std::regex("every=[^, +]+"), "every=8");
  spec = std::regex_replace(spec, std::regex("threshold=[^, +]+"), "threshold=1%");
  return std::regex_replace(spec, std::regex("recent=[^, +]+"), "recent=" + budget);
}

TEST(Combinations, ThatAreAllowedRunAndHoldTheirBudget) {
  const auto model = LoadModel(GoldenModel("llama.gguf"));
  KeepMadeGates(*model);
  auto heads = FindHeads(*model, {.block = 40, .repeats = 4, .n_seeds = 1});
  ASSERT_TRUE(heads) << heads.error().message;
  heads->file.path = DefaultSideFilePath("razor-heads", model->facts().fingerprint);
  ASSERT_TRUE(WriteSideFile(heads->file));
  const std::vector<int32_t> prompt = RandomIds(150, 41), forced = RandomIds(12, 42);
  auto full = OpenSession(model);
  const auto expected = Feed(*full, prompt, forced);
  int n_run = 0;
  for (const Combination& each : AllCombinations()) {
    if (!each.works) {
      EXPECT_FALSE(each.why.empty());
      continue;
    }
    ++n_run;
    auto roomy = OpenSession(model, {.kv = With(each.spec, "4k")});
    ASSERT_NE(roomy, nullptr) << each.spec;
    const auto stores = [](std::string_view name) {
      const MethodInfo& method = *FindMethod(name);
      return method.stores() || method.stands_for != nullptr;
    };
    const auto logits = Feed(*roomy, prompt, forced);
    if (!stores(each.first) && !stores(each.second)) {
      EXPECT_EQ(logits, expected) << each.spec;
    }
    auto tight = OpenSession(model, {.kv = With(each.spec, "40")});
    for (const auto& row : Feed(*tight, prompt, forced)) {
      for (float logit : row) ASSERT_TRUE(std::isfinite(logit)) << each.spec;
    }
    EXPECT_LE(tight->kv().entries, full->kv().entries) << each.spec;
  }
  EXPECT_GE(n_run, 60);
}

}  // namespace
}  // namespace kvasir::testing_
