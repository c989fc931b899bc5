// Calls beside forms, calls that are cut off, and what of tools' schemas need not be held to. What
// the model writes comes from grammars, as its weights are random.
#include <gmock/gmock.h>

#include "server/structured.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

class ToolFormsTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }

  // A chat with the tools f (a name and an age) and g (nothing), and these fields.
  static Json With(const char* fields) {
    Json request = Json::parse(R"({
        "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 300, "seed": 1,
        "tools": [
          {"type": "function", "function": {"name": "f", "parameters": {"type": "object",
            "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["age"]}}},
          {"type": "function", "function": {"name": "g", "parameters": {"type": "object",
            "properties": {}, "additionalProperties": false}}}]})");
    request.update(Json::parse(fields));
    return request;
  }
  Json Answer(const Json& request) {
    const RawReply reply = Post(port(), "/v1/chat/completions", request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200 ? reply.json()["choices"][0] : Json();
  }
  Json KvOf(const Json& request) {
    const RawReply reply = Post(port(), "/v1/chat/completions", request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200 ? reply.json()["kv"] : Json();
  }
  std::string ErrorOf(const char* path, const Json& request) {
    const RawReply reply = Post(port(), path, request);
    EXPECT_EQ(reply.status, 400) << request << reply.body;
    return reply.json()["error"]["message"].get<std::string>();
  }
  std::string StreamedText(Json request) {
    request["stream"] = true;
    std::string text;
    for (const std::string& event : Events(Post(port(), "/v1/chat/completions", request).body)) {
      if (event == "[DONE]") continue;
      text += Json::parse(event)["choices"][0]["delta"].value("content", "");
    }
    return text;
  }
};

// The schema's own text looks like a call of f in plain JSON.
constexpr char kCallLike[] = R"({"response_format": {"type": "json_schema", "json_schema": {
    "name": "x", "schema": {"type": "object", "properties": {"name": {"enum": ["f"]},
      "age": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["name", "age"]}}}})";

TEST_F(ToolFormsTest, BesideAFormTheAnswerIsTheFormOrACall) {
  int n_calls = 0, n_texts = 0;
  Json request = With(kCallLike);
  request["temperature"] = 3;
  request["parallel_tool_calls"] = false;
  for (int seed = 1; seed <= 16; ++seed) {
    request["seed"] = seed;
    const Json choice = Answer(request);
    const Json& message = choice["message"];
    if (message.contains("tool_calls")) {
      ++n_calls;
      EXPECT_TRUE(message["content"].is_null());
      EXPECT_EQ(choice["finish_reason"], "tool_calls");
      ASSERT_EQ(message["tool_calls"].size(), 1u);
      const Json& function = message["tool_calls"][0]["function"];
      const Json arguments = Json::parse(function["arguments"].get<std::string>());
      EXPECT_EQ(arguments.contains("age"), function["name"] == "f");
    } else {
      ++n_texts;
      EXPECT_EQ(choice["finish_reason"], "stop");
      const Json json = Json::parse(message["content"].get<std::string>());
      EXPECT_EQ(json["name"], "f");
      EXPECT_GE(json["age"], 1);
      EXPECT_EQ(StreamedText(request), message["content"].get<std::string>());
    }
  }
  EXPECT_GT(n_calls, 0);
  EXPECT_GT(n_texts, 0);
}

TEST_F(ToolFormsTest, ARequiredCallGoesBeforeAForm) {
  Json request = With(kCallLike);
  for (const char* choice :
       {R"("required")", R"("any")", R"({"type": "function", "function": {"name": "g"}})",
        R"({"type": "function", "name": "g"})"}) {
    request["tool_choice"] = Json::parse(choice);
    const Json answer = Answer(request);
    EXPECT_EQ(answer["finish_reason"], "tool_calls") << choice;
    if (request["tool_choice"].is_object()) {
      EXPECT_EQ(answer["message"]["tool_calls"][0]["function"]["name"], "g");
    }
  }
  request["grammar"] = R"(root ::= "a")";
  EXPECT_THAT(ErrorOf("/v1/chat/completions", request), HasSubstr("both"));
}

TEST_F(ToolFormsTest, AllowedToolsAreAllThereIs) {
  Json request = With(R"({"tool_choice": {"type": "allowed_tools", "allowed_tools": {
      "mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}}})");
  EXPECT_EQ(Answer(request)["message"]["tool_calls"][0]["function"]["name"], "g");
  // As a response has it, where the model may also say something.
  request["tool_choice"] = Json::parse(R"({"type": "allowed_tools", "mode": "auto",
      "tools": [{"type": "function", "name": "g"}]})");
  request["grammar"] = R"(root ::= "{\"name\": \"f\", \"parameters\": {}}")";
  EXPECT_FALSE(Answer(request)["message"].contains("tool_calls"));
  request["tool_choice"]["tools"][0]["name"] = "h";
  EXPECT_THAT(ErrorOf("/v1/chat/completions", request), HasSubstr("'h'"));
  request["tool_choice"]["tools"] = nullptr;
  EXPECT_THAT(ErrorOf("/v1/chat/completions", request), HasSubstr("allowed_tools"));
}

TEST_F(ToolFormsTest, WithoutParallelCallsThereIsOne) {
  Json request = With("{}");
  request["grammar"] = R"(root ::= call "\n" call
      call ::= "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>")";
  EXPECT_EQ(Answer(request)["message"]["tool_calls"].size(), 2u);
  request["parallel_tool_calls"] = false;
  const Json answer = Answer(request);
  EXPECT_EQ(answer["message"]["tool_calls"].size(), 1u);
  EXPECT_TRUE(answer["message"]["content"].is_null());
  EXPECT_EQ(StreamedText(request), "");
}

TEST_F(ToolFormsTest, WithoutParallelCallsTheAnswerEndsWithTheFirst) {
  const auto end_of = [&](const std::string& text, const server::AnswerOptions& options) {
    const auto constraint = server::EndWithCalls(*model_, options)->Copy();
    std::string read;
    for (const int32_t id : model_->Tokenize(text, false)) {
      std::vector<float> logits = {1, 2};
      EXPECT_TRUE(constraint->Mask(logits));
      EXPECT_THAT(logits, ElementsAre(1, 2));
      EXPECT_TRUE(constraint->Accept(id));
      read += model_->tokenizer().Piece(id);
      if (constraint->finished()) return read;
    }
    return std::string("goes on");
  };
  const std::string call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
  const server::AnswerOptions one = {.tools = {"f"}, .parallel_calls = false};
  EXPECT_THAT(end_of("Well.\n" + call + call, one), EndsWith("{}}"));
  EXPECT_EQ(end_of("Well, <b> {} {\"name\": \"f\"}", one), "goes on");
  EXPECT_EQ(end_of("<think>" + call + "</think>Well.", one), "goes on");  // only thought of
  EXPECT_EQ(end_of(call + call, {.tools = {"f"}}), "goes on");
  // Nothing else about an answer changes.
  Json request = With(R"({"temperature": 0, "max_tokens": 20})");
  const Json many = Answer(request);
  request["parallel_tool_calls"] = false;
  EXPECT_EQ(Answer(request), many);
}

TEST_F(ToolFormsTest, CutOffCallsAreNoContent) {
  Json request = With(R"({"tool_choice": "required", "temperature": 2, "seed": 2})");
  int n_cut = 0;
  for (int n = 11; n <= 60; ++n) {  // from the end of the first tag
    request["max_tokens"] = n;
    const Json choice = Answer(request);
    const Json content = choice["message"]["content"];
    EXPECT_TRUE(content.is_null() || content == "") << choice;
    n_cut += choice["finish_reason"] == "length";
    EXPECT_EQ(StreamedText(request), "");
  }
  EXPECT_GT(n_cut, 10);
}

TEST_F(ToolFormsTest, AStopTextInACallIsNoCallToMake) {
  Json request = With(R"({"stop": ["age"]})");
  request["grammar"] = R"(root ::= "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"age\": 1}}")";
  EXPECT_EQ(Answer(request)["finish_reason"], "stop");
  request["stream"] = true;
  Json finish;
  for (const std::string& event : Events(Post(port(), "/v1/chat/completions", request).body)) {
    if (event == "[DONE]") continue;
    const Json choice = Json::parse(event)["choices"][0];
    if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
  }
  EXPECT_EQ(finish, "stop");
  request["stream"] = false;
  request.erase("stop");
  EXPECT_EQ(Answer(request)["finish_reason"], "tool_calls");
}

TEST_F(ToolFormsTest, SchemasAreHeldToAsFarAsTheyCanBeUnlessStrict) {
  Json request = With(R"({"tool_choice": "required"})");
  Json& function = request["tools"][0]["function"];
  // A set and an HttpUrl of Pydantic's.
  function["parameters"]["properties"] = Json::parse(R"({
      "tags": {"type": "array", "items": {"enum": ["a"]}, "uniqueItems": true, "maxItems": 1},
      "link": {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083}})");
  function["parameters"]["required"] = Json::array();
  EXPECT_THAT(KvOf(request)["warnings"],
              ElementsAre(HasSubstr("'uniqueItems'"), HasSubstr("'minLength'")));
  function["strict"] = true;
  EXPECT_THAT(ErrorOf("/v1/chat/completions", request), HasSubstr("uniqueItems"));
  request["tool_choice"] = "auto";
  EXPECT_THAT(KvOf(request)["warnings"], IsEmpty());

  Json formed = With(R"({"tools": null, "response_format": {"type": "json_schema",
      "json_schema": {"name": "x", "schema": {"enum": ["yes", "no"], "minLength": 2}}}})");
  EXPECT_THAT(KvOf(formed)["warnings"], ElementsAre(HasSubstr("response_format")));
  formed["response_format"]["json_schema"]["strict"] = true;
  EXPECT_THAT(ErrorOf("/v1/chat/completions", formed), HasSubstr("minLength"));
  // No schema: any object.
  formed["response_format"]["json_schema"].erase("schema");
  EXPECT_THAT(Answer(formed)["message"]["content"].get<std::string>(), testing::StartsWith("{"));
}

TEST_F(ToolFormsTest, ErrorsNameTheFieldThatWasSent) {
  const auto response = [&](const char* fields) {
    Json request = {{"input", "Hello"}};
    request.update(Json::parse(fields));
    return ErrorOf("/v1/responses", request);
  };
  EXPECT_THAT(response(R"({"max_output_tokens": "a"})"), HasSubstr("'max_output_tokens'"));
  EXPECT_THAT(response(R"({"text": {"format": {"type": "xml"}}})"), HasSubstr("'text.format'"));
  EXPECT_THAT(response(R"({"text": {"format": {"type": "json_schema", "name": "x", "strict": true,
                           "schema": {"not": {}}}}})"),
              HasSubstr("'text.format.schema'"));
  Json message = With(R"({"tools": null, "stop_sequences": 7})");
  EXPECT_THAT(ErrorOf("/v1/messages", message), HasSubstr("'stop_sequences'"));
}

}  // namespace
}  // namespace kvasir::testing_
