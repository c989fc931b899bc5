// One connection as HTTP has it: what lies between requests, who goes, and what a reply leaves out.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

class ConnectionTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }
  static void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }
};

TEST_F(ConnectionTest, BytesThatCameEarlyHideNoDeparture) {
  for (const char* early : {"\r\n", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    Start();
    RawClient client(port());
    client.Send(PostText("/v1/completions", Endless().dump()));
    ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 1; }));
    client.Send(early);
    Pause();
    client.Close();
    EXPECT_TRUE(BecomesIdle());
    EXPECT_EQ(server_->engine().figures().canceled, 1) << early;
  }
}

TEST_F(ConnectionTest, WhoSendsALotWhileItWaitsIsNotListenedTo) {
  RawClient client(port());
  client.Send(PostText("/v1/completions", Endless().dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 1; }));
  client.Send(std::string(100'000, 'x'));
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(server_->engine().figures().canceled, 1);
}

// RFC 9112, 2.2.
TEST_F(ConnectionTest, EmptyLinesBeforeARequestAreSkipped) {
  const std::string get = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
  RawClient client(port());
  client.Send(PostText("/tokenize", R"({"content":"a"})"));
  EXPECT_EQ(client.Read().status, 200);
  client.Send("\r\n");
  Pause();
  client.Send(get);
  EXPECT_EQ(client.Read().status, 200);
  client.Send("\r\n\r\n" + get + "\r\n" + get);
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_EQ(client.Read().status, 200);
  client.Send("\r");
  Pause();
  client.Send("\n" + get);
  EXPECT_EQ(client.Read().status, 200);
}

// RFC 9112, 3.2.
TEST_F(ConnectionTest, ARequestNamesItsHost) {
  const RawReply none = Exchange(port(), "GET /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(none.status, 400);
  EXPECT_THAT(none.body, HasSubstr("Host"));
  EXPECT_EQ(Exchange(port(), "GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n").status, 400);
  EXPECT_EQ(Exchange(port(), "GET /health HTTP/1.1\r\nHost:\r\n\r\n").status, 200);
  EXPECT_EQ(Exchange(port(), "GET /health HTTP/1.0\r\n\r\n").status, 200);
}

// RFC 9110, 8.6 and 15.5.16.
TEST_F(ConnectionTest, LengthsAndCodingsAreAsTheStatusWantsThem) {
  const RawReply empty = Exchange(port(), "OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(empty.status, 204);
  EXPECT_FALSE(empty.Has("Content-Length"));
  const RawReply packed =
      Exchange(port(), PostText("/tokenize", "\x1f\x8b\x08", "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(packed.status, 415);
  EXPECT_THAT(packed.json()["error"]["message"].get<std::string>(), HasSubstr("gzip"));
  EXPECT_EQ(Exchange(port(),
                     PostText("/tokenize", R"({"content":"a"})", "Content-Encoding: identity\r\n"))
                .status,
            200);
}

// The end of what a client sends is not the end of its listening.
TEST_F(ConnectionTest, WhoHasSaidAllIsAnswered) {
  Json request = {{"prompt", "Once"}, {"max_tokens", 200}, {"ignore_eos", true}, {"seed", 1}};
  for (const bool stream : {false, true}) {
    request["stream"] = stream;
    RawClient client(port());
    client.Send(PostText("/v1/completions", request.dump()));
    client.EndSending();
    const RawReply reply = client.Read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.complete);
    EXPECT_FALSE(client.Receive());
  }
}

}  // namespace
}  // namespace kvasir::testing_
