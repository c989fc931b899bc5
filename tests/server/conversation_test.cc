// What becomes of messages in the prompt: texts that the answer goes on from, tools where the
// template has no place for them, and the shapes that clients send.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ConversationTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }

  std::string Prompt(const Json& body) {
    const RawReply reply = Post(port(), "/apply-template", body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200 ? reply.json()["prompt"].get<std::string>() : "";
  }
  std::string Prompt(const char* body) { return Prompt(Json::parse(body)); }
};

constexpr char kPrefilled[] = R"({"messages": [{"role": "user", "content": "Which colour?"},
    {"role": "assistant", "content": "My favourite colour is"}]})";

TEST_F(ConversationTest, TheAnswerGoesOnFromAnAssistantsText) {
  const std::string open =
      "<|im_start|>user\nWhich colour?<|im_end|>\n<|im_start|>assistant\nMy favourite colour is";
  EXPECT_EQ(Prompt(kPrefilled), open);
  Json request = Json::parse(kPrefilled);
  request["continue_final_message"] = true;
  EXPECT_EQ(Prompt(request), open);
  request["add_generation_prompt"] = false;  // vLLM's way to ask for it
  EXPECT_EQ(Prompt(request), open);
  // Blanks at the end are the client's.
  request["messages"][1]["content"] = "It is ";
  EXPECT_THAT(Prompt(request), EndsWith("It is "));

  // The answer is what a plain completion of that text is, and only what is new of it.
  const Json plain = {{"prompt", open}, {"max_tokens", 8}, {"temperature", 0}};
  const Json expected = Post(port(), "/v1/completions", plain).json();
  Json chat = Json::parse(kPrefilled);
  chat.update({{"max_tokens", 8}, {"temperature", 0}});
  const Json answer = Post(port(), "/v1/chat/completions", chat).json();
  EXPECT_EQ(answer["choices"][0]["message"]["content"], expected["choices"][0]["text"]);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], expected["usage"]["prompt_tokens"]);
  const Json message = Post(port(), "/v1/messages", chat).json();
  EXPECT_EQ(message["content"][0]["text"], expected["choices"][0]["text"]);
}

TEST_F(ConversationTest, ATurnThatIsClosedStaysClosed) {
  Json request = Json::parse(kPrefilled);
  request["continue_final_message"] = false;
  EXPECT_THAT(Prompt(request), EndsWith("colour is<|im_end|>\n<|im_start|>assistant\n"));
  request.erase("continue_final_message");
  request["add_generation_prompt"] = true;
  EXPECT_THAT(Prompt(request), EndsWith("colour is<|im_end|>\n<|im_start|>assistant\n"));
  request["add_generation_prompt"] = false;
  EXPECT_THAT(Prompt(request), EndsWith("colour is<|im_end|>\n"));
  // A response follows all of its items.
  Json items = {{"input", request["messages"]}};
  EXPECT_EQ(Post(port(), "/v1/responses/input_tokens", items).json()["input_tokens"],
            Post(port(), "/tokenize",
                 {{"messages", request["messages"]}, {"add_generation_prompt", true}})
                .json()["count"]);
}

TEST_F(ConversationTest, ThereMustBeATextToGoOnFrom) {
  const auto refused = [&](const char* body) {
    const RawReply reply = Post(port(), "/apply-template", Json::parse(body));
    EXPECT_EQ(reply.status, 400) << body;
    return reply.json()["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(refused(R"({"continue_final_message": true,
                          "messages": [{"role": "user", "content": "a"}]})"),
              HasSubstr("continue_final_message"));
  EXPECT_THAT(refused(R"({"continue_final_message": true, "add_generation_prompt": true,
                          "messages": [{"role": "assistant", "content": "a"}]})"),
              HasSubstr("add_generation_prompt"));
  StartWith("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}");
  EXPECT_THAT(refused(kPrefilled), HasSubstr("template"));
}

constexpr char kToolTalk[] = R"({
    "tools": [{"type": "function", "function": {"name": "tide",
               "parameters": {"type": "object", "properties": {"hour": {"type": "integer"}}}}}],
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When?"},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function",
         "function": {"name": "tide", "arguments": "{\"hour\": 6}"}},
        {"id": "b", "type": "function", "function": {"name": "tide", "arguments": ""}}]},
      {"role": "tool", "tool_call_id": "a", "content": "high"},
      {"role": "tool", "tool_call_id": "b", "content": "low"},
      {"role": "user", "content": "So?"}]})";

TEST_F(ConversationTest, ToolsAreTextWhereTheTemplateHasNoPlaceForThem) {
  const std::string prompt = Prompt(kToolTalk);
  EXPECT_THAT(prompt, StartsWith("<|im_start|>system\nBe brief.\n\nYou can call"));
  EXPECT_THAT(prompt, HasSubstr("<tools>\n{\"name\":\"tide\",\"parameters\":{\"type\":\"object\""));
  EXPECT_THAT(prompt, EndsWith("<|im_start|>user\nWhen?<|im_end|>\n"
                               "<|im_start|>assistant\n"
                               "<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"hour\":6}}\n"
                               "</tool_call>\n"
                               "<tool_call>\n{\"name\": \"tide\", \"arguments\": {}}\n"
                               "</tool_call><|im_end|>\n"
                               "<|im_start|>user\n"
                               "<tool_response>\nhigh\n</tool_response>\n"
                               "<tool_response>\nlow\n</tool_response>\n"
                               "So?<|im_end|>\n<|im_start|>assistant\n"));
  Json request = Json::parse(kToolTalk);
  request["messages"].erase(0);
  EXPECT_THAT(Prompt(request), StartsWith("<|im_start|>system\nYou can call"));
  // Calls of earlier turns are shown without tools too; without either nothing changes.
  request.erase("tools");
  EXPECT_THAT(Prompt(request), StartsWith("<|im_start|>user\nWhen?<|im_end|>\n"
                                          "<|im_start|>assistant\n<tool_call>"));
  request["messages"] = Json::parse(R"([{"role": "user", "content": "Hi"}])");
  EXPECT_EQ(Prompt(request), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(ConversationTest, ToolsAreToldInsteadOfTheTemplatesOwnSystemMessage) {
  // SmolLM2's.
  StartWith(
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
      "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
      "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
      "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
      "{{ '<|im_start|>assistant\n' }}{% endif %}");
  Json request = Json::parse(kToolTalk);
  request["messages"] = Json::parse(R"([{"role": "user", "content": "When?"}])");
  EXPECT_THAT(Prompt(request), AllOf(StartsWith("<|im_start|>system\nYou can call"),
                                     HasSubstr("\"name\":\"tide\""), Not(HasSubstr("SmolLM")),
                                     EndsWith("When?<|im_end|>\n<|im_start|>assistant\n")));
  request.erase("tools");
  EXPECT_THAT(Prompt(request), StartsWith("<|im_start|>system\nYou are a helpful"));
}

TEST_F(ConversationTest, ATemplateWithToolsShowsThemItself) {
  StartWith(
      "{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}"
      "{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}"
      "({{ c.function.name }} {{ c.function.arguments | tojson }}){% endfor %};{% endfor %}");
  EXPECT_EQ(Prompt(kToolTalk),
            "[tide]system:Be brief.;user:When?;assistant:(tide {\"hour\": 6})(tide {});"
            "tool:high;tool:low;user:So?;");
}

TEST_F(ConversationTest, WithoutASystemRoleTheUserIsToldOfTools) {
  StartWith(
      "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}"
      "{% endif %}{{ m.role }}:{{ m.content }};{% endfor %}");
  Json request = Json::parse(kToolTalk);
  request["messages"].erase(0);
  const std::string prompt = Prompt(request);
  EXPECT_THAT(prompt, StartsWith("user:You can call"));
  EXPECT_THAT(prompt, HasSubstr("</tool_response>.\n\nWhen?;assistant:"));
}

TEST_F(ConversationTest, AnAssistantMayHaveSaidNothing) {
  const auto prompt = [&](const char* assistant) {
    Json messages = Json::parse(R"([{"role": "user", "content": "a"}])");
    messages.push_back(Json::parse(assistant));
    messages.push_back({{"role", "user"}, {"content", "b"}});
    return Prompt(Json{{"messages", messages}});
  };
  for (const char* assistant : {R"({"role": "assistant", "tool_calls": null})",
                                R"({"role": "assistant", "audio": {"id": "x"}})",
                                R"({"role": "assistant", "content": null, "refusal": null})"}) {
    EXPECT_THAT(prompt(assistant), HasSubstr("<|im_start|>assistant\n<|im_end|>\n")) << assistant;
  }
  for (const char* assistant :
       {R"({"role": "assistant", "refusal": "No."})",
        R"({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})"}) {
    EXPECT_THAT(prompt(assistant), HasSubstr("<|im_start|>assistant\nNo.<|im_end|>\n"));
  }
  EXPECT_THAT(prompt(R"({"role": "assistant", "function_call": {"name": "f", "arguments": " "}})"),
              HasSubstr("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_EQ(Post(port(), "/apply-template", Json::parse(R"({"messages": [{"role": "assistant"}]})"))
                .status,
            400);
}

}  // namespace
}  // namespace kvasir::testing_
