// Traces of `kvasir bench --agents`: read from their lines, sent to a real server.
#include "server/load/trace.h"

#include <cmath>
#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <set>

#include "server/load/load_figures.h"
#include "tests/model/temp_folder.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using server::StreamClient;
using server::StreamedAnswer;
using server::Trace;
using server::TraceRun;
using testing::ElementsAre;
using testing::HasSubstr;

class TraceTest : public ServerTest {
 protected:
  // Two agents of three steps that share a block, and a request by itself.
  static constexpr char kLines[] = R"(
{"timestamp": 1000, "session": "a", "input_length": 40, "output_length": 3, "hash_ids": [1, 2, 3]}
{"timestamp": 1000, "session": "a", "gap": 30, "input_length": 64, "output_length": 2, "hash_ids": [1, 2, 4, 5]}
{"timestamp": 1010, "session": "b", "input_length": 20, "output_length": 4, "hash_ids": [1, "x7"]}

{"timestamp": 1005, "input_length": 16, "output_length": 1, "hash_ids": [9]}
{"timestamp": 1000, "session": "a", "input_length": 80, "output_length": 1, "hash_ids": [1, 2, 4, 5, 6]}
)";

  Result<Trace> Read(std::string_view lines, int64_t block = 16, int64_t most = 0) {
    return server::ReadTrace(folder_.Write("trace.jsonl", lines), block, most);
  }
  std::string Refusal(std::string_view line) {
    const Result<Trace> trace = Read(line);
    return trace ? "none" : trace.error().message;
  }
  TraceRun Send(const Trace& trace, server::TraceOptions options) {
    const StreamClient client(*server::ParseUrl(fmt::format("http://127.0.0.1:{}/v1/", port())),
                              {});
    return server::RunTrace(
        trace, options,
        [&](int64_t i, StreamClient::Clock::time_point due) {
          {
            const std::lock_guard lock(mutex_);
            sent_.push_back(i);
          }
          const Json body = {{"prompt", trace.PromptOf(i, n_vocab_)},
                             {"max_tokens", trace.requests[i].n_answer},
                             {"ignore_eos", true},
                             {"stream", true},
                             {"stream_options", {{"include_usage", true}}}};
          return client.Ask("/completions", body.dump(), due);
        },
        [] { return false; }, [&](int64_t n_done) { told_ = n_done; });
  }

  TempFolder folder_;
  std::mutex mutex_;
  std::vector<int64_t> sent_;
  int64_t told_ = 0;
  int32_t n_vocab_ = 300;
};

TEST_F(TraceTest, IsReadAsItsLinesSay) {
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace) << trace.error().message;
  ASSERT_EQ(trace->requests.size(), 5u);
  EXPECT_NEAR(trace->requests[2].at_s, 0.01, 1e-12);
  EXPECT_DOUBLE_EQ(trace->requests[1].gap_s, 0.03);
  EXPECT_EQ(trace->requests[1].n_answer, 2);
  ASSERT_EQ(trace->sessions.size(), 3u);
  EXPECT_THAT(trace->sessions[0].requests, ElementsAre(0, 1, 4));
  EXPECT_THAT(trace->sessions[1].requests, ElementsAre(3)) << "the second to begin";
  EXPECT_THAT(trace->sessions[2].requests, ElementsAre(2));
}

TEST_F(TraceTest, EqualBlocksAreEqualTokens) {
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace);
  const auto prompt = [&](size_t i) { return trace->PromptOf(i, 5000); };
  const std::vector<int32_t> first = prompt(0), second = prompt(1);
  EXPECT_EQ(first.size(), 40u);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 32, second.begin()));
  EXPECT_NE(first[32], second[32]);
  EXPECT_EQ(prompt(4), trace->PromptOf(4, 5000));
  const std::vector<int32_t> tokens = prompt(4);
  EXPECT_GT(std::set<int32_t>(tokens.begin(), tokens.end()).size(), 60u);
  for (const int32_t token : tokens) {
    EXPECT_GE(token, server::kFirstToken);
    EXPECT_LT(token, 5000);
  }
}

// 32 of 64 that the first request had, 16 of 20, none of 16, all 64 but the last 16 of 80.
TEST_F(TraceTest, KnownTokensAreThoseOfLeadingBlocks) {
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->PromptTokens(), 40 + 64 + 20 + 16 + 80);
  EXPECT_EQ(trace->KnownTokens(), 32 + 16 + 0 + 64);
}

TEST_F(TraceTest, PromptsCanBeCut) {
  const Result<Trace> trace = Read(kLines, 16, 33);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->requests[4].n_prompt, 33);
  EXPECT_EQ(trace->requests[4].blocks.size(), 3u);
  EXPECT_EQ(trace->requests[3].n_prompt, 16);
}

TEST_F(TraceTest, BadLinesAreNamed) {
  EXPECT_THAT(Refusal("{\"input_length\": 3"), HasSubstr("line 1: it is no JSON object"));
  EXPECT_THAT(Refusal("\n{\"output_length\": 3}"), HasSubstr("line 2: 'input_length' is missing"));
  const auto with = [](std::string_view fields) {
    return fmt::format("{{\"input_length\": 20, \"output_length\": 1, {}}}", fields);
  };
  EXPECT_THAT(Refusal(with(R"("hash_ids": [1])")), HasSubstr("2 of 16; --block"));
  EXPECT_THAT(Refusal(with(R"("hash_ids": [1, 2.5])")), HasSubstr("2.5, which is no id"));
  EXPECT_THAT(Refusal(with(R"("hash_ids": 7)")), HasSubstr("no list"));
  EXPECT_THAT(Refusal(with(R"("hash_ids": [1, 2], "timestamp": "now")")), HasSubstr("'timestamp'"));
  EXPECT_THAT(Refusal(with(R"("hash_ids": [1, 2], "gap": -1)")), HasSubstr("'gap' is -1"));
  EXPECT_THAT(Refusal(with(R"("hash_ids": [1, 2], "session": [])")), HasSubstr("'session'"));
  EXPECT_THAT(Refusal(R"({"input_length": 0, "output_length": 1, "hash_ids": []})"),
              HasSubstr("not a count"));
  EXPECT_THAT(Refusal(R"({"input_length": 1e300, "output_length": 1, "hash_ids": []})"),
              HasSubstr("not a number from 0"));
  EXPECT_THAT(Refusal("\n\n"), HasSubstr("holds no requests"));
  EXPECT_THAT(server::ReadTrace(folder_.path() + "/none", 16, 0).error().message,
              HasSubstr("cannot read"));
}

TEST_F(TraceTest, SessionsGoStepByStepAndFindTheirCache) {
  Start();
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace);
  const TraceRun run = Send(*trace, {.n_at_once = 1});
  EXPECT_THAT(sent_, ElementsAre(0, 1, 4, 3, 2));
  EXPECT_EQ(told_, 5);
  ASSERT_EQ(run.requests.size(), 5u);
  for (const auto& request : run.requests) EXPECT_TRUE(request.answer.ok()) << request.answer.error;
  EXPECT_EQ(run.requests[1].answer.n_prompt, 64);
  EXPECT_GE(run.requests[1].due_s, run.requests[0].due_s + run.requests[0].answer.end + 0.03);
  // The slot that answered a step holds the beginning of the next.
  EXPECT_GE(run.requests[1].answer.n_cached, 32);
  EXPECT_GE(run.requests[4].answer.n_cached, 64);
  EXPECT_EQ(run.sessions_s.size(), 3u);
  const Json json = server::TraceJson(*trace, run);
  EXPECT_EQ(json["prompt_tokens"], 220);
  EXPECT_EQ(json["recomputed_tokens"], 220 - json["cached_tokens"].get<int64_t>());
  EXPECT_NEAR(json["known_share"].get<double>(), 112.0 / 220, 1e-12);
  EXPECT_THAT(server::TraceText(*trace, run), HasSubstr("3 sessions to their end, 0 broken off"));
}

TEST_F(TraceTest, SessionsBeginAtTheirTimes) {
  Start();
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace);
  const TraceRun run = Send(*trace, {.speed = 0.5});
  ASSERT_EQ(run.requests.size(), 5u);
  // Both from the load's start, which is a moment after the run's.
  EXPECT_GE(run.requests[3].due_s, 0.01);
  // Each is a whole number of nanoseconds, rounded down.
  const double apart_s = run.requests[2].due_s - run.requests[3].due_s;
  EXPECT_NEAR(static_cast<double>(std::llround(1e9 * apart_s)), 1e7, 1);
}

TEST_F(TraceTest, ASessionEndsWhereARequestFails) {
  Start();
  const Result<Trace> trace = Read(kLines);
  ASSERT_TRUE(trace);
  n_vocab_ = 1 << 30;  // tokens that no model has
  const TraceRun run = Send(*trace, {.n_at_once = 2});
  EXPECT_EQ(run.requests.size(), 3u);
  EXPECT_EQ(run.n_broken, 3);
  EXPECT_TRUE(run.sessions_s.empty());
  EXPECT_EQ(server::FiguresOf(run.requests, {}).n_failed, 3);
}

}  // namespace
}  // namespace kvasir::testing_
