// Stacks of random methods with random parameters run or are refused; nothing that a spec can say
// ends the process. Seeds are fixed, so that a stack that once failed is met again.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <sstream>

#include "methods/registry.h"
#include "tests/engine/contract_specs.h"
#include "tests/engine/engine_test_util.h"
#include "tests/engine/made_gates.h"

namespace kvasir::testing_ {
namespace {

class RandomStacks : public testing::Test {
 protected:
  void SetUp() override {
    KeepMadeGates(*model_);
    razor_heads_ = RazorFile(*model_);
    for (const MethodInfo* method : AllMethods()) {
      if (method->stands_for != nullptr || method->name == "full" || method->of_codec) continue;
      by_role_[method->role].push_back(method);
    }
  }

  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  template <class T>
  const T& OneOf(const std::vector<T>& all) {
    return all[Below(std::ssize(all))];
  }

  // A value of a parameter, most often one that bites on a short text; empty: leave it out.
  std::string Value(const ParamInfo& param) {
    if (param.kind == ParamKind::kText) return "";
    if (param.kind == ParamKind::kBudget) {
      return OneOf<std::string>({"1", "2", "5", "17", "1%", "20%", "50%", "100%", "64", "65"});
    }
    std::string range(param.range);
    const size_t bar = range.find('|');
    if (bar != std::string::npos || param.kind == ParamKind::kFlag) {
      std::vector<std::string> words;
      std::istringstream in(range);
      for (std::string word; std::getline(in, word, '|');) words.push_back(word);
      return OneOf(words);
    }
    const bool odd = range.starts_with("odd ");
    if (odd) range.erase(0, 4);
    const double low = std::strtod(range.c_str(), nullptr);
    const double high = std::strtod(range.c_str() + range.find("..") + 2, nullptr);
    if (param.kind == ParamKind::kNumber) {
      const double within = low + (std::min(high, 5.0) - low) * static_cast<double>(Below(9)) / 8;
      return fmt::format("{}", OneOf<double>({low, within, within, high}));
    }
    if (param.name == "residual") return OneOf<std::string>({"32", "64", "96"});
    auto n = static_cast<int64_t>(low) + Below(70);
    if (high < static_cast<double>(n) || Below(8) == 0) n = static_cast<int64_t>(high);
    if (n > 100000) n = 100000;  // queries that are kept take memory
    return std::to_string(odd ? n | 1 : n);
  }

  std::string Item(Role role) {
    const MethodInfo& method = *OneOf(by_role_[role]);
    SpecItem item{std::string(method.name), {}};
    for (const ParamInfo& param : method.params) {
      const std::string value = Below(2) == 0 ? Value(param) : "";
      if (!value.empty()) item.params.emplace_back(param.name, value);
    }
    if (method.name == "razor") item.params.emplace_back("heads", razor_heads_);
    return ItemText(item);
  }

  // One or two wrappers, a base, and now and then a pruner and a codec.
  std::string Stack() {
    std::string spec;
    for (int64_t n = 1 + Below(2); n > 0; --n) spec += Item(Role::kWrapper) + " + ";
    spec += Item(Role::kBase);
    if (Below(4) == 0) spec += " + " + Item(Role::kPruner);
    if (Below(2) == 0) spec += " + " + Item(Role::kCodec);
    return spec;
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::string razor_heads_;
  std::map<Role, std::vector<const MethodInfo*>> by_role_;
  std::mt19937 random_{1};
};

TEST_F(RandomStacks, RunOrAreRefused) {
  int n_run = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    random_.seed(seed);
    const std::string spec = Stack();
    const auto prompt = RandomIds(static_cast<int>(OneOf<int>({1, 3, 33, 65, 130})), seed);
    auto session = SessionImpl::Open(model_, {.kv = spec});
    if (!session) {
      EXPECT_NE(session.error().message.find("--kv"), std::string::npos)
          << spec << ": " << session.error().message;
      continue;
    }
    ++n_run;
    SCOPED_TRACE(fmt::format("seed {}: {} tokens, {}", seed, prompt.size(), spec));
    ASSERT_TRUE((*session)->Feed(prompt, {}));
    for (int32_t id : RandomIds(100, seed + 1)) ASSERT_TRUE((*session)->Step(id));
    for (float logit : (*session)->logits()) ASSERT_TRUE(std::isfinite(logit));
    const KvReport report = (*session)->kv();
    int64_t planes = 0;
    for (const auto& [codec, bytes] : report.by_codec) planes += codec == "facts" ? 0 : bytes;
    EXPECT_EQ(planes, (*session)->pool().used_bytes());
  }
  EXPECT_GE(n_run, 100);
}

}  // namespace
}  // namespace kvasir::testing_
