// `auto` keeps its promise: no more than its share of the bytes that `full` takes.
#include "engine/session_group.h"
#include "kvasir/kvasir.h"
#include "tests/engine/engine_test_util.h"
#include "tests/paths.h"

namespace kvasir::testing_ {
namespace {

TEST(AutoBudget, BytesAreWithinTheShare) {
  struct Case {
    std::string spec;
    double share;
  };
  std::vector<Case> cases;
  for (const int percent : {5, 10, 20, 33, 34, 35, 40, 47, 50, 60, 75}) {
    cases.push_back({fmt::format("auto:budget={}%", percent), percent / 100.0});
  }
  std::vector<std::string> specs;
  for (const Case& each : cases) specs.push_back(each.spec);
  const auto model =
      LoadModel(GoldenDir() + "/../../models/needle-11m-f16.gguf", 2);  // f16, heads of 64
  auto group = ReadTogether(model, {}, specs, RandomIds(8000, 1));
  ASSERT_TRUE(group) << group.error().message;
  for (size_t i = 0; i < cases.size(); ++i) {
    ASSERT_TRUE(group->members[i].session) << specs[i];
    const KvReport kv = (*group->members[i].session)->kv();
    const double share = static_cast<double>(kv.bytes) / static_cast<double>(kv.bytes_full);
    EXPECT_LE(share, cases[i].share) << specs[i] << ", " << kv.reads_as;
    EXPECT_GE(share, 0.7 * cases[i].share) << specs[i] << " leaves much unused";
  }
}

}  // namespace
}  // namespace kvasir::testing_
