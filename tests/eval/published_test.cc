// Loaders and scorers on records of our own in the published formats.
#include "eval/published.h"

#include "eval/corpus.h"
#include "eval/prompt.h"
#include "tests/eval/eval_test_util.h"
#include "tests/paths.h"

namespace kvasir::eval {
namespace {

using testing::HasSubstr;

const std::string kData = GoldenDir() + "/eval";

class Published : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = TinyModel();
  Workshop workshop_{*model_, {.data = kData}};

  Sample Make(const std::string& task, int64_t index = 0, int64_t length = 2048) {
    auto sample = TheTask(task)->Make(workshop_, {length, 42, index});
    if (!sample) ADD_FAILURE() << task << ": " << sample.error().message;
    return sample ? *sample : Sample{};
  }
  int64_t SizeOf(const std::string& task) {
    const auto size = TheTask(task)->Size(workshop_, 2048);
    if (!size) ADD_FAILURE() << task << ": " << size.error().message;
    return size && *size ? **size : -1;
  }
  double ScoreOf(const std::string& task, const Sample& sample, std::string_view text,
                 size_t turn = 0) {
    return TheTask(task)->Score(sample, sample.turns[turn], text);
  }
};

TEST_F(Published, LongBenchIsReadAndScoredAsItsTaskSays) {
  EXPECT_EQ(SizeOf("longbench_qasper"), 2);
  const Sample qa = Make("longbench_qasper");
  EXPECT_THAT(qa.context, HasSubstr("whale oil"));
  EXPECT_THAT(qa.turns[0].question, HasSubstr("Question: Who built the lamp?\nAnswer:"));
  EXPECT_EQ(ScoreOf("longbench_qasper", qa, "Maroveth."), 1);
  EXPECT_DOUBLE_EQ(ScoreOf("longbench_qasper", qa, "Maroveth the builder"), 2.0 / 3);
  EXPECT_EQ(Make("longbench_e_qasper").meta["bucket"], "0-4k");

  const Sample report = Make("longbench_gov_report");
  EXPECT_NEAR(ScoreOf("longbench_gov_report", report,
                      "The council will repair the bridge. The mill stays closed."),
              1, 1e-7);
  const Sample trec = Make("longbench_trec");
  EXPECT_EQ(trec.wrap, Wrap::kNone);
  EXPECT_EQ(ScoreOf("longbench_trec", trec, "\nNumber of something\nQuestion: Date?"), 1);
  EXPECT_EQ(ScoreOf("longbench_passage_retrieval_en", Make("longbench_passage_retrieval_en"),
                    "Paragraph 2"),
            1);
  EXPECT_EQ(ScoreOf("longbench_passage_count", Make("longbench_passage_count"), "2 or 3"), 0.5);
  EXPECT_EQ(
      ScoreOf("longbench_lcc", Make("longbench_lcc"), "# twice\n    return double(double(x))\n"),
      1);
}

// A segmenter's words are not to be had: characters stand in for them, and every report says so.
TEST_F(Published, ChineseLongBenchIsScoredByCharacters) {
  const std::string stand_in = "single characters for a segmenter's words in the score";
  for (const char* task : {"longbench_dureader", "longbench_vcsum", "longbench_multifieldqa_zh"}) {
    EXPECT_EQ(TheTask(task)->StandIn(workshop_.sources()), stand_in) << task;
  }
  EXPECT_EQ(TheTask("longbench_dureader")->facts().metric, "rouge_l_zh_char");
  const Sample articles = Make("longbench_dureader");
  EXPECT_THAT(articles.turns[0].question, HasSubstr("Question: 灯塔是谁建的?\nAnswer:"));
  EXPECT_NEAR(ScoreOf("longbench_dureader", articles, "马罗维"), 1, 1e-7);
  const Sample meeting = Make("longbench_vcsum");
  EXPECT_EQ(meeting.max_new, 512);
  // 修桥 is in the summary of 7 different characters: 2 of 2, 2 of 7.
  EXPECT_NEAR(ScoreOf("longbench_vcsum", meeting, "修桥"), 4.0 / 9, 1e-7);
  EXPECT_EQ(ScoreOf("longbench_multifieldqa_zh", Make("longbench_multifieldqa_zh"), "鲸油。"), 1);
}

TEST_F(Published, InfiniteBenchIsReadAndScored) {
  const Sample key = Make("infinitebench_passkey");
  EXPECT_EQ(ScoreOf("infinitebench_passkey", key, " 71432."), 1);
  EXPECT_EQ(ScoreOf("infinitebench_kv_retrieval", Make("infinitebench_kv_retrieval"), "\"9a8b\"}"),
            1);
  const Sample choice = Make("infinitebench_longbook_choice_eng");
  EXPECT_THAT(choice.turns[0].question, HasSubstr("B. A silver bell"));
  EXPECT_EQ(ScoreOf("infinitebench_longbook_choice_eng", choice, " B"), 1);
  EXPECT_EQ(ScoreOf("infinitebench_longbook_choice_eng", choice, " A"), 0);
}

TEST_F(Published, ScBenchKeepsItsTurns) {
  const Sample kv = Make("scbench_kv");
  ASSERT_EQ(kv.turns.size(), 2u);
  EXPECT_TRUE(kv.history);
  EXPECT_EQ(ScoreOf("scbench_kv", kv, "It is 7c2d", 1), 1);
  EXPECT_EQ(ScoreOf("scbench_kv", kv, "It is 7c2d", 0), 0);
  EXPECT_EQ(ScoreOf("scbench_choice_eng", Make("scbench_choice_eng"), "(B)"), 1);
}

TEST_F(Published, ScBenchSummariesAreScoredByLines) {
  const Sample summary = Make("scbench_summary");
  ASSERT_EQ(summary.turns.size(), 2u);
  EXPECT_EQ(summary.max_new, 200);
  EXPECT_EQ(ScoreOf("scbench_summary", summary, "the mill stays closed", 1), 1);
  // 3 of 3 words, 3 of 6.
  EXPECT_DOUBLE_EQ(ScoreOf("scbench_summary", summary, "Repair the bridge!"), 2.0 / 3);
  EXPECT_EQ(ScoreOf("scbench_qa_chn", Make("scbench_qa_chn"), "银铃。"), 1);
}

TEST_F(Published, ScBenchFindsTheFunctionAmongThoseOfItsRepository) {
  const Sample repository = Make("scbench_repoqa");
  ASSERT_EQ(repository.choices.size(), 3u);  // of both records of that repository, not of others
  const auto score = [&](const std::string& text) {
    return ScoreOf("scbench_repoqa", repository, text);
  };
  const std::string scale = "def scale(x, k):\n    return x * k\n";
  EXPECT_EQ(score("Here it is:\n```python\n" + scale + "```\nIt multiplies."), 1);
  EXPECT_EQ(score(scale), 1);
  EXPECT_EQ(score("def shift(x, k):\n    return x + k"), 0);  // nearer to another one
  EXPECT_EQ(score("def scale(x):\n    pass"), 0);             // nearest, but not near
  EXPECT_EQ(score(""), 0);
}

TEST_F(Published, ScBenchMixesTwoTasksTurnByTurn) {
  const Sample needles = Make("scbench_summary_with_needles");
  EXPECT_EQ(needles.max_new, 800);
  EXPECT_EQ(needles.turns[1].max_new, 15);
  const std::string task = "scbench_summary_with_needles";
  EXPECT_EQ(ScoreOf(task, needles, "The council will repair the bridge.", 0), 1);
  EXPECT_EQ(ScoreOf(task, needles, "It is 71432.", 1), 1);
  EXPECT_EQ(ScoreOf(task, needles, "The council will repair the bridge.", 1), 0);

  const Sample both = Make("scbench_repoqa_and_kv");
  EXPECT_EQ(both.choices.size(), 1u);  // the key's value is no function
  EXPECT_EQ(ScoreOf("scbench_repoqa_and_kv", both, both.turns[0].answers[0], 0), 1);
  EXPECT_EQ(ScoreOf("scbench_repoqa_and_kv", both, "9a8b", 1), 1);
}

// What turns add to a conversation, long answers too, is taken off the context's share.
TEST_F(Published, ConversationsFitTheLength) {
  Sample cut = Make("scbench_repoqa", 0, 1024 + 200);
  EXPECT_TRUE(cut.meta.contains("truncated_from"));
  int64_t n_tokens = cut.turns.back().max_new;
  for (size_t turn = 0; turn < cut.turns.size(); ++turn) {
    const auto parts = PromptOf(*model_, cut, turn, Scope::kQuestion);
    ASSERT_TRUE(parts) << parts.error().message;
    n_tokens += turn == 0 ? parts->n_tokens() : std::ssize(parts->rest);
    if (turn > 0) n_tokens += std::ssize(model_->Tokenize(cut.turns[turn - 1].answers[0], false));
  }
  EXPECT_LE(n_tokens, 1024 + 200);
}

TEST_F(Published, Gsm8kHasWorkedExamplesAndScoresTheLastNumber) {
  EXPECT_EQ(SizeOf("gsm8k"), 2);
  const Sample sum = Make("gsm8k", 1);
  EXPECT_THAT(sum.context, HasSubstr("Two boats carry 5 crates"));
  EXPECT_EQ(ScoreOf("gsm8k", sum, " 1000 and 234 make 1,234.\nQuestion: 7?"), 1);
  EXPECT_EQ(ScoreOf("gsm8k", sum, " 1235"), 0);
}

TEST_F(Published, QuestionSetsReplaceGeneratedDocuments) {
  EXPECT_EQ(SizeOf("qa_1"), 2);
  EXPECT_EQ(TheTask("qa_1")->StandIn(workshop_.sources()), "");
  EXPECT_NE(TheTask("qa_1")->StandIn({}), "");
  const Sample squad = Make("qa_1", 1);
  EXPECT_THAT(squad.turns[0].question, HasSubstr("Question: On which river lies Ardvik?"));
  EXPECT_EQ(squad.turns[0].answers, (std::vector<std::string>{"Gelt", "the river Gelt"}));
  EXPECT_THAT(squad.context, HasSubstr("Ardvik lies on the river Gelt."));
  EXPECT_THAT(Make("qa_2").context, HasSubstr("Maroveth\nMaroveth was born in Ardvik."));
}

TEST_F(Published, TheMiddleIsCutAndTheQuestionStays) {
  Sample sample;
  sample.context = "one two three four five six seven eight nine ten ";
  sample.turns.push_back({.question = "eleven"});
  const std::string all = sample.context + "eleven";
  const std::vector<int32_t> ids = model_->Tokenize(all, false);
  ASSERT_GT(ids.size(), 12u);
  TruncateMiddle(*model_, 11, sample);  // floor(11 / 2) at each end
  const auto tokens = std::span<const int32_t>(ids);
  const std::string text = sample.context + sample.turns[0].question;
  EXPECT_TRUE(text.starts_with(model_->Detokenize(tokens.first(5))));
  EXPECT_TRUE(text.ends_with("eleven"));

  const Sample fitted = Make("longbench_qasper", 0, 384);
  EXPECT_LE(*workshop_.PromptTokens(fitted) + fitted.max_new, 384);
  EXPECT_THAT(fitted.turns[0].question, HasSubstr("Who built the lamp?"));
}

TEST_F(Published, ErrorsNameFileLineAndField) {
  TempFolder folder;
  std::filesystem::create_directories(folder / "longbench");
  const auto error = [&](const std::string& text) {
    WriteText(folder / "longbench/qasper.jsonl", text);
    Workshop workshop(*model_, {.data = folder / ""});
    const auto size = TheTask("longbench_qasper")->Size(workshop, 2048);
    return size ? std::string() : size.error().message;
  };
  const std::string good = R"({"context": "c", "input": "q", "answers": ["a"]})";
  EXPECT_EQ(error(good), "");
  EXPECT_THAT(error(good + "\n{\"context\": \"c\"}\n"),
              HasSubstr("qasper.jsonl line 2: 'input' is missing or no text"));
  EXPECT_THAT(error(good + "\n\n{broken\n"), HasSubstr("line 3: not a JSON object"));
  EXPECT_THAT(error(R"({"context": "c", "input": "q", "answers": []})"), HasSubstr("'answers'"));
  EXPECT_THAT(error(""), HasSubstr("no records"));
  std::filesystem::create_directories(folder / "scbench");
  WriteText(folder / "scbench/scbench_repoqa_and_kv.jsonl",
            R"({"repo": "r", "lang": "c", "context": "c",)"
            R"( "multi_turns": [{"task": "scbench_vt", "input": "q", "answer": "a"}]})");
  Workshop mixed(*model_, {.data = folder / ""});
  EXPECT_THAT(TheTask("scbench_repoqa_and_kv")->Size(mixed, 2048).error().message,
              HasSubstr("multi_turns[0]: 'task' is missing or no task that this file mixes"));
  Workshop none(*model_, {});
  EXPECT_THAT(TheTask("gsm8k")->Size(none, 2048).error().message, HasSubstr("--data FOLDER"));
  Workshop missing(*model_, {.data = "/no/such/folder"});
  EXPECT_THAT(TheTask("gsm8k")->Size(missing, 2048).error().message,
              HasSubstr("/no/such/folder/gsm8k/test.jsonl: No such file"));
  WriteText(folder / "squad.json", R"({"data": [{"paragraphs": [{"context": 3, "qas": []}]}]})");
  EXPECT_THAT(ReadSquad(folder / "squad.json").error().message,
              HasSubstr("data[0].paragraphs[0]: 'context' is missing or no text"));
}

}  // namespace
}  // namespace kvasir::eval
