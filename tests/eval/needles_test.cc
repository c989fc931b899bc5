#include "eval/needles.h"

#include "eval/words.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

using testing::HasSubstr;

TEST(RulerDepths, AreTheFortyOfRuler) {
  EXPECT_THAT(RulerDepths(),
              testing::ElementsAre(0, 3, 5, 8, 10, 13, 15, 18, 21, 23, 26, 28, 31, 33, 36, 38, 41,
                                   44, 46, 49, 51, 54, 56, 59, 62, 64, 67, 69, 72, 74, 77, 79, 82,
                                   85, 87, 90, 92, 95, 97, 100));
}

TEST(HideInSentences, PutsNeedlesWhereTheirDepthSays) {
  const std::vector<std::string> hay = {"A.", "B.", "C.", "D."};
  EXPECT_EQ(HideInSentences(hay, {"N."}, {0}), "N. A. B. C. D.");
  EXPECT_EQ(HideInSentences(hay, {"N."}, {100}), "A. B. C. D. N.");
  EXPECT_EQ(HideInSentences(hay, {"N.", "M."}, {74, 25}), "A. N. B. M. C. D.");
}

TEST(HideInLines, KeepsTheOrderOfNeedles) {
  Random random(1);
  for (int i = 0; i < 20; ++i) {
    const std::string text = HideInLines(random, {"a", "b", "c"}, {"1", "2"});
    EXPECT_LT(text.find('1'), text.find('2'));
    EXPECT_EQ(text.size(), 9u);
  }
}

TEST(ListOf, JoinsAsRulerDoes) {
  EXPECT_EQ(ListOf({"a"}), "a");
  EXPECT_EQ(ListOf({"a", "b", "c"}), "a, b, and c");
}

class NeedleTasks : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = TinyModel();
  Workshop workshop_{*model_, {}};

  Sample Make(const std::string& task, int64_t length, int64_t index = 0, uint64_t seed = 42) {
    auto sample = TheTask(task)->Make(workshop_, {length, seed, index});
    if (!sample) ADD_FAILURE() << task << ": " << sample.error().message;
    return sample ? *sample : Sample{};
  }
};

TEST_F(NeedleTasks, AskInRulersWords) {
  const Sample one = Make("niah_single_1", 2048);
  EXPECT_THAT(
      one.turns[0].question,
      testing::MatchesRegex(
          "What is the special magic number for [a-z-]+ mentioned in the provided text\\?"));
  EXPECT_THAT(one.turns[0].answer_prefix,
              testing::MatchesRegex(
                  " The special magic number for [a-z-]+ mentioned in the provided text is"));
  const Sample four = Make("niah_multiquery", 2048);
  EXPECT_THAT(
      four.turns[0].question,
      testing::MatchesRegex(
          "What are all the special magic numbers for .+, .+, .+, and .+ mentioned in the provided "
          "text\\?"));
  EXPECT_EQ(four.turns[0].answers.size(), 4u);
  EXPECT_EQ(Make("niah_multivalue", 2048).turns[0].answers.size(), 4u);
  EXPECT_THAT(Make("niah_single_3", 2048).turns[0].question, HasSubstr("magic uuid for"));
}

TEST_F(NeedleTasks, HoldEveryAnswerAndSayWhere) {
  for (const char* task : {"niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1",
                           "niah_multikey_2", "niah_multikey_3", "niah_multivalue",
                           "niah_multiquery", "board_noise", "board_prose", "board_four"}) {
    const Sample sample = Make(task, 3000, 1);
    const Turn& turn = sample.turns[0];
    ASSERT_EQ(turn.evidence.size(), turn.answers.size()) << task;
    for (size_t i = 0; i < turn.evidence.size(); ++i) {
      const Span span = turn.evidence[i];
      const std::string text = sample.context.substr(span.begin, span.end - span.begin);
      EXPECT_THAT(turn.answers, testing::Contains(testing::AnyOf(text, " " + text))) << task;
    }
    // The tokens of the evidence spell it.
    const auto parts = PromptOf(*model_, sample, 0, Scope::kContext);
    ASSERT_TRUE(parts);
    ASSERT_EQ(parts->evidence.size(), turn.evidence.size()) << task;
    const TokenSpan tokens = parts->evidence[0];
    const std::string spelled =
        model_->Detokenize(std::span(parts->read)
                               .subspan(static_cast<size_t>(tokens.begin),
                                        static_cast<size_t>(tokens.end - tokens.begin)));
    EXPECT_THAT(spelled,
                HasSubstr(sample.context.substr(turn.evidence[0].begin,
                                                turn.evidence[0].end - turn.evidence[0].begin)))
        << task;
  }
}

TEST_F(NeedleTasks, FitTheLengthWithinAUnit) {
  for (const char* task : {"niah_single_1", "niah_multikey_2", "board_noise", "board_prose"}) {
    for (const int64_t length : {1500, 4096}) {
      const Sample sample = Make(task, length, 2);
      const int64_t n_answer = std::string(task).starts_with("board") ? 16 : 128;
      const int64_t n_tokens = *workshop_.PromptTokens(sample) + n_answer;
      EXPECT_LE(n_tokens, length) << task;
      // 25 lines of the longest kind, in a vocabulary of 512 pieces.
      EXPECT_GT(n_tokens, length - 25 * 60) << task;
    }
  }
}

// Whatever is generated is as long as it is said to be, however much of a short sample its frame
// is. In the needle model's tokens: the tiny one's are so short that some tasks find no room.
TEST(GeneratedTasks, FillTheirLength) {
  const auto model =
      LoadedModel::Load({.path = GoldenDir() + "/../../models/needle-11m-f16.gguf", .threads = 1});
  ASSERT_TRUE(model) << model.error().message;
  Workshop workshop(**model, {});
  for (const std::unique_ptr<Task>& task : AllTasks()) {
    const TaskFacts& facts = task->facts();
    const auto size = task->Size(workshop, 4096);
    const bool is_text = facts.answering == Answering::kText;
    if (!size || *size || is_text) continue;  // published data; texts are cut to the token
    for (const int64_t length : {2048, 4096, 8192}) {
      const auto sample = task->Make(workshop, {length, 42, 0});
      ASSERT_TRUE(sample) << facts.name << ": " << sample.error().message;
      const int64_t n_tokens = *workshop.PromptTokens(*sample) + sample->max_new;
      EXPECT_LE(n_tokens, length) << facts.name;
      // What the turns of a conversation add is left free for all of them.
      EXPECT_GT(n_tokens, facts.name == "multi_turn" ? length * 3 / 4 : length * 7 / 8)
          << facts.name;
    }
  }
}

TEST_F(NeedleTasks, AreTheSameAgainInAnyOrder) {
  const Sample first = Make("niah_multikey_1", 3000, 3);
  Workshop other(*model_, {});
  const auto again = TheTask("niah_multikey_1")->Make(other, {3000, 42, 3});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->context, first.context);
  EXPECT_EQ(again->turns[0].question, first.turns[0].question);
  EXPECT_NE(Make("niah_multikey_1", 3000, 4).context, first.context);
  EXPECT_NE(Make("niah_multikey_1", 3000, 3, 43).context, first.context);
}

TEST_F(NeedleTasks, TooShortALengthIsAnError) {
  const auto sample = TheTask("niah_single_1")->Make(workshop_, {200, 42, 0});
  ASSERT_FALSE(sample);
  EXPECT_THAT(sample.error().message, HasSubstr("too short"));
}

TEST(FindTasks, TakesNamesAndFamiliesAndNamesTheNearest) {
  EXPECT_EQ(FindTasks("board")->size(), 3u);
  EXPECT_EQ(FindTasks("board_noise, board_noise")->size(), 1u);
  const auto wrong = FindTasks("niah_single_9");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("did you mean 'niah_single_"));
  EXPECT_FALSE(FindTasks(" , "));
}

}  // namespace
}  // namespace kvasir::eval
