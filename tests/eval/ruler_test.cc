// RULER's other tasks, and those of our own.
#include <map>
#include <set>

#include "eval/needles.h"
#include "eval/words.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

using testing::HasSubstr;

class RulerTasks : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = TinyModel();
  Workshop workshop_{*model_, {}};
  Sample Make(const std::string& task, int64_t length, int64_t index = 0) {
    auto sample = TheTask(task)->Make(workshop_, {length, 42, index});
    if (!sample) ADD_FAILURE() << task << ": " << sample.error().message;
    return sample ? *sample : Sample{};
  }
};

// Lines "VAR A = VAR B" stand behind the line that assigns B.
TEST_F(RulerTasks, VariablesAreAssignedInOrder) {
  const Sample sample = Make("vt", 4096);
  const Turn& turn = sample.turns[0];
  ASSERT_EQ(turn.answers.size(), 5u);
  EXPECT_EQ(std::set(turn.answers.begin(), turn.answers.end()).size(), 5u);
  const std::string value = turn.question.substr(turn.question.find("value ") + 6, 5);
  EXPECT_THAT(turn.answer_prefix,
              HasSubstr("5 variables are assigned the value " + value + ", they are: "));
  size_t at = sample.context.find("VAR " + turn.answers[0] + " = " + value);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(sample.context.find(value), sample.context.rfind(value));  // once
  for (size_t j = 1; j < 5; ++j) {
    const size_t next =
        sample.context.find("VAR " + turn.answers[j] + " = VAR " + turn.answers[j - 1] + " ");
    ASSERT_NE(next, std::string::npos);
    EXPECT_GT(next, at);
    at = next;
  }
  // The worked example comes first, with its five names of three letters.
  EXPECT_THAT(sample.context,
              testing::ContainsRegex("they are:  [A-Z]{3} [A-Z]{3} [A-Z]{3} [A-Z]{3} [A-Z]{3}\n"));
}

TEST_F(RulerTasks, CommonWordsAreThirtyTimesThere) {
  const Sample sample = Make("cwe", 8192);
  const size_t real = sample.context.rfind("Below is a numbered list");
  std::map<std::string, int> counts;
  const std::vector<std::string> words = SplitWords(sample.context.substr(real));
  bool after_number = false;
  for (const std::string& word : words) {
    if (after_number) ++counts[word];
    after_number = word.ends_with('.') && word[0] >= '0' && word[0] <= '9';
  }
  ASSERT_EQ(sample.turns[0].answers.size(), 10u);
  for (const std::string& word : sample.turns[0].answers) {
    EXPECT_EQ(counts[word], 30) << word;
    counts.erase(word);
  }
  for (const auto& [word, n] : counts) EXPECT_EQ(n, 3) << word;
}

TEST_F(RulerTasks, FrequentWordsFallWithTheirRank) {
  const Sample sample = Make("fwe", 8192);
  std::map<std::string, int> counts;
  for (const std::string& word : SplitWords(sample.context)) ++counts[word];
  const std::vector<std::string>& answers = sample.turns[0].answers;
  EXPECT_GT(counts["..."], counts[answers[0]]);
  EXPECT_GT(counts[answers[0]], counts[answers[1]]);
  EXPECT_GT(counts[answers[1]], counts[answers[2]]);
  EXPECT_FALSE(TheTask("fwe")->Make(workshop_, {256, 42, 0}));
}

TEST_F(RulerTasks, QuestionsHaveTheirDocuments) {
  for (const char* task : {"qa_1", "qa_2"}) {
    const Sample sample = Make(task, 4096, 3);
    EXPECT_THAT(sample.context, HasSubstr("Document 1:\n"));
    EXPECT_THAT(sample.context, HasSubstr(sample.turns[0].answers[0]));
    EXPECT_EQ(sample.turns[0].evidence.size(), task == std::string("qa_1") ? 1u : 2u);
  }
}

TEST_F(RulerTasks, EveryTaskFitsItsLength) {
  for (const char* task : {"vt", "cwe", "fwe", "qa_1", "qa_2", "passkey", "number_string",
                           "kv_retrieval", "copy", "induction", "multi_query", "niah_grid"}) {
    // A word is many tokens of the tiny vocabulary: cwe's ten words thirty times need this much.
    const Sample sample = Make(task, 8192, 1);
    ASSERT_FALSE(sample.turns.empty());
    EXPECT_LE(*workshop_.PromptTokens(sample) + sample.max_new, 8192) << task;
    EXPECT_GT(*workshop_.PromptTokens(sample), 4000) << task;
  }
}

TEST_F(RulerTasks, KeysOfRepeatedDigitsHaveTenOfThem) {
  std::set<std::string> kinds;
  for (int i = 0; i < 20; ++i) {
    const std::string key = Make("number_string", 2048, i).turns[0].answers[0];
    EXPECT_EQ(key.size(), 10u);
    bool repeats = false;
    for (size_t d = 1; d < key.size(); ++d) repeats = repeats || key[d] == key[d - 1];
    kinds.insert(repeats ? "run" : "no run");
  }
  EXPECT_TRUE(kinds.contains("run"));
}

TEST_F(RulerTasks, WordsAreCopiedFromTheirPlace) {
  for (const char* task : {"copy", "induction"}) {
    const Sample sample = Make(task, 2048, 2);
    const Turn& turn = sample.turns[0];
    EXPECT_THAT(sample.context, HasSubstr(turn.answer_prefix + turn.answers[0]));
    const Span span = turn.evidence[0];
    EXPECT_EQ(sample.context.substr(span.begin, span.end - span.begin), turn.answers[0]);
  }
}

TEST_F(RulerTasks, GridNeedlesStandBehindAFullStopAtTheirDepth) {
  for (int64_t index = 0; index < 11; ++index) {
    const Sample sample = Make("niah_grid", 3000, index);
    EXPECT_EQ(sample.meta["depth"], 10 * index);
    const Span span = sample.turns[0].evidence[0];
    EXPECT_EQ(sample.context.substr(span.begin, span.end - span.begin), sample.turns[0].answers[0]);
    const size_t line = sample.context.rfind('\n', span.begin);
    if (index > 0 && index < 10) {
      EXPECT_EQ(sample.context[line - 1], '.');
    }
    const double depth =
        100.0 * static_cast<double>(line) / static_cast<double>(sample.context.size());
    EXPECT_NEAR(depth, 10.0 * static_cast<double>(index), 6);
  }
}

TEST_F(RulerTasks, SeveralQuestionsShareTheirContext) {
  const Sample query = Make("multi_query", 3000), turns = Make("multi_turn", 3000);
  EXPECT_EQ(query.turns.size(), 5u);
  EXPECT_TRUE(turns.history);
  EXPECT_EQ(query.turns[0].question, turns.turns[0].question);
}

}  // namespace
}  // namespace kvasir::eval
