// The server before its model is loaded.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

class LoadingTest : public ServerTest {
 protected:
  void SetUp() override { Listen({}); }
  void Listen(server::ServerOptions options) {
    options.port = 0;
    options.log = server::LogFormat::kNone;
    auto server = server::Server::Listen(options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void Load() {
    auto model = LoadedModel::Load({.path = GoldenDir() + "/models/llama.gguf", .threads = 1});
    ASSERT_TRUE(model) << model.error().message;
    model_ = *model;
  }
};

TEST_F(LoadingTest, HealthIsThatOfLlamaServer) {
  const RawReply reply = Get(port(), "/health");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.json(),
            (Json{{"error",
                   {{"code", 503}, {"message", "Loading model"}, {"type", "unavailable_error"}}}}));
  Load();
  ASSERT_TRUE(server_->Serve(model_));
  EXPECT_EQ(Get(port(), "/health").json(), (Json{{"status", "ok"}}));
}

TEST_F(LoadingTest, OtherRequestsAreToldToComeBack) {
  for (const char* path : {"/v1/models", "/metrics", "/slots", "/props", "/no/such"}) {
    const RawReply reply = Get(port(), path);
    EXPECT_EQ(reply.status, 503) << path;
    EXPECT_TRUE(reply.Has("Retry-After: 1\r\n")) << path;
    EXPECT_EQ(reply.json()["error"]["type"], "unavailable_error") << path;
    EXPECT_EQ(reply.json()["error"]["code"], "model_loading") << path;
  }
  const Json request = {{"prompt", "Hello"}, {"max_tokens", 2}};
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 503);
  const RawReply anthropic = Post(port(), "/v1/messages", request);
  EXPECT_EQ(anthropic.status, 503);
  EXPECT_EQ(anthropic.json()["type"], "error") << "as Anthropic's clients read it";
}

TEST_F(LoadingTest, OneConnectionSeesTheModelCome) {
  RawClient client(port());
  const std::string request = PostText("/v1/completions", R"({"prompt": "Hi", "max_tokens": 2})");
  client.Send(request);
  EXPECT_EQ(client.Read().status, 503);
  Load();
  ASSERT_TRUE(server_->Serve(model_));
  client.Send(request);
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(LoadingTest, EndsWithoutAModel) {
  RawClient client(port());
  client.Send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.Read().status, 503);
  EXPECT_TRUE(server_->Drain(std::chrono::seconds(20)));
  server_.reset();
}

TEST_F(LoadingTest, WhatTheModelCannotDoIsAnErrorAndNothingIsServed) {
  Listen({.batch = {.kv = "no_such_method"}});
  Load();
  const Status served = server_->Serve(model_);
  ASSERT_FALSE(served);
  EXPECT_THAT(served.error().message, HasSubstr("no_such_method"));
  EXPECT_EQ(Get(port(), "/health").status, 503);
}

}  // namespace
}  // namespace kvasir::testing_
