// Pairing, resuming, failing, questions that leave no trace.
#include "eval/runner.h"

#include "eval/summary.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

using testing::HasSubstr;

class RunnerTest : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = TinyModel();
  TempFolder folder_;
  RunOptions options_ = {.tasks = {TheTask("board_noise")},
                         .lengths = {600},
                         .n_samples = 3,
                         .specs = {"full", "snapkv:budget=20%,window=16"},
                         .build = "test"};
  RunEvents events_;
  int64_t n_progress_ = 0;

  RunSummary RunInto(ResultFile& results) {
    events_.progress = [this](int64_t, int64_t) { ++n_progress_; };
    Runner runner(model_, options_, events_);
    auto cells = runner.Plan();
    if (!cells) {
      ADD_FAILURE() << cells.error().message;
      return {};
    }
    auto summary = runner.Run(*cells, results);
    if (!summary) ADD_FAILURE() << summary.error().message;
    return summary ? *summary : RunSummary{};
  }
};

TEST_F(RunnerTest, EverySpecGetsEverySampleOnce) {
  ResultFile results;
  const RunSummary run = RunInto(results);
  EXPECT_EQ(run.n_done, 6);
  ASSERT_EQ(results.outcomes().size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(results.outcomes()[i].index, static_cast<int64_t>(i / 2));
    EXPECT_EQ(results.outcomes()[i].spec, options_.specs[i % 2]);
    EXPECT_TRUE(results.outcomes()[i].figures.contains("score"));
  }
  EXPECT_DOUBLE_EQ(results.outcomes()[0].figures.at("recall"), 1);
  EXPECT_LT(results.outcomes()[1].figures.at("recall"), 1);
  EXPECT_NEAR(results.outcomes()[1].figures.at("entry_share"), 0.2, 0.01);
}

TEST_F(RunnerTest, AKilledRunGoesOnWhereItWas) {
  const std::string path = folder_ / "results.jsonl";
  {
    auto results = ResultFile::Open(path, false);
    ASSERT_TRUE(results);
    RunInto(*results);
  }
  const std::string whole = FileText(path);
  // What a kill leaves: the last record but one, and half of the last.
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  WriteText(path, whole.substr(0, last + 40));
  auto results = ResultFile::Open(path, true);
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_TRUE(results->repaired());
  EXPECT_EQ(results->n_read(), 5);
  n_progress_ = 0;
  const RunSummary run = RunInto(*results);
  EXPECT_EQ(run.n_before, 5);
  EXPECT_EQ(run.n_done, 1);
  EXPECT_EQ(n_progress_, 1);

  // The same answer as before, whatever was skipped.
  const Json before = Json::parse(whole.substr(last)), now = [&] {
    const std::string text = FileText(path);
    return Json::parse(text.substr(text.rfind('\n', text.size() - 2) + 1));
  }();
  for (const char* field : {"key", "spec", "index", "prompt", "figures", "turns", "kept"}) {
    EXPECT_EQ(now[field], before[field]) << field;
  }
}

TEST_F(RunnerTest, AFinishedRunIsNotComputedAgain) {
  ResultFile results;
  RunInto(results);
  const RunSummary again = RunInto(results);
  EXPECT_EQ(again.n_before, 6);
  EXPECT_EQ(again.n_done, 0);
  options_.build = "another";  // other code, other results
  EXPECT_EQ(RunInto(results).n_done, 6);
}

TEST_F(RunnerTest, ASpecThatFailsLeavesTheOthersAndIsTriedAgain) {
  options_.specs = {"full", "nonsense"};
  options_.n_samples = 1;
  std::vector<std::string> warnings;
  events_.warn = [&](const std::string& line) { warnings.push_back(line); };
  ResultFile results;
  const RunSummary run = RunInto(results);
  EXPECT_EQ(run.n_failed, 1);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("nonsense"));
  EXPECT_EQ(results.outcomes()[0].error, "");
  EXPECT_NE(results.outcomes()[1].error, "");
  EXPECT_EQ(RunInto(results).n_done, 1);

  Runner runner(model_, options_, events_);
  const auto cells = runner.Plan();
  const CellFacts facts = runner.FactsOf((*cells)[0]);
  const Summary summary = Summarise(std::vector{facts}, options_.specs, Pointers(results));
  EXPECT_EQ(summary.rows[1].n_failed, 1);
  EXPECT_THAT(SummaryText(summary), HasSubstr("nonsense"));
}

TEST_F(RunnerTest, AnInterruptionKeepsWhatIsDone) {
  ResultFile results;
  events_.interrupted = [this] { return n_progress_ >= 2; };
  const RunSummary run = RunInto(results);
  EXPECT_TRUE(run.interrupted);
  EXPECT_EQ(results.outcomes().size(), 2u);  // the first sample, whole
}

TEST_F(RunnerTest, ABudgetThatCoversEverythingGivesTheAnswersOfFull) {
  options_.specs = {"full", "snapkv:budget=100%,window=16", "streaming:budget=4k"};
  options_.tasks = {TheTask("niah_single_1")};
  options_.lengths = {1200};
  options_.n_samples = 1;
  ResultFile results;
  const std::string path = folder_ / "results.jsonl";
  auto file = ResultFile::Open(path, false);
  ASSERT_TRUE(file);
  RunInto(*file);
  std::vector<Json> turns;
  std::istringstream lines(FileText(path));
  for (std::string line; std::getline(lines, line);) {
    const Json record = Json::parse(line);
    if (record["type"] == "sample") turns.push_back(record["turns"]);
  }
  ASSERT_EQ(turns.size(), 3u);
  EXPECT_EQ(turns[1], turns[0]);
  EXPECT_EQ(turns[2], turns[0]);
}

// Answers, kept entries and account of all samples; times are another matter.
std::vector<Json> RecordsOf(const std::string& path) {
  std::vector<Json> records;
  std::istringstream lines(FileText(path));
  for (std::string line; std::getline(lines, line);) {
    Json record = Json::parse(line);
    if (record["type"] != "sample") continue;
    record.erase("speed");
    records.push_back(std::move(record));
  }
  return records;
}

TEST_F(RunnerTest, ABatchOfSpecsAnswersAsEachAlone) {
  options_.specs = {"full", "snapkv:budget=20%", "tova:budget=20%", "kivi:bits=2"};
  options_.n_samples = 2;  // the first is answered alone
  for (const char* task : {"board_noise", "niah_single_1", "multi_query", "multi_turn", "kl"}) {
    options_.tasks = {TheTask(task)};
    options_.lengths = {std::string_view(task) == "board_noise" ? 600 : 1600};
    std::vector<Json> records[2];
    for (const bool batch : {false, true}) {
      options_.batch = batch;
      const std::string path = folder_ / fmt::format("{}-{}.jsonl", task, batch);
      auto results = ResultFile::Open(path, false);
      ASSERT_TRUE(results);
      RunInto(*results);
      records[batch] = RecordsOf(path);
    }
    ASSERT_EQ(records[0].size(), 8u);
    EXPECT_EQ(records[1], records[0]) << task;
  }
}

TEST_F(RunnerTest, ABatchMeasuresSpeedsOnItsFirstSampleOnly) {
  options_.batch = true;
  options_.n_samples = 2;
  options_.tasks = {TheTask("niah_single_1")};
  options_.lengths = {1200};
  ResultFile results;
  RunInto(results);
  for (const Outcome& outcome : results.outcomes()) {
    EXPECT_EQ(outcome.figures.contains("ttft_ms"), outcome.index == 0);
    EXPECT_EQ(outcome.figures.contains("decode_tok_s"), outcome.index == 0);
    EXPECT_TRUE(outcome.figures.contains("compress_ms"));
  }
}

// What is asked must not change what was kept, where the context is compressed by itself.
TEST_F(RunnerTest, QueryAgnosticCompressionDoesNotSeeTheQuestion) {
  Workshop workshop(*model_, {});
  auto sample = TheTask("niah_single_1")->Make(workshop, {1200, 42, 0});
  ASSERT_TRUE(sample);
  const auto first = PromptOf(*model_, *sample, 0, Scope::kContext);
  const auto aware = PromptOf(*model_, *sample, 0, Scope::kQuestion);
  sample->turns[0].question = "What else?";
  const auto second = PromptOf(*model_, *sample, 0, Scope::kContext);
  EXPECT_EQ(first->read, second->read);
  EXPECT_NE(first->rest, second->rest);
  EXPECT_GT(aware->read.size(), first->read.size());
  EXPECT_EQ(aware->n_tokens(), first->n_tokens());
}

TEST_F(RunnerTest, LengthsBeyondTheContextAreAnError) {
  options_.lengths = {1 << 20};
  Runner runner(model_, options_, events_);
  const auto cells = runner.Plan();
  ASSERT_FALSE(cells);
  EXPECT_THAT(cells.error().message, HasSubstr("beyond the context"));
}

TEST(ResultFile, NamesTheLineThatIsNoRecord) {
  TempFolder folder;
  const std::string path = folder / "results.jsonl";
  WriteText(path, "{\"type\":\"run\"}\n{\"type\":\"sample\",\"key\":\"a\"}\n");
  const auto results = ResultFile::Open(path, true);
  ASSERT_FALSE(results);
  EXPECT_THAT(results.error().message, HasSubstr("line 2: 'spec' is missing"));
  const auto fresh = ResultFile::Open(path, false);
  ASSERT_FALSE(fresh);
  EXPECT_THAT(fresh.error().message, HasSubstr("--resume"));
  EXPECT_FALSE(ResultFile::Open(folder / "no/such/file", false));
}

}  // namespace
}  // namespace kvasir::eval
