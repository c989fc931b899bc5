// The other forms: Anthropic's messages, OpenAI's responses, embeddings.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Names and data of all events.
std::vector<std::pair<std::string, Json>> NamedEvents(std::string_view body) {
  std::vector<std::pair<std::string, Json>> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    const std::string_view event = body.substr(0, end);
    body.remove_prefix(end + 2);
    const size_t data = event.find("\ndata: ");
    events.emplace_back(event.substr(7, data - 7), Json::parse(event.substr(data + 7)));
    EXPECT_EQ(events.back().second["type"], events.back().first);
  }
  return events;
}

class DialectsTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }
};

Json AnthropicRequest() {
  return {{"model", "claude-something"},
          {"max_tokens", 12},
          {"system", Json::array({{{"type", "text"},
                                   {"text", "Be brief."},
                                   {"cache_control", {{"type", "ephemeral"}}}}})},
          {"messages",
           Json::array({{{"role", "user"}, {"content", "Hello there"}},
                        {{"role", "assistant"}, {"content", "Hi."}},
                        {{"role", "user"},
                         {"content", Json::array({{{"type", "text"}, {"text", "Go on."}}})}}})},
          {"temperature", 0},
          {"seed", 3}};
}

TEST_F(DialectsTest, MessagesAnswerAsAnthropicDoes) {
  const Json chat = {{"messages", Json::array({{{"role", "system"}, {"content", "Be brief."}},
                                               {{"role", "user"}, {"content", "Hello there"}},
                                               {{"role", "assistant"}, {"content", "Hi."}},
                                               {{"role", "user"}, {"content", "Go on."}}})},
                     {"max_tokens", 12},
                     {"temperature", 0}};
  const Json expected = Post(port(), "/v1/chat/completions", chat).json();
  const RawReply reply = Post(port(), "/v1/messages", AnthropicRequest());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json json = reply.json();
  EXPECT_EQ(json["type"], "message");
  EXPECT_EQ(json["role"], "assistant");
  EXPECT_EQ(json["model"], "claude-something");
  ASSERT_EQ(json["content"].size(), 1u);
  EXPECT_EQ(json["content"][0]["type"], "text");
  EXPECT_EQ(json["content"][0]["text"], expected["choices"][0]["message"]["content"]);
  const int n_prompt = expected["usage"]["prompt_tokens"];
  EXPECT_EQ(json["usage"]["input_tokens"].get<int>() +
                json["usage"]["cache_read_input_tokens"].get<int>(),
            n_prompt);
  EXPECT_EQ(json["usage"]["output_tokens"], expected["usage"]["completion_tokens"]);
  EXPECT_EQ(json["stop_reason"],
            expected["choices"][0]["finish_reason"] == "length" ? "max_tokens" : "end_turn");
  EXPECT_EQ(Post(port(), "/v1/messages/count_tokens", AnthropicRequest()).json()["input_tokens"],
            n_prompt);
}

// Clients show it while the answer comes.
TEST_F(DialectsTest, AStreamOfMessagesBeginsWithTheCountOfThePrompt) {
  Json request = AnthropicRequest();
  const int n = Post(port(), "/v1/messages/count_tokens", request).json()["input_tokens"];
  request["stream"] = true;
  const auto events = NamedEvents(Post(port(), "/v1/messages", request).body);
  EXPECT_EQ(events[0].first, "message_start");
  EXPECT_EQ(events[0].second["message"]["usage"]["input_tokens"], n);
}

TEST_F(DialectsTest, MessagesStreamInAnthropicsOrder) {
  Json request = AnthropicRequest();
  const std::string whole = Post(port(), "/v1/messages", request).json()["content"][0]["text"];
  request["stream"] = true;
  const RawReply reply = Post(port(), "/v1/messages", request);
  std::vector<std::string> names;
  std::string text;
  for (const auto& [name, data] : NamedEvents(reply.body)) {
    if (names.empty() || names.back() != name) names.push_back(name);
    if (name == "content_block_delta") text += data["delta"]["text"].get<std::string>();
    if (name == "message_delta") {
      EXPECT_GT(data["usage"]["output_tokens"], 0);
    }
  }
  EXPECT_THAT(names,
              ElementsAre("message_start", "content_block_start", "ping", "content_block_delta",
                          "content_block_stop", "message_delta", "message_stop"));
  EXPECT_EQ(text, whole);
}

TEST_F(DialectsTest, MessagesThatAreWrongGetAnthropicsErrors) {
  for (const char* body :
       {R"({"max_tokens":5})", R"({"messages":[{"role":"user","content":"a"}]})",
        R"({"max_tokens":5,"messages":[{"role":"system","content":"a"}]})",
        R"({"max_tokens":5,"messages":[{"role":"user","content":[{"type":"image"}]}]})",
        R"({"max_tokens":5,"messages":[7]})",
        R"({"max_tokens":5,"messages":[{"role":"user","content":"a"}],
            "tools":[{"type":"web_search_20250305","name":"web_search"}]})",
        R"({"max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":"f"})",
        R"({"max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f"}],
            "tool_choice":{"type":"sometimes"}})",
        R"({"max_tokens":5,"messages":[{"role":"user","content":"a"}],
            "tool_choice":{"type":"any"}})"}) {
    const RawReply reply = Exchange(port(), PostText("/v1/messages", body));
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(reply.json()["type"], "error") << reply.body;
    EXPECT_EQ(reply.json()["error"]["type"], "invalid_request_error");
  }
}

// Also those that come before the request is read.
TEST_F(DialectsTest, MessagesOfAnUnknownKeyGetAnthropicsErrors) {
  const std::string keys = testing::TempDir() + "/dialects_keys";
  std::ofstream(keys) << "a-key-of-someone\n";
  server::ServerOptions options;
  options.api_key_file = keys;
  Start(options);
  const Json refused = Post(port(), "/v1/messages", AnthropicRequest()).json();
  EXPECT_EQ(refused["type"], "error");
  EXPECT_EQ(refused["error"]["type"], "authentication_error");
  EXPECT_EQ(
      Post(port(), "/v1/messages", AnthropicRequest(), "X-Api-Key: a-key-of-someone\r\n").status,
      200);
}

TEST_F(DialectsTest, MessagesHaveTheSchemaThatIsAskedFor) {
  Json request = AnthropicRequest();
  request["max_tokens"] = 50;
  request["output_config"] = {
      {"format", {{"type", "json_schema"}, {"schema", {{"enum", {"yes", "no"}}}}}}};
  const Json json = Post(port(), "/v1/messages", request).json();
  EXPECT_THAT(json["content"][0]["text"].get<std::string>(), AnyOf("\"yes\"", "\"no\""));
  request["output_config"] = 5;
  EXPECT_EQ(Post(port(), "/v1/messages", request).status, 400);
}

TEST_F(DialectsTest, ResponsesAnswerAndStream) {
  Json request = {{"model", "m"},
                  {"input", "Tell me a story."},
                  {"instructions", "Be brief."},
                  {"max_output_tokens", 16},
                  {"temperature", 0}};
  const Json json = Post(port(), "/v1/responses", request).json();
  EXPECT_EQ(json["object"], "response");
  ASSERT_EQ(json["output"].size(), 1u) << json;
  EXPECT_EQ(json["output"][0]["content"][0]["type"], "output_text");
  const std::string whole = json["output"][0]["content"][0]["text"];
  EXPECT_EQ(json["usage"]["total_tokens"],
            json["usage"]["input_tokens"].get<int>() + json["usage"]["output_tokens"].get<int>());
  request["input"] = Json::array(
      {{{"role", "user"},
        {"content", Json::array({{{"type", "input_text"}, {"text", "Tell me a story."}}})}}});
  EXPECT_EQ(Post(port(), "/v1/responses", request).json()["output"][0]["content"][0]["text"],
            whole);
  request["stream"] = true;
  std::vector<std::string> names;
  std::string text;
  int number = 0;
  for (const auto& [name, data] : NamedEvents(Post(port(), "/v1/responses", request).body)) {
    EXPECT_EQ(data["sequence_number"], number++);
    if (names.empty() || names.back() != name) names.push_back(name);
    if (name == "response.output_text.delta") text += data["delta"].get<std::string>();
  }
  EXPECT_EQ(text, whole);
  EXPECT_EQ(names.front(), "response.created");
  EXPECT_THAT(names.back(), HasSubstr("response."));
  EXPECT_THAT(names,
              testing::IsSupersetOf({"response.output_item.added", "response.content_part.done",
                                     "response.output_item.done"}));
  request["previous_response_id"] = "resp_1";
  EXPECT_EQ(Post(port(), "/v1/responses", request).status, 400);
}

// Each way of asking, whole and streamed; the tokens are those that a chat tells.
TEST_F(DialectsTest, ResponsesHaveTheLogprobsThatAreAskedFor) {
  const Json request = {
      {"input", "Tell me a story."}, {"max_output_tokens", 12}, {"temperature", 0}, {"seed", 3}};
  const Json chat = {
      {"messages", Json::array({{{"role", "user"}, {"content", "Tell me a story."}}})},
      {"max_tokens", 12},
      {"temperature", 0},
      {"logprobs", true},
      {"top_logprobs", 2}};
  const Json expected =
      Post(port(), "/v1/chat/completions", chat).json()["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(expected.size(), 12u);
  const auto ask = [&](const Json& fields) {
    Json body = request;
    body.update(fields);
    return Post(port(), "/v1/responses", body);
  };
  const auto told = [](const Json& response) {
    return response["output"][0]["content"][0]["logprobs"];
  };
  EXPECT_EQ(told(ask({{"top_logprobs", 2}}).json()), expected);
  EXPECT_EQ(told(ask({{"top_logprobs", 2}, {"logprobs", true}}).json()), expected);
  for (const Json& fields : {Json{{"include", Json::array({"message.output_text.logprobs"})}},
                             Json{{"logprobs", true}}}) {
    const Json logprobs = told(ask(fields).json());
    ASSERT_EQ(logprobs.size(), 12u) << fields;
    EXPECT_EQ(logprobs[0]["logprob"], expected[0]["logprob"]);
    EXPECT_TRUE(logprobs[0]["top_logprobs"].empty());
  }
  for (const Json& fields :
       {Json::object(), Json{{"include", Json::array({"reasoning.encrypted_content"})}},
        Json{{"top_logprobs", 0}}, Json{{"logprobs", false}, {"include", nullptr}}}) {
    EXPECT_EQ(told(ask(fields).json()), Json::array()) << fields;
  }
  Json pieces = Json::array();
  for (const auto& [name, data] : NamedEvents(ask({{"top_logprobs", 2}, {"stream", true}}).body)) {
    if (name == "response.output_text.delta") {
      pieces.insert(pieces.end(), data["logprobs"].begin(), data["logprobs"].end());
    } else if (name == "response.output_text.done") {
      EXPECT_EQ(data["logprobs"], expected);
    } else if (name == "response.completed" || name == "response.incomplete") {
      EXPECT_EQ(told(data["response"]), expected);
      EXPECT_EQ(data["response"]["top_logprobs"], 2);
    }
  }
  EXPECT_EQ(pieces, expected);
}

TEST_F(DialectsTest, ResponsesRefuseLogprobsThatTheyCannotTell) {
  const Json tools = Json::array({{{"type", "function"}, {"name", "f"}}});
  const std::pair<Json, const char*> cases[] = {
      {{{"top_logprobs", 21}}, "top_logprobs"},
      {{{"top_logprobs", "5"}}, "top_logprobs"},
      {{{"logprobs", 5}}, "logprobs"},
      {{{"include", "message.output_text.logprobs"}}, "include"},
      {{{"top_logprobs", 1}, {"tools", tools}}, "top_logprobs"},
      {{{"logprobs", true}, {"tools", tools}}, "logprobs"},
      {{{"include", Json::array({"message.output_text.logprobs"})}, {"tools", tools}}, "include"},
  };
  for (const auto& [fields, name] : cases) {
    Json body = {{"input", "Hello"}, {"max_output_tokens", 2}};
    body.update(fields);
    const RawReply reply = Post(port(), "/v1/responses", body);
    EXPECT_EQ(reply.status, 400) << fields;
    EXPECT_EQ(reply.json()["error"]["param"], name) << fields;
  }
}

TEST_F(DialectsTest, EmbeddingsComeAsNumbersOrBase64) {
  const Json texts = {{"input", Json::array({"Rivers and hills", "Rivers and hills", "Other"})}};
  const Json json = Post(port(), "/v1/embeddings", texts).json();
  ASSERT_EQ(json["data"].size(), 3u) << json;
  const auto a = json["data"][0]["embedding"].get<std::vector<float>>();
  EXPECT_EQ(a.size(), 128u);
  double length = 0;
  for (const float x : a) length += double{x} * x;
  EXPECT_NEAR(length, 1, 1e-5);
  EXPECT_EQ(json["data"][0]["embedding"], json["data"][1]["embedding"]);
  EXPECT_NE(json["data"][0]["embedding"], json["data"][2]["embedding"]);
  EXPECT_EQ(json["data"][2]["index"], 2);
  EXPECT_GT(json["usage"]["prompt_tokens"], 0);

  Json request = {{"input", model_->Tokenize("Rivers and hills", true)},
                  {"encoding_format", "base64"},
                  {"dimensions", 1}};
  const std::string text = Post(port(), "/v1/embeddings", request).json()["data"][0]["embedding"];
  // Of one dimension what is left is its sign: 1.0f or -1.0f, little-endian.
  EXPECT_EQ(text, a[0] > 0 ? "AACAPw==" : "AACAvw==");
  request["dimensions"] = 1000;
  EXPECT_EQ(Post(port(), "/v1/embeddings", request).status, 400);
  EXPECT_EQ(Post(port(), "/v1/embeddings", {{"input", ""}}).status, 400);
  server_->engine().Between(
      [](Scheduler& scheduler) { EXPECT_EQ(scheduler.pool().used_bytes(), 0); });
}

// A long text is read in pieces; how they are cut changes nothing.
TEST_F(DialectsTest, EmbeddingsOfLongTextsDoNotDependOnTheStep) {
  const Json request = {{"input", std::vector<int>(700, 60)}};
  const Json a = Post(port(), "/v1/embeddings", request).json()["data"];
  server::ServerOptions options;
  options.batch.step_rows = 64;
  Start(options);
  EXPECT_EQ(Post(port(), "/v1/embeddings", request).json()["data"], a);
}

}  // namespace
}  // namespace kvasir::testing_
