// Trap 3.9: what a method keeps for the first question need not answer the second. Several
// questions in shuffled order to one compressed context, and the score of each turn.
#include <numeric>
#include <set>

#include "eval/summary.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

class TurnsTest : public testing::Test {
 protected:
  // The score by turn of each spec, over samples of five needles in about 1,500 tokens.
  std::map<std::string, std::vector<double>> ByTurn(const std::string& task,
                                                    const std::vector<std::string>& specs) {
    const RunOptions options = {.tasks = {TheTask(task)},
                                .lengths = {1500},
                                .n_samples = 6,
                                .specs = specs,
                                .build = "test"};
    const RunEvents events;
    Runner runner(model_, options, events);
    const auto cells = runner.Plan();
    if (!cells || !runner.Run(*cells, results_)) {
      ADD_FAILURE() << task;
      return {};
    }
    std::vector<CellFacts> facts;
    for (const Cell& cell : *cells) facts.push_back(runner.FactsOf(cell));
    const Summary summary = Summarise(facts, options.specs, Pointers(results_));
    const Json json = SummaryJson(summary);
    std::map<std::string, std::vector<double>> by_turn;
    for (size_t i = 0; i < summary.rows.size(); ++i) {
      const SummaryRow& row = summary.rows[i];
      by_turn[row.spec] = row.by_turn;
      EXPECT_EQ(json[i]["by_turn"], row.by_turn) << "it is reported";
    }
    return by_turn;
  }

  std::shared_ptr<LoadedModel> model_ = [] {
    auto model = LoadedModel::Load(
        {.path = GoldenDir() + "/../../models/needle-11m-f16.gguf", .threads = 2});
    return model ? *model : nullptr;
  }();
  ResultFile results_;
};

TEST_F(TurnsTest, AMethodThatSawTheFirstQuestionLosesLaterOnes) {
  ASSERT_NE(model_, nullptr);
  const std::string seen = "snapkv:budget=50%", unseen = "keydiff:budget=50%";
  auto by_turn = ByTurn("multi_turn", {"full", seen, unseen});
  const std::vector<double> all_right(5, 1);
  EXPECT_EQ(by_turn["full"], all_right);
  EXPECT_EQ(by_turn[unseen], all_right) << "it does not look at questions";
  ASSERT_EQ(by_turn[seen].size(), 5u);
  EXPECT_EQ(by_turn[seen][0], 1);
  const double later = std::accumulate(by_turn[seen].begin() + 1, by_turn[seen].end(), 0.0) / 4;
  EXPECT_LT(later, 0.9);
}

// Questions are not asked in the order in which their answers stand, nor in the same one each time.
TEST_F(TurnsTest, QuestionsAreShuffled) {
  ASSERT_NE(model_, nullptr);
  Workshop workshop(*model_, {});
  std::set<std::vector<int64_t>> orders;
  for (int64_t index = 0; index < 4; ++index) {
    const auto sample = TheTask("multi_turn")->Make(workshop, {.length = 1500, .index = index});
    ASSERT_TRUE(sample) << sample.error().message;
    std::vector<int64_t> depths, ranks;
    for (const Turn& turn : sample->turns) depths.push_back(turn.meta["depth"]);
    for (const int64_t depth : depths) {
      ranks.push_back(std::count_if(depths.begin(), depths.end(),
                                    [&](int64_t other) { return other < depth; }));
    }
    orders.insert(ranks);
  }
  EXPECT_GT(orders.size(), 2u);
}

}  // namespace
}  // namespace kvasir::eval
