// The load maker of `kvasir bench --serve`, against a real server and by worked numbers.
#include <gmock/gmock.h>

#include <atomic>

#include "server/load/load_figures.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using server::FiguresOf;
using server::LoadedRequest;
using server::LoadFigures;
using server::ParseUrl;
using server::StreamClient;
using server::StreamedAnswer;
using testing::DoubleNear;
using testing::HasSubstr;

class LoadMakerTest : public ServerTest {
 protected:
  StreamClient Client(StreamClient::Options options = {}) {
    return {*ParseUrl(fmt::format("http://127.0.0.1:{}/v1/", port())), std::move(options)};
  }
  static std::string Body(int64_t n_tokens = 12) {
    return Json{{"prompt", "Once upon a time"},
                {"max_tokens", n_tokens},
                {"ignore_eos", true},
                {"temperature", 1},
                {"seed", 3},
                {"stream", true},
                {"stream_options", {{"include_usage", true}}}}
        .dump();
  }
  static StreamedAnswer Ask(const StreamClient& client, const std::string& body = Body()) {
    return client.Ask("/completions", body, StreamClient::Clock::now());
  }
};

TEST_F(LoadMakerTest, AnAnswerIsCountedAndTimed) {
  Start();
  const StreamedAnswer answer = Ask(Client());
  ASSERT_TRUE(answer.ok()) << answer.status << answer.error;
  EXPECT_EQ(answer.n_generated, 12);
  EXPECT_GT(answer.n_prompt, 3);
  EXPECT_LE(answer.pieces.size(), 12u);
  EXPECT_TRUE(std::is_sorted(answer.pieces.begin(), answer.pieces.end()));
  EXPECT_GT(answer.pieces.front(), 0);
  EXPECT_GE(answer.end, answer.pieces.back());
  // Waiting for one's turn is the server's time.
  const StreamedAnswer late =
      Client().Ask("/completions", Body(), StreamClient::Clock::now() - std::chrono::seconds(5));
  EXPECT_GT(late.pieces.front(), 5);
}

TEST_F(LoadMakerTest, ChatsAreStreamsToo) {
  Start();
  Json body = Json::parse(Body());
  body.erase("prompt");
  body["messages"] = {{{"role", "user"}, {"content", "Hello"}}};
  const StreamedAnswer answer =
      Client().Ask("/chat/completions", body.dump(), StreamClient::Clock::now());
  EXPECT_TRUE(answer.ok()) << answer.status << answer.error;
  EXPECT_EQ(answer.n_generated, 12);
}

TEST_F(LoadMakerTest, WhatGoesWrongIsSaid) {
  Start();
  StreamedAnswer answer = Ask(Client(), R"({"prompt": 7, "stream": true})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.error, HasSubstr("prompt"));
  answer = Client().Ask("/nothing", Body(), StreamClient::Clock::now());
  EXPECT_EQ(answer.status, 404);
  answer = Ask(Client(), R"({"prompt": "Once", "max_tokens": 4})");
  EXPECT_THAT(answer.error, HasSubstr("no text")) << "it is no stream";
  const int gone = port();
  server_.reset();
  answer = Ask(StreamClient(*ParseUrl(fmt::format("127.0.0.1:{}", gone)), {}));
  EXPECT_EQ(answer.status, 0);
  EXPECT_THAT(answer.error, HasSubstr("refused"));
}

TEST_F(LoadMakerTest, ARequestEndsAtItsTimeOrWhenAsked) {
  Start();
  const std::string endless = Body(100000);
  const StreamedAnswer timed = Ask(Client({.timeout = std::chrono::milliseconds(200)}), endless);
  EXPECT_THAT(timed.error, HasSubstr("no end within"));
  EXPECT_LT(timed.end, 20);
  std::atomic<bool> stop{false};
  std::thread later([&] {
    EXPECT_TRUE(Eventually([&] { return server_->engine().figures().generated_tokens > 0; }));
    stop = true;
  });
  const StreamedAnswer stopped = Ask(Client({.stop = [&] { return stop.load(); }}), endless);
  later.join();
  EXPECT_EQ(stopped.error, "interrupted");
  EXPECT_TRUE(BecomesIdle()) << "the server noticed";
}

TEST_F(LoadMakerTest, ClientsWaitForTheirAnswers) {
  Start();
  const StreamClient client = Client();
  std::atomic<int> at_once{0}, most{0};
  int64_t told = 0;
  const auto requests = server::RunLoad(
      {.n_requests = 12, .n_clients = 3},
      [&](int64_t i, StreamClient::Clock::time_point due) {
        const int now = ++at_once;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        const StreamedAnswer answer = client.Ask("/completions", Body(4 + i), due);
        --at_once;
        return answer;
      },
      [] { return false; }, [&](int64_t n_done) { told = n_done; });
  EXPECT_EQ(told, 12);
  EXPECT_LE(most, 3);
  ASSERT_EQ(requests.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(requests[i].answer.n_generated, static_cast<int64_t>(4 + i));
  }
  const LoadFigures figures = FiguresOf(requests, {});
  EXPECT_EQ(figures.n_failed, 0);
  EXPECT_EQ(figures.generated_tokens, 12 * 4 + 66);
  EXPECT_EQ(figures.n_good, 12);
}

TEST_F(LoadMakerTest, ArrivalsComeWhetherTheServerKeepsUpOrNot) {
  Start({.batch = {.n_slots = 1}});
  const StreamClient client = Client();
  server::LoadOptions load{.n_requests = 20, .n_clients = 20};
  load.due = server::Arrivals(20, 1000, 1);
  // Nobody is answered before the last one has come. Were arrivals to wait for answers, they would
  // come one at a time, and `Eventually` would give up.
  std::atomic<int> n_come{0};
  const auto requests = server::RunLoad(
      load,
      [&](int64_t, StreamClient::Clock::time_point due) {
        ++n_come;
        EXPECT_TRUE(Eventually([&] { return n_come == 20; }));
        return client.Ask("/completions", Body(40), due);
      },
      [] { return false; }, [](int64_t) {});
  ASSERT_EQ(requests.size(), 20u);
  for (size_t i = 0; i < 20; ++i) {
    const StreamedAnswer& answer = requests[i].answer;
    ASSERT_TRUE(answer.ok()) << answer.error;
    EXPECT_NEAR(requests[i].due_s, load.due[i], 1e-6);
    // Having waited for the others counts as the server's time.
    EXPECT_GT(requests[i].due_s + answer.pieces.front(), load.due.back()) << i;
  }
}

TEST(Arrivals, AreAsManyASecondAsAskedOnAverage) {
  const std::vector<double> due = server::Arrivals(20000, 4, 7);
  EXPECT_EQ(due, server::Arrivals(20000, 4, 7));
  EXPECT_NE(due, server::Arrivals(20000, 4, 8));
  EXPECT_EQ(due[0], 0);
  EXPECT_TRUE(std::is_sorted(due.begin(), due.end()));
  // 20,000 gaps of mean and deviation 1/4 s: 2 % are three deviations of their mean.
  EXPECT_NEAR(due.back() / 20000, 0.25, 0.005);
  int64_t n_long = 0;  // beyond the mean: exp(-1) of them, as no even gaps would be
  for (size_t i = 1; i < due.size(); ++i) n_long += due[i] - due[i - 1] > 0.25 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(n_long) / 20000, 0.368, 0.011);
}

TEST(LoadFigures, WorkedByHand) {
  // Due at 0 s and 1 s; the second one's pieces are later, and a third failed.
  const std::vector<LoadedRequest> requests = {
      {0, {.status = 200, .pieces = {0.1, 0.2, 0.4}, .end = 0.5, .n_prompt = 10, .n_generated = 4}},
      {1, {.status = 200, .pieces = {0.5, 0.7}, .end = 1, .n_prompt = 20, .n_generated = 2}},
      {1, {.status = 503, .error = "busy", .pieces = {}, .end = 3}}};
  const LoadFigures figures = FiguresOf(requests, {.ttft = 0.3, .tpot = {}, .e2e = {}});
  EXPECT_EQ(figures.n_failed, 1);
  EXPECT_EQ(figures.n_good, 1);
  EXPECT_DOUBLE_EQ(figures.wall_s, 4);
  EXPECT_EQ(figures.by_status, (std::map<int, int64_t>{{200, 2}, {503, 1}}));
  EXPECT_THAT(figures.ttft_s.p50, DoubleNear(0.3, 1e-12));
  EXPECT_THAT(figures.ttft_s.p95, DoubleNear(0.48, 1e-12));
  EXPECT_EQ(figures.inter_token_s.n, 3);
  EXPECT_THAT(figures.inter_token_s.mean, DoubleNear(0.5 / 3, 1e-12));
  EXPECT_THAT(figures.tpot_s.p50, DoubleNear(0.15, 1e-12));  // 0.1 and 0.2
  EXPECT_THAT(figures.e2e_s.p99, DoubleNear(0.995, 1e-12));
  const Json json = server::LoadJson(figures);
  EXPECT_DOUBLE_EQ(json["generated_tokens_per_s"], 1.5);
  EXPECT_DOUBLE_EQ(json["total_tokens_per_s"], 9);
  EXPECT_THAT(json["goodput"].get<double>(), DoubleNear(1.0 / 3, 1e-12));
  EXPECT_THAT(server::LoadText(figures), HasSubstr("goodput 33.3 %"));
  EXPECT_THAT(server::LoadText(FiguresOf({}, {})), HasSubstr("0 requests"));
}

TEST(ServerUrl, IsReadOrRefused) {
  const auto parts = [](std::string_view url) {
    const auto parsed = ParseUrl(url);
    return parsed ? fmt::format("{} {} {}", parsed->host, parsed->port, parsed->base)
                  : "refused: " + parsed.error().message;
  };
  EXPECT_EQ(parts("http://127.0.0.1:8080/v1"), "127.0.0.1 8080 /v1");
  EXPECT_EQ(parts("http://host/"), "host 80 ");
  EXPECT_EQ(parts("localhost:81"), "localhost 81 ");
  EXPECT_EQ(parts("http://[::1]:8080/a/v1/"), "::1 8080 /a/v1");
  EXPECT_THAT(parts("https://host/v1"), HasSubstr("TLS"));
  for (const char* bad : {"", "http://", "http://:80", "host:port", "host:99999", "host:", "[::1",
                          "[::1]80", "a b", "user@host", "host/v1?x=1", "ftp://host"}) {
    EXPECT_THAT(parts(bad), HasSubstr("refused")) << bad;
  }
}

}  // namespace
}  // namespace kvasir::testing_
