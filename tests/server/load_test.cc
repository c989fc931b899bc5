// Under load: clients that go, that are slow, that are many; memory that runs out; the end.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <random>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

int OpenDescriptors() {
  int n = 0;
  for (int fd = 0; fd < 4096; ++fd) n += fcntl(fd, F_GETFD) != -1;
  return n;
}

class LoadTest : public ServerTest {};

TEST_F(LoadTest, AClientThatGoesFreesItsPagesAtOnce) {
  Start();
  for (const bool stream : {false, true}) {
    for (const bool reset : {false, true}) {
      Json request = Endless();
      request["stream"] = stream;
      request["cache_prompt"] = false;
      RawClient client(port());
      client.Send(PostText("/v1/completions", request.dump()));
      ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 1; }));
      reset ? client.Reset() : client.Close();
      EXPECT_TRUE(BecomesIdle());
      EXPECT_EQ(server_->engine().figures().kv_used_bytes, 0);
    }
  }
  EXPECT_EQ(server_->engine().figures().canceled, 4);
  EXPECT_LT(server_->engine().figures().generated_tokens, 4 * 1500);
}

// 1,000 clients connect and go at random moments: nothing stays.
TEST_F(LoadTest, ClientsThatGoAtRandomMomentsLeakNothing) {
  server::ServerOptions options;
  options.batch.queue = 2000;
  Start(options);
  Post(port(), "/tokenize", {{"content", "warm"}});
  const int fds = OpenDescriptors();
  std::mt19937 random(7);
  Json request = Endless();
  request["max_tokens"] = 40;
  request["cache_prompt"] = false;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(std::make_unique<RawClient>(port()));
      ASSERT_TRUE(clients.back()->connected());
      request["stream"] = random() % 2 == 0;
      const std::string text = PostText("/v1/completions", request.dump());
      // Some go before they have said all they want.
      clients.back()->Send(
          text.substr(0, random() % 3 == 0 ? random() % text.size() : text.size()));
      if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 4));
      if (random() % 2 == 0) {
        const size_t victim = random() % clients.size();
        random() % 2 == 0 ? clients[victim]->Reset() : clients[victim]->Close();
      }
    }
  }
  EXPECT_TRUE(BecomesIdle());
  EXPECT_TRUE(Eventually([&] { return server_->n_connections() == 0; }))
      << server_->n_connections();
  EXPECT_EQ(server_->engine().figures().kv_used_bytes, 0);
  EXPECT_LE(OpenDescriptors(), fds);
  EXPECT_EQ(Get(port(), "/health").status, 200);
}

TEST_F(LoadTest, AThousandSlowClientsDoNotStopOthers) {
  // Both ends of each connection are in this process.
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2200) GTEST_SKIP() << "this system lets a process have too few files";
  Start();
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(std::make_unique<RawClient>(port()));
    ASSERT_TRUE(slow.back()->connected()) << i;
    slow.back()->Send("POST /v1/completions HTTP/1.1\r\nContent-Le");
  }
  EXPECT_EQ(Get(port(), "/health").status, 200);
  EXPECT_EQ(Post(port(), "/v1/completions", {{"prompt", "Hi"}, {"max_tokens", 2}}).status, 200);
}

TEST_F(LoadTest, SlowClientsAreClosedAndTooManyRefused) {
  server::ServerOptions options;
  options.limits.header_time = std::chrono::milliseconds(200);
  options.limits.body_time = std::chrono::milliseconds(200);
  options.limits.connections = 3;
  Start(options);
  RawClient header(port()), body(port()), third(port());
  header.Send("GET /hea");
  body.Send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
  ASSERT_TRUE(Eventually([&] { return server_->n_connections() == 3; }));
  const RawReply refused = Get(port(), "/health");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.json()["error"]["type"], "unavailable_error");
  // A byte now and then does not extend the time.
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    header.Send("l");
    body.Send(" ");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  EXPECT_FALSE(header.Receive());
  EXPECT_FALSE(body.Receive());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_TRUE(Eventually([&] { return server_->n_connections() == 0; }));
}

TEST_F(LoadTest, AFullQueueSaysWhenToComeBack) {
  server::ServerOptions options;
  options.batch.n_slots = 1;
  options.batch.queue = 1;
  Start(options);
  RawClient running(port()), waiting(port());
  running.Send(PostText("/v1/completions", Endless().dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 1; }));
  waiting.Send(PostText("/v1/completions", Endless().dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_waiting == 1; }));
  const RawReply refused = Post(port(), "/v1/completions", Endless());
  EXPECT_EQ(refused.status, 429);
  EXPECT_TRUE(refused.Has("Retry-After: 2\r\n"));
  EXPECT_EQ(refused.json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(Get(port(), "/slots?fail_on_no_slot=1").status, 503);
}

// What each client gets with others around, and with too little memory for all, is what it gets
// alone.
TEST_F(LoadTest, CompanyAndShortMemoryChangeNoAnswer) {
  std::vector<Json> requests;
  const char* const specs[] = {"full", "snapkv:budget=40,window=16", "streaming:budget=50"};
  for (int i = 0; i < 12; ++i) {
    requests.push_back({{"prompt", std::vector<int>(40 + 13 * i, 30 + i)},
                        {"max_tokens", 60},
                        {"seed", i},
                        {"ignore_eos", true},
                        {"logprobs", 1},
                        {"cache_prompt", false},
                        {"kv", {{"spec", specs[i % 3]}}}});
  }
  Start();
  std::vector<Json> alone;
  for (const Json& request : requests) {
    alone.push_back(Post(port(), "/v1/completions", request).json()["choices"]);
    ASSERT_EQ(alone.back().size(), 1u);
  }
  for (const int64_t kv_memory : {int64_t{0}, int64_t{2} << 20}) {
    server::ServerOptions options;
    options.batch.n_slots = 6;
    options.batch.kv_memory = kv_memory;
    Start(options);
    std::vector<Json> together(requests.size());
    std::vector<std::thread> clients;
    for (size_t i = 0; i < requests.size(); ++i) {
      clients.emplace_back(
          [&, i] { together[i] = Post(port(), "/v1/completions", requests[i]).json()["choices"]; });
    }
    for (std::thread& client : clients) client.join();
    for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(together[i], alone[i]) << i;
    EXPECT_TRUE(BecomesIdle());
    EXPECT_EQ(server_->engine().figures().kv_used_bytes, 0);
  }
}

TEST_F(LoadTest, APromptThatNoMemoryHoldsIsRefused) {
  server::ServerOptions options;
  options.batch.kv_memory = 1 << 20;
  Start(options);
  const RawReply reply = Post(port(), "/v1/completions", {{"prompt", std::vector<int>(1500, 50)}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json()["error"]["code"], "kv_memory_exceeded");
  EXPECT_EQ(Post(port(), "/v1/completions", {{"prompt", "Hi"}}).status, 200);
}

TEST_F(LoadTest, DrainingAnswersWhatIsAtHandAndNothingElse) {
  constexpr int kTokens = 1000;  // all six are seen before the first has ended
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  Json request = Endless();
  request["max_tokens"] = kTokens;
  for (int i = 0; i < 6; ++i) {
    request["stream"] = i % 2 == 0;
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send(PostText("/v1/completions", request.dump()));
  }
  RawClient late(port());
  late.Send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(late.Read().status, 200);
  ASSERT_TRUE(Eventually([&] {
    const BatchFigures figures = server_->engine().figures();
    return figures.n_running + figures.n_waiting == 6;
  }));
  std::thread drain([&] { EXPECT_TRUE(server_->Drain(std::chrono::seconds(60))); });
  EXPECT_TRUE(Eventually([&] {
    late.Send(PostText("/v1/completions", R"({"prompt":"Hi","max_tokens":1})"));
    return late.Read().status == 503;
  }));
  late.Send(PostText("/v1/embeddings", R"({"input":"Hi"})"));  // nor what needs no slot
  EXPECT_EQ(late.Read().json()["error"]["code"], "shutting_down");
  for (size_t i = 0; i < clients.size(); ++i) {
    const RawReply reply = clients[i]->Read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.complete);
    if (i % 2 == 0) {
      EXPECT_EQ(Events(reply.body).back(), "[DONE]");
    }
    if (i % 2 == 1) {
      EXPECT_EQ(reply.json()["usage"]["completion_tokens"], kTokens);
    }
  }
  drain.join();
  EXPECT_FALSE(RawClient(port()).connected());
}

// What works for long has threads of its own, and ends when its client goes.
TEST_F(LoadTest, LongEmbeddingsHoldNobodyUp) {
  Start();
  const Json texts = std::vector<std::vector<int>>(200, std::vector<int>(2000, 50));
  const std::string request = PostText("/v1/embeddings", Json{{"input", texts}}.dump());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send(request);
  }
  for (int i = 0; i < 20; ++i) {  // until all four are at hand, and then some
    ASSERT_EQ(Get(port(), "/health").status, 200);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(Post(port(), "/v1/completions", {{"prompt", "Hi"}, {"max_tokens", 2}}).status, 200);
  clients.clear();
  EXPECT_TRUE(Eventually([&] {
    return Get(port(), "/metrics").body.find("route=\"/embeddings\",code=\"499\"} 4\n") !=
           std::string::npos;
  }));
  EXPECT_EQ(Post(port(), "/v1/embeddings", {{"input", "Hi"}}).status, 200);
  clients.push_back(std::make_unique<RawClient>(port()));
  clients.back()->Send(request);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto start = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(LoadTest, DestructionUnderLoadIsClean) {
  for (int i = 0; i < 5; ++i) {
    Start();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int c = 0; c < 10; ++c) {
      Json request = Endless();
      request["stream"] = c % 2 == 0;
      clients.push_back(std::make_unique<RawClient>(port()));
      clients.back()->Send(PostText("/v1/completions", request.dump()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(i * 5));
    server_.reset();
  }
}

}  // namespace
}  // namespace kvasir::testing_
