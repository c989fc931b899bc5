// Answers of a form that the client names, and calls of tools, as clients parse them. The model is
// a tiny one with random weights: what it writes is right only because nothing else can come.
#include <gmock/gmock.h>

#include <set>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr char kPath[] = "/v1/chat/completions";

Json Closed(Json properties) {
  Json required = Json::array();
  for (const auto& [name, unused] : properties.items()) required.push_back(name);
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

Json Tool(const std::string& name, Json properties) {
  return {{"type", "function"},
          {"function", {{"name", name}, {"parameters", Closed(std::move(properties))}}}};
}

Json Tools() {
  return Json::array(
      {Tool("weather", {{"city", {{"enum", {"Bergen", "Oslo"}}}}, {"now", {{"type", "boolean"}}}}),
       Tool("tide", {{"harbour", {{"enum", {"Stavanger", "Narvik"}}}}})});
}

Json ChatBody(uint64_t seed = 5) {
  return {{"messages", Json::array({{{"role", "user"}, {"content", "What is it like outside?"}}})},
          {"max_tokens", 500},
          {"seed", seed}};
}

void ExpectCall(const std::string& name, const std::string& arguments) {
  const Json json = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(json.is_object()) << arguments;
  if (name == "tide") {
    EXPECT_EQ(json.size(), 1u);
    EXPECT_THAT(json["harbour"].get<std::string>(), AnyOf("Stavanger", "Narvik"));
    return;
  }
  EXPECT_EQ(name, "weather");
  EXPECT_EQ(json.size(), 2u);
  EXPECT_THAT(json["city"].get<std::string>(), AnyOf("Bergen", "Oslo"));
  EXPECT_TRUE(json["now"].is_boolean());
}

class StructuredTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }
};

TEST_F(StructuredTest, AnAnswerHasTheSchemaThatIsAskedFor) {
  const Json schema =
      Closed({{"sure", {{"type", "boolean"}}}, {"colour", {{"enum", {"red", "green", "blue"}}}}});
  std::set<std::string> answers;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Json request = ChatBody(seed);
    request["response_format"] = {{"type", "json_schema"},
                                  {"json_schema", {{"name", "x"}, {"schema", schema}}}};
    request["ignore_eos"] = seed % 2 == 0;  // the end of the form is the end in any case
    const RawReply reply = Post(port(), kPath, request);
    ASSERT_EQ(reply.status, 200) << reply.body;
    const Json choice = reply.json()["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "stop");
    const std::string content = choice["message"]["content"];
    const Json json = Json::parse(content, nullptr, false);
    ASSERT_TRUE(json.is_object()) << content;
    EXPECT_TRUE(json["sure"].is_boolean());
    EXPECT_THAT(json["colour"].get<std::string>(), AnyOf("red", "green", "blue"));
    answers.insert(content);
    request["stream"] = true;
    std::string text;
    for (const std::string& event : Events(Post(port(), kPath, request).body)) {
      if (event == "[DONE]") continue;
      const Json delta = Json::parse(event)["choices"][0]["delta"];
      if (delta.contains("content")) text += delta["content"].get<std::string>();
    }
    EXPECT_EQ(text, content);
    request["stream"] = false;
    request["response_format"] = nullptr;
    request["json_schema"] = schema;  // llama-server's field
    EXPECT_EQ(Post(port(), kPath, request).json()["choices"][0]["message"]["content"], content);
  }
  EXPECT_GT(answers.size(), 1u);
}

TEST_F(StructuredTest, AnyObjectGrammarsAndResponses) {
  Json request = ChatBody();
  request["response_format"] = {{"type", "json_object"}};
  const Json any = Post(port(), kPath, request).json()["choices"][0];
  EXPECT_THAT(any["message"]["content"].get<std::string>(), testing::StartsWith("{"));
  request["response_format"] = {{"type", "text"}};
  request["grammar"] = R"(root ::= "ab" [0-9]{3})";
  request["n"] = 2;
  const Json both = Post(port(), kPath, request).json()["choices"];
  ASSERT_EQ(both.size(), 2u);
  for (const Json& choice : both) {
    EXPECT_THAT(choice["message"]["content"].get<std::string>(),
                testing::MatchesRegex("ab[0-9][0-9][0-9]"));
    EXPECT_EQ(choice["finish_reason"], "stop");
  }
  const Json response =
      Post(port(), "/v1/responses",
           {{"input", "Hello"},
            {"text",
             {{"format",
               {{"type", "json_schema"}, {"name", "x"}, {"schema", {{"enum", {"yes", "no"}}}}}}}}})
          .json();
  EXPECT_THAT(response["output"][0]["content"][0]["text"].get<std::string>(),
              AnyOf("\"yes\"", "\"no\""));
  EXPECT_EQ(response["status"], "completed");
}

TEST_F(StructuredTest, ACallThatIsRequiredComes) {
  std::set<std::string> names;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Json request = ChatBody(seed);
    request["tools"] = Tools();
    request["tool_choice"] = "required";
    request["temperature"] = 6;
    request["parallel_tool_calls"] = false;
    const RawReply reply = Post(port(), kPath, request);
    ASSERT_EQ(reply.status, 200) << reply.body;
    const Json choice = reply.json()["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    EXPECT_TRUE(choice["message"]["content"].is_null());
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u);
    const Json& call = choice["message"]["tool_calls"][0];
    EXPECT_EQ(call["type"], "function");
    EXPECT_THAT(call["id"].get<std::string>(), testing::StartsWith("call_"));
    const std::string name = call["function"]["name"], args = call["function"]["arguments"];
    ExpectCall(name, args);
    names.insert(name);

    request["stream"] = true;
    std::string streamed_name, streamed_args;
    Json finish;
    for (const std::string& event : Events(Post(port(), kPath, request).body)) {
      if (event == "[DONE]") continue;
      const Json part = Json::parse(event)["choices"][0];
      if (!part["finish_reason"].is_null()) finish = part["finish_reason"];
      for (const Json& piece : part["delta"].value("tool_calls", Json::array())) {
        EXPECT_EQ(piece["index"], 0);
        if (piece.contains("id")) streamed_name += piece["function"]["name"].get<std::string>();
        streamed_args += piece["function"]["arguments"].get<std::string>();
      }
    }
    EXPECT_EQ(finish, "tool_calls");
    EXPECT_EQ(streamed_name, name);
    EXPECT_EQ(streamed_args, args);
  }
  EXPECT_EQ(names.size(), 2u);
}

TEST_F(StructuredTest, OneFunctionMayBeNamedAndNoneMay) {
  Json request = ChatBody();
  request["tools"] = Tools();
  request["tool_choice"] = {{"type", "function"}, {"function", {{"name", "tide"}}}};
  const Json message = Post(port(), kPath, request).json()["choices"][0]["message"];
  ASSERT_EQ(message["tool_calls"].size(), 1u);
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "tide");
  // The answer and the result go back into the conversation.
  request["messages"].push_back(message);
  request["messages"].push_back(
      {{"role", "tool"}, {"tool_call_id", message["tool_calls"][0]["id"]}, {"content", "high"}});
  request["max_tokens"] = 5;
  request["tool_choice"] = "none";
  const RawReply next = Post(port(), kPath, request);
  ASSERT_EQ(next.status, 200) << next.body;
  EXPECT_FALSE(next.json()["choices"][0]["message"].contains("tool_calls"));
}

TEST_F(StructuredTest, MessagesCallAsAnthropicDoes) {
  Json tools = Json::array();
  for (const Json& tool : Tools()) {
    tools.push_back(
        {{"name", tool["function"]["name"]}, {"input_schema", tool["function"]["parameters"]}});
  }
  Json request = ChatBody();
  request["tools"] = tools;
  request["tool_choice"] = {{"type", "any"}, {"disable_parallel_tool_use", true}};
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    request["seed"] = seed;
    const Json once = Post(port(), "/v1/messages", request).json();
    EXPECT_EQ(once["content"].size(), 1u) << once;
  }
  request["tool_choice"] = {{"type", "tool"}, {"name", "weather"}};
  const Json json = Post(port(), "/v1/messages", request).json();
  EXPECT_EQ(json["stop_reason"], "tool_use");
  ASSERT_EQ(json["content"].size(), 1u) << json;
  const Json& block = json["content"][0];
  EXPECT_EQ(block["type"], "tool_use");
  ExpectCall(block["name"], block["input"].dump());

  request["stream"] = true;
  std::string input, stop;
  int n_open = 0;
  for (const std::string& event : Events(Post(port(), "/v1/messages", request).body)) {
    const Json data = Json::parse(event);
    if (data["type"] == "content_block_start") {
      ++n_open;
      EXPECT_EQ(data["content_block"]["type"], "tool_use");
      EXPECT_EQ(data["content_block"]["name"], "weather");
    }
    if (data["type"] == "content_block_delta") {
      EXPECT_EQ(data["delta"]["type"], "input_json_delta");
      input += data["delta"]["partial_json"].get<std::string>();
    }
    if (data["type"] == "message_delta") stop = data["delta"]["stop_reason"];
  }
  EXPECT_EQ(n_open, 1);
  EXPECT_EQ(stop, "tool_use");
  EXPECT_EQ(Json::parse(input), block["input"]);
}

TEST_F(StructuredTest, ResponsesCallFunctions) {
  Json tools = Json::array();
  for (const Json& tool : Tools()) {
    tools.push_back({{"type", "function"}});
    tools.back().update(tool["function"]);
  }
  Json request = {{"input", "What is it like outside?"},
                  {"seed", 5},
                  {"tools", tools},
                  {"tool_choice", "required"},
                  {"parallel_tool_calls", false},
                  {"max_output_tokens", 500}};
  const RawReply reply = Post(port(), "/v1/responses", request);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json json = reply.json();
  EXPECT_EQ(json["status"], "completed");
  EXPECT_EQ(json["tools"], tools);
  ASSERT_EQ(json["output"].size(), 1u) << json;
  const Json& call = json["output"][0];
  EXPECT_EQ(call["type"], "function_call");
  EXPECT_EQ(call["status"], "completed");
  ExpectCall(call["name"], call["arguments"]);

  request["stream"] = true;
  std::string arguments;
  std::vector<std::string> names;
  Json last;
  for (const std::string& event : Events(Post(port(), "/v1/responses", request).body)) {
    last = Json::parse(event);
    const std::string type = last["type"];
    if (names.empty() || names.back() != type) names.push_back(type);
    if (type == "response.function_call_arguments.delta") {
      arguments += last["delta"].get<std::string>();
      EXPECT_EQ(last["output_index"], 0);
    }
  }
  EXPECT_THAT(names, testing::ElementsAre("response.created", "response.in_progress",
                                          "response.output_item.added",
                                          "response.function_call_arguments.delta",
                                          "response.function_call_arguments.done",
                                          "response.output_item.done", "response.completed"));
  EXPECT_EQ(arguments, call["arguments"].get<std::string>());
  EXPECT_EQ(last["response"]["output"][0]["arguments"], arguments);

  // The call and its result go back as items; the chat that is meant is the same.
  request["input"] =
      Json::array({{{"role", "user"}, {"content", "What is it like outside?"}},
                   {{"type", "reasoning"}, {"summary", Json::array()}},
                   {{"type", "function_call"},
                    {"call_id", "c1"},
                    {"name", "tide"},
                    {"arguments", R"({"harbour": "Narvik"})"}},
                   {{"type", "function_call_output"}, {"call_id", "c1"}, {"output", "high"}}});
  request["stream"] = false;
  request["tool_choice"] = "none";
  request["max_output_tokens"] = 5;
  const Json next = Post(port(), "/v1/responses", request).json();
  ASSERT_EQ(next["output"].size(), 1u) << next;
  EXPECT_EQ(next["output"][0]["type"], "message");
  Json chat = ChatBody();
  chat["messages"].push_back(Json::parse(R"({"role": "assistant", "content": null, "tool_calls":
      [{"id": "c1", "type": "function", "function": {"name": "tide",
        "arguments": "{\"harbour\": \"Narvik\"}"}}]})"));
  chat["messages"].push_back({{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "high"}});
  EXPECT_EQ(next["usage"]["input_tokens"],
            Post(port(), "/v1/chat/completions/input_tokens", chat).json()["input_tokens"]);
  const auto fails = [&](const char* fields) {
    Json wrong = request;
    wrong.update(Json::parse(fields));
    const RawReply refused = Post(port(), "/v1/responses", wrong);
    EXPECT_EQ(refused.status, 400) << fields << refused.body;
    return refused.json()["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(fails(R"({"tools":[{"type":"web_search"}]})"), HasSubstr("tools[0]"));
  EXPECT_THAT(fails(R"({"input":[{"type":"item_reference","id":"x"}]})"),
              HasSubstr("item_reference"));
  EXPECT_THAT(fails(R"({"input":[{"type":"function_call","name":"f"}]})"), HasSubstr("call_id"));
  EXPECT_THAT(fails(R"({"background":true})"), HasSubstr("background"));
  EXPECT_THAT(fails(R"({"conversation":"c"})"), HasSubstr("stored"));
}

// White space between calls is of their form and no text: whole answers and streams agree.
TEST_F(StructuredTest, WhatIsAroundCallsIsNoContent) {
  Json request = ChatBody();
  request["tools"] = Tools();
  request["grammar"] = R"(root ::= "Well.\n\n" call "\n" call "\n"
      call ::= "<tool_call>\n{\"name\": \"tide\", \"arguments\": {}}\n</tool_call>")";
  const Json message = Post(port(), kPath, request).json()["choices"][0]["message"];
  EXPECT_EQ(message["content"], "Well.");
  EXPECT_EQ(message["tool_calls"].size(), 2u);
  request["stream"] = true;
  std::string text;
  for (const std::string& event : Events(Post(port(), kPath, request).body)) {
    if (event == "[DONE]") continue;
    text += Json::parse(event)["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, "Well.");
  // An answer without calls is as the model wrote it.
  request["stream"] = false;
  request["grammar"] = R"(root ::= "a  \n b \n")";
  EXPECT_EQ(Post(port(), kPath, request).json()["choices"][0]["message"]["content"], "a  \n b \n");
}

TEST_F(StructuredTest, PlainCompletionsHaveAFormToo) {
  Json request = {{"prompt", Json::array({"One", "Two"})}, {"max_tokens", 60}, {"seed", 1}};
  request["grammar"] = R"(root ::= "ab" [0-9]{3})";
  const Json choices = Post(port(), "/v1/completions", request).json()["choices"];
  ASSERT_EQ(choices.size(), 2u);
  for (const Json& choice : choices) {
    EXPECT_THAT(choice["text"].get<std::string>(), testing::MatchesRegex("ab[0-9][0-9][0-9]"));
    EXPECT_EQ(choice["finish_reason"], "stop");
  }
  request.erase("grammar");
  for (const char* form : {R"({"json_schema":{"enum":["yes","no"]}})",
                           R"({"response_format":{"type":"json_schema",
                               "json_schema":{"schema":{"enum":["yes","no"]}}}})"}) {
    Json formed = request;
    formed.update(Json::parse(form));
    EXPECT_THAT(
        Post(port(), "/v1/completions", formed).json()["choices"][0]["text"].get<std::string>(),
        AnyOf("\"yes\"", "\"no\""));
  }
  // What cannot be held to is no wish here.
  request["json_schema"] = {{"type", "array"}, {"uniqueItems", true}};
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
  request.erase("json_schema");
  request["grammar"] = "root ::= nothing";
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
}

TEST_F(StructuredTest, WhatCannotBeIsSaid) {
  const auto error = [&](const char* fields) {
    Json request = ChatBody();
    request.update(Json::parse(fields));
    const RawReply reply = Post(port(), kPath, request);
    EXPECT_EQ(reply.status, 400) << fields << reply.body;
    return reply.json()["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(error(R"({"response_format":{"type":"xml"}})"), HasSubstr("json_schema"));
  EXPECT_THAT(error(R"({"response_format":{"type":"json_schema"}})"), HasSubstr("schema"));
  EXPECT_THAT(error(R"({"response_format":{"type":"json_schema","json_schema":{"strict":true,
              "schema":{"uniqueItems":true}}}})"),
              HasSubstr("uniqueItems"));
  EXPECT_THAT(error(R"({"response_format":7})"), HasSubstr("response_format"));
  EXPECT_THAT(error(R"({"grammar":"root ::= nothing"})"), HasSubstr("nothing"));
  EXPECT_THAT(error(R"({"tool_choice":"required"})"), HasSubstr("no tools"));
  EXPECT_THAT(error(R"({"tool_choice":"perhaps"})"), HasSubstr("tool_choice"));
  const char* const tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_THAT(error(fmt::format(R"({{{},"tool_choice":{{"type":"function",
              "function":{{"name":"g"}}}}}})",
                                tools)
                        .c_str()),
              HasSubstr("'g'"));
  EXPECT_THAT(error(fmt::format(R"({{{},"tool_choice":"required",
              "grammar":"root ::= \"a\""}})",
                                tools)
                        .c_str()),
              HasSubstr("both"));
}

}  // namespace
}  // namespace kvasir::testing_
