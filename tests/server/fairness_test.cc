// Nobody waits for what others do with a slot, a thread or the queue that it does not need.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

class FairnessTest : public ServerTest {};

TEST_F(FairnessTest, WhoWaitsForASlotHoldsUpNobodyElse) {
  server::ServerOptions options;
  options.batch.n_slots = 3;
  const Json shorter = {{"prompt", "Hi"}, {"max_tokens", 2}};
  for (const Json& wanted : {Json{{"id_slot", 0}}, Json{{"n", 3}}}) {
    Start(options);
    Json endless = Endless();
    endless["id_slot"] = 0;
    RawClient running(port()), waiting(port());
    running.Send(PostText("/v1/completions", endless.dump()));
    ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 1; }));
    Json picky = shorter;
    picky.update(wanted);
    waiting.Send(PostText("/v1/completions", picky.dump()));
    ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_waiting == 1; }));
    EXPECT_EQ(Post(port(), "/v1/completions", shorter).status, 200);
    EXPECT_FALSE(waiting.HasReply()) << wanted;
    EXPECT_EQ(server_->engine().figures().n_waiting, 1) << wanted;
    running.Close();
    EXPECT_EQ(waiting.Read().status, 200);
  }
}

TEST_F(FairnessTest, WorkThatTakesLongWaitsInTheQueueToo) {
  server::ServerOptions options;
  options.batch.queue = 2;
  Start(options);
  const Json texts = std::vector<std::vector<int>>(200, std::vector<int>(2000, 50));
  const std::string request = PostText("/v1/embeddings", Json{{"input", texts}}.dump());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send(request);
  }
  const auto n_refused = [&] {
    int n = 0;
    for (const auto& client : clients) n += client->HasReply();
    return n;
  };
  // Two are worked at, two wait.
  EXPECT_TRUE(Eventually([&] { return n_refused() == 6; })) << n_refused();
  for (const auto& client : clients) {
    if (!client->HasReply()) continue;
    const RawReply reply = client->Read();
    EXPECT_EQ(reply.status, 429);
    EXPECT_TRUE(reply.Has("Retry-After: "));
  }
  clients.clear();
  EXPECT_TRUE(Eventually([&] {
    return Post(port(), "/v1/embeddings", {{"input", "Hi"}}).status == 200;
  }));
}

TEST_F(FairnessTest, ALongBodyHoldsNobodyUp) {
  server::ServerOptions options;
  options.limits.handler_threads = 1;
  Start(options);
  std::string words;
  while (words.size() < 4'000'000) words += "rivers and hills " + std::to_string(words.size());
  RawClient client(port());
  client.Send(PostText("/tokenize", Json{{"content", words}}.dump()));
  int n_answered = 0;
  for (; !client.HasReply(); ++n_answered) ASSERT_EQ(Get(port(), "/health").status, 200);
  EXPECT_GT(n_answered, 4);  // held up, the first one would have come after the long one
  EXPECT_EQ(client.Read().status, 200);
}

// No token is that long, so it need not be tokenized.
TEST_F(FairnessTest, ATextThatCannotFitIsRefusedUnread) {
  Start();
  const RawReply reply = Post(port(), "/v1/completions", {{"prompt", std::string(1'000'000, 'a')}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json()["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(reply.body, HasSubstr("1000000 bytes"));
}

}  // namespace
}  // namespace kvasir::testing_
