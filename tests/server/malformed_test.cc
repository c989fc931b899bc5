// What is wrong with a request, and what it gets: the status, and an error as OpenAI's clients
// read.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "server/api_keys.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

constexpr char kUser[] = R"("messages":[{"role":"user","content":"Hi"}])";

struct Bad {
  const char* path;
  std::string body;
  int status;
  const char* says;  // part of the message
};

const Bad kBad[] = {
    {"/v1/chat/completions", "", 400, "JSON"},
    {"/v1/chat/completions", "{", 400, "JSON"},
    {"/v1/chat/completions", "[]", 400, "object"},
    {"/v1/chat/completions", "null", 400, "object"},
    {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", 400,
     "UTF-8"},
    {"/v1/chat/completions", std::string(100000, '['), 400, "deep"},
    {"/v1/chat/completions",
     R"({"messages":)" + std::string(200, '[') + std::string(200, ']') + "}", 400, "deep"},
    {"/v1/chat/completions", "{}", 400, "messages"},
    {"/v1/chat/completions", R"({"messages":null})", 400, "messages"},
    {"/v1/chat/completions", R"({"messages":"Hi"})", 400, "messages"},
    {"/v1/chat/completions", R"({"messages":[]})", 400, "messages"},
    {"/v1/chat/completions", R"({"messages":["Hi"]})", 400, "messages[0]"},
    {"/v1/chat/completions", R"({"messages":[{"content":"Hi"}]})", 400, "role"},
    {"/v1/chat/completions", R"({"messages":[{"role":5,"content":"Hi"}]})", 400, "role"},
    {"/v1/chat/completions", R"({"messages":[{"role":"wizard","content":"Hi"}]})", 400, "wizard"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user"}]})", 400, "content"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":5}]})", 400, "content"},
    {"/v1/chat/completions",
     R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})",
     400, "image_url"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"temperature":"hot"})", 400,
     "temperature"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"temperature":-1})", 400,
     "temperature"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"top_p":2})", 400, "top_p"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"n":0})", 400, "'n'"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"n":129})", 400, "'n'"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"max_tokens":1.5})", 400, "max_tokens"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"max_tokens":-7})", 400, "max_tokens"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"stop":5})", 400, "stop"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"stop":[5]})", 400, "stop"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"stream":"yes"})", 400, "stream"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"stream_options":1})", 400,
     "stream_options"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"logit_bias":{"x":1}})", 400,
     "logit_bias"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"logit_bias":{"9999":1}})", 400,
     "9999"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"logit_bias":{"1":"a"}})", 400, "bias"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"logprobs":true,"top_logprobs":21})",
     400, "top_logprobs"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":"full"})", 400, "kv"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"spec":"snapkw"}})", 400,
     "snapkv"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"spec":"snapkv:budgt=3"}})", 400,
     "budget"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"sepc":"full"}})", 400, "spec"},
    {"/v1/chat/completions",
     std::string("{") + kUser + R"(,"kv":{"spec":"razor:heads=/etc/passwd"}})", 400, "cannot name"},
    {"/v1/chat/completions",
     std::string("{") + kUser + R"(,"kv":{"spec":"razor:heads=\"/etc/passwd\"","budget":9}})", 400,
     "cannot name"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"type":"q7"}})", 400, "q7"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"budget":5}})", 400, "budget"},
    {"/v1/chat/completions",
     std::string("{") + kUser + R"(,"kv":{"spec":"snapkv","budget":"9,window=4"}})", 400,
     "9,window=4"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"kv":{"pin":[[4,2]]}})", 400, "pin"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"tools":[{"type":"function"}]})", 400,
     "tools"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"id_slot":99})", 400, "id_slot"},
    {"/v1/completions", "{}", 400, "prompt"},
    {"/v1/completions", R"({"prompt":5})", 400, "prompt"},
    {"/v1/completions", R"({"prompt":[]})", 400, "prompt"},
    {"/v1/completions", R"({"prompt":[[]]})", 400, "prompt"},
    {"/v1/completions", R"({"prompt":[99999]})", 400, "vocabulary"},
    {"/v1/completions", R"({"prompt":[-1]})", 400, "vocabulary"},
    {"/v1/completions", R"({"prompt":[18446744073709551615]})", 400, "vocabulary"},
    {"/v1/completions", R"({"prompt":"Hi","suffix":"x"})", 400, "suffix"},
    {"/v1/completions", R"({"prompt":"Hi","n":3,"best_of":2})", 400, "best_of"},
    {"/v1/completions", R"({"prompt":"Hi","best_of":2,"stream":true})", 400, "best_of"},
    {"/v1/completions", R"({"prompt":"Hi","logprobs":50})", 400, "logprobs"},
    {"/v1/chat/completions", std::string("{") + kUser + R"(,"top_logprobs":2})", 400,
     "top_logprobs"},
    {"/completion", R"({"prompt":"Hi"})", 404, "/v1/completions"},
    {"/tokenize", "{}", 400, "content"},
    {"/tokenize", R"({"content":5})", 400, "content"},
    {"/detokenize", R"({"tokens":[1.5]})", 400, "tokens"},
    {"/detokenize", "{}", 400, "tokens"},
    {"/detokenize", R"({"tokens":"Hi"})", 400, "tokens"},
    {"/detokenize", R"({"tokens":[[5],[6]]})", 400, "tokens"},
    {"/detokenize", R"({"tokens":[99999]})", 400, "vocabulary"},
    {"/v1/responses", R"({"input":[]})", 400, "'input'"},
    {"/health", "{}", 405, "POST"},
    {"/apply-template", "{}", 400, "messages"},
    {"/v1/nothing", "{}", 404, "/v1/nothing"},
    {"/v1/../../etc/passwd", "{}", 404, "there is no"},
    {"/v1/models", "{}", 405, "POST"},
    {"/slots/0?action=save", R"({"filename":"../x"})", 501, "slot-save-path"},
    {"/slots/99?action=erase", "", 404, "slot"},
    {"/slots/x?action=erase", "", 404, "slot"},
    {"/slots/0?action=dance", "", 400, "action"},
};

class MalformedTest : public ServerTest {};

TEST_F(MalformedTest, EachGetsItsStatusAndAnErrorThatSaysWhatIsWrong) {
  Start();
  for (const Bad& bad : kBad) {
    const RawReply reply = Exchange(port(), PostText(bad.path, bad.body));
    EXPECT_EQ(reply.status, bad.status) << bad.path << " " << bad.body.substr(0, 100) << reply.body;
    if (bad.status == 200) continue;
    const Json json = reply.json();
    ASSERT_TRUE(json.is_object() && json.contains("error")) << reply.body;
    EXPECT_THAT(json["error"]["message"].get<std::string>(), HasSubstr(bad.says)) << bad.path;
    EXPECT_TRUE(json["error"].contains("type") && json["error"].contains("param") &&
                json["error"].contains("code"));
  }
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(MalformedTest, NullStandsForLeftOutAndUnknownFieldsDoNotMatter) {
  Start();
  Json request = Json::parse(std::string("{") + kUser + "}");
  for (const char* name : {"model",
                           "temperature",
                           "top_p",
                           "n",
                           "seed",
                           "stop",
                           "presence_penalty",
                           "logit_bias",
                           "max_tokens",
                           "stream",
                           "stream_options",
                           "logprobs",
                           "tools",
                           "tool_choice",
                           "response_format",
                           "user",
                           "metadata",
                           "kv",
                           "chat_template_kwargs",
                           "priority"}) {
    request[name] = nullptr;
  }
  request["max_completion_tokens"] = 3;
  request["never_heard_of"] = {{"x", 1}};
  EXPECT_EQ(Post(port(), "/v1/chat/completions", request).status, 200);
}

TEST_F(MalformedTest, ManyTextsMayStopAnAnswer) {
  Start();
  Json request = {{"prompt", "Hi"}, {"max_tokens", 2}};
  request["stop"] = std::vector<std::string>(64, "~");
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 200);
  request["stop"].push_back("~");
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
}

TEST_F(MalformedTest, APromptBeyondTheContextSaysSo) {
  server::ServerOptions options;
  options.batch.ctx = 64;
  Start(options);
  const RawReply reply = Post(port(), "/v1/completions", {{"prompt", std::vector<int>(100, 50)}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json()["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(reply.json()["error"]["message"].get<std::string>(), HasSubstr("100"));
  // Up to its end it is served.
  const Json full =
      Post(port(), "/v1/completions",
           {{"prompt", std::vector<int>(60, 50)}, {"max_tokens", 50}, {"ignore_eos", true}})
          .json();
  EXPECT_EQ(full["usage"]["completion_tokens"], 4);
  EXPECT_EQ(full["choices"][0]["finish_reason"], "length");
  EXPECT_THAT(full["kv"]["warnings"][0].get<std::string>(), HasSubstr("--ctx"));
}

// They would protect nothing; a client that counts tokens wrongly learns it.
TEST_F(MalformedTest, PinsBeyondThePromptAreRefusedWithBothNumbers) {
  Start();
  Json request = {{"prompt", std::vector<int>(30, 50)}, {"max_tokens", 1}};
  for (const Json& pins : {Json::array({Json::array({0, 4}), Json::array({20, 31})}),
                           Json::array({Json::array({40, 50})})}) {
    request["kv"] = {{"spec", "streaming:budget=16"}, {"pin", pins}};
    const RawReply reply = Post(port(), "/v1/completions", request);
    EXPECT_EQ(reply.status, 400) << pins;
    const Json error = reply.json()["error"];
    EXPECT_EQ(error["param"], "kv.pin");
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(pins.back()[1].dump() + ")"));
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("30 tokens"));
  }
  request["kv"]["pin"] = Json::array({Json::array({0, 30})});  // up to its end
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 200);
  // Each prompt is measured by itself.
  request["prompt"] = Json::array({std::vector<int>(30, 50), std::vector<int>(29, 50)});
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
}

// RFC 9110, 15.5.6.
TEST_F(MalformedTest, AWrongMethodIsToldTheRightOnes) {
  Start();
  const auto allow = [&](std::string_view method, std::string_view path) {
    const RawReply reply =
        Exchange(port(), fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n\r\n", method, path));
    EXPECT_EQ(reply.status, 405) << method << path;
    const size_t at = reply.head.find("Allow: ");
    if (at == std::string::npos) return std::string("none");
    return reply.head.substr(at + 7, reply.head.find("\r\n", at) - at - 7);
  };
  EXPECT_EQ(allow("GET", "/v1/chat/completions"), "POST, OPTIONS");
  EXPECT_EQ(allow("DELETE", "/v1/models"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(allow("PUT", "/models/llama"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(allow("GET", "/slots/0"), "POST, OPTIONS");
  for (const char* path : {"/health", "/metrics", "/"}) {
    EXPECT_EQ(allow("DELETE", path), "GET, HEAD, OPTIONS") << path;
  }
  EXPECT_FALSE(Get(port(), "/nothing").Has("Allow: "));
}

TEST_F(MalformedTest, HttpThatIsNoneIsRefusedAndTheConnectionClosed) {
  server::ServerOptions options;
  options.limits.body_bytes = 1000;
  options.limits.header_bytes = 2000;
  Start(options);
  EXPECT_EQ(Exchange(port(), "NONSENSE\r\n\r\n").status, 400);
  EXPECT_EQ(Exchange(port(), "GET /health HTTP/9.9\r\n\r\n").status, 400);
  EXPECT_EQ(
      Exchange(port(), "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n").status,
      400);
  EXPECT_EQ(
      Exchange(port(), "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n").status,
      413);
  EXPECT_EQ(Exchange(port(), PostText("/tokenize", std::string(2000, ' '))).status, 413);
  EXPECT_EQ(Exchange(port(),
                     "GET /health HTTP/1.1\r\nHost: x\r\nX: " + std::string(4000, 'x') + "\r\n\r\n")
                .status,
            431);
  const RawReply chunked =
      Exchange(port(), "POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                           std::string("e\r\n{\"content\":\"a\"\r\n1\r\n}\r\n0\r\n\r\n"));
  EXPECT_EQ(chunked.status, 200) << chunked.body;
  EXPECT_EQ(
      Exchange(port(),
               "POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" +
                   std::string(5000, ' '))
          .status,
      413);
}

TEST_F(MalformedTest, OneConnectionServesManyRequests) {
  Start();
  RawClient client(port());
  for (int i = 0; i < 5; ++i) {
    client.Send(PostText("/tokenize", R"({"content":"a"})"));
    EXPECT_EQ(client.Read().status, 200);
  }
  // Two at once are answered in turn.
  client.Send("GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.Read().json()["status"], "ok");
  EXPECT_EQ(client.Read().json()["object"], "list");
  client.Send("GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.Read().json()["status"], "ok");
  client.Send("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_FALSE(client.Receive());
  // HTTP/1.0 knows no chunks: a stream ends with the connection.
  RawClient old(port());
  const std::string body = R"({"prompt":"a","max_tokens":3,"stream":true})";
  old.Send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body);
  EXPECT_EQ(Events(old.Read().body).back(), "[DONE]");
}

TEST_F(MalformedTest, KeysAreAskedForAndQuotasKept) {
  const std::string path = testing::TempDir() + "/kvasir_keys_test";
  std::ofstream(path)
      << "# who may\nsecret-one name=one\nsecret-two name=two tokens_per_minute=30\n";
  server::ServerOptions options;
  options.api_key_file = path;
  Start(options);
  const Json request = {{"prompt", "Hello"}, {"max_tokens", 30}, {"ignore_eos", true}};
  const RawReply none = Post(port(), "/v1/completions", request);
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.json()["error"]["type"], "authentication_error");
  EXPECT_EQ(Post(port(), "/v1/completions", request, "Authorization: Bearer wrong-key\r\n").status,
            401);
  EXPECT_EQ(Post(port(), "/tokenize", {{"content", "a"}}).status, 401);
  EXPECT_EQ(Get(port(), "/slots").status, 401);
  EXPECT_EQ(Get(port(), "/health").status, 200);
  EXPECT_EQ(Get(port(), "/v1/models").status, 200);
  const std::string two = "Authorization: Bearer secret-two\r\n";
  EXPECT_EQ(Post(port(), "/v1/completions", request, two).status, 200);
  const RawReply spent = Post(port(), "/v1/completions", request, two);
  EXPECT_EQ(spent.status, 429);
  EXPECT_TRUE(spent.Has("Retry-After: "));
  EXPECT_EQ(spent.json()["error"]["code"], "quota_exceeded");
  EXPECT_EQ(Post(port(), "/v1/completions", request, "X-Api-Key: secret-one\r\n").status, 200);
  // Clients send a made-up key in the one header and the true one in the other.
  EXPECT_EQ(Post(port(), "/tokenize", {{"content", "a"}}, two + "X-Api-Key: none\r\n").status, 200);
  EXPECT_EQ(Post(port(), "/tokenize", {{"content", "a"}},
                 "Authorization: Bearer none\r\nX-Api-Key: secret-one\r\n")
                .status,
            200);
  std::filesystem::remove(path);
}

TEST(ApiKeys, AFileWithAnErrorIsRefusedWithTheLine) {
  using server::ApiKeys;
  EXPECT_THAT(ApiKeys::Parse("", "f").error().message, HasSubstr("no key"));
  EXPECT_THAT(ApiKeys::Parse("short", "f").error().message, HasSubstr("line 1"));
  EXPECT_THAT(ApiKeys::Parse("long-enough\nlong-enough", "f").error().message, HasSubstr("line 2"));
  EXPECT_THAT(ApiKeys::Parse("long-enough parallel=x", "f").error().message, HasSubstr("'x'"));
  EXPECT_THAT(ApiKeys::Parse("long-enough colour=red", "f").error().message, HasSubstr("colour"));
  EXPECT_THAT(ApiKeys::Parse("long-enough admin=no", "f").error().message, HasSubstr("admin=no"));
}

TEST(ApiKeys, AnAdminIsOneThatIsCalledSo) {
  const auto keys =
      server::ApiKeys::Parse("key-of-operator name=o admin\nkey-of-alice name=admin", "f");
  ASSERT_TRUE(keys);
  EXPECT_TRUE((*keys)->Admit("Bearer key-of-operator")->admin);
  EXPECT_TRUE((*keys)->Admit("BEARER key-of-operator")->admin);
  EXPECT_FALSE((*keys)->Admit("Bearer key-of-alice")->admin);
  EXPECT_FALSE(server::ApiKeys().Admit("")->admin) << "without keys nobody is more than others";
}

TEST(ApiKeys, ParallelRequestsAreCounted) {
  auto keys = server::ApiKeys::Parse("long-enough name=a parallel=2", "f");
  ASSERT_TRUE(keys);
  EXPECT_EQ((*keys)->Admit("Bearer long-enough")->tenant, "a");
  EXPECT_TRUE((*keys)->Begin("a"));
  EXPECT_TRUE((*keys)->Begin("a"));
  EXPECT_EQ((*keys)->Begin("a").error().status, 429);
  (*keys)->End("a", 0);
  EXPECT_TRUE((*keys)->Begin("a"));
}

}  // namespace
}  // namespace kvasir::testing_
