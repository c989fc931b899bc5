#include "eval/attention_error.h"

#include "eval/record.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

// Two tokens of two numbers: lengths 9 + 16 + 144 + 0, errors 1 + 4 in the first layer.
TEST(AttentionError, IsRelativeToTheLengthOfAllOutputs) {
  const std::vector<float> first = {3, 4}, second = {12, 0}, wrong = {2, 4}, off = {12, 2};
  AttentionOutputs expected(2);
  const AttentionProbe record = expected.Recorder();
  for (const int layer : {0, 1}) {
    record(layer, Mat(first.data(), 1, 2));
    record(layer, Mat(second.data(), 1, 2));
  }
  AttentionError error(2);
  const AttentionProbe compare = error.Comparer(expected);
  compare(0, Mat(wrong.data(), 1, 2));
  compare(0, Mat(off.data(), 1, 2));
  compare(1, Mat(first.data(), 1, 2));
  compare(1, Mat(second.data(), 1, 2));
  EXPECT_THAT(error.ByLayer(), ElementsAre(DoubleEq(std::sqrt(5.0 / 169)), 0));
}

// A method that looks at each token reads them one by one; others read them in one pass.
TEST(AttentionError, IsNextToNothingWhereTheBudgetCoversEverything) {
  const auto model = TinyModel();
  const RunOptions options = {.tasks = {TheTask("attention")},
                              .lengths = {300},
                              .n_samples = 1,
                              .specs = {"full", "h2o:budget=4k", "snapkv:budget=10%"}};
  ResultFile results;
  RunAll(model, options, results);
  const auto error = [&](size_t i) { return results.outcomes()[i].figures.at("attention_error"); };
  EXPECT_EQ(FigureOf(*TheTask("attention")), "attention_error");
  EXPECT_EQ(error(0), 0);
  EXPECT_LT(error(1), 1e-3);  // sums in another order
  EXPECT_GT(error(2), 0.01);
  const auto text = results.Text();
  ASSERT_TRUE(text);
  const Json last = Json::parse(text->substr(text->rfind('\n', text->size() - 2) + 1));
  EXPECT_EQ(std::ssize(last["attention_error_by_layer"]), model->facts().n_layers);
}

TEST(ProbeGuard, TakesTheProbeAway) {
  const auto model = TinyModel();
  const std::vector<int32_t> ids = {1, 2, 3};
  int n_calls = 0;
  const auto read = [&] {
    auto session = SessionImpl::Open(model, {.kv = "full"});
    ASSERT_TRUE(session && (*session)->Feed(ids, {}));
  };
  {
    const ProbeGuard guard(model->forward(), [&](int, MatView<const float> outputs) {
      ++n_calls;
      EXPECT_EQ(outputs.shape[0], 3);
    });
    read();
  }
  EXPECT_EQ(n_calls, model->facts().n_layers);
  read();
  EXPECT_EQ(n_calls, model->facts().n_layers);
}

}  // namespace
}  // namespace kvasir::eval
