#include "grammar/tool_calls.h"

#include <gmock/gmock.h>

#include <random>

#include "grammar/matcher.h"

namespace kvasir::grammar {
namespace {

using ::testing::HasSubstr;

struct Call {
  std::string id, name, arguments;
  bool operator==(const Call&) const = default;
};

// What a client puts together from the events.
struct Answer {
  std::string content;
  std::vector<Call> calls;
  bool operator==(const Answer&) const = default;
};

void PrintTo(const Answer& answer, std::ostream* out) {
  *out << "content: " << answer.content;
  for (const Call& call : answer.calls)
    *out << "\n" << call.id << " " << call.name << " " << call.arguments;
}

bool EndsInsideACharacter(std::string_view text) {
  char32_t c = 0;
  while (!text.empty() && TakeUtf8(text, c)) {
  }
  return !text.empty();
}

class Client {
 public:
  explicit Client(ToolCallParser::Options options = {}) : parser_(With(std::move(options))) {}

  void Push(std::string_view text) { Take(parser_.Push(text)); }
  Answer Finish() {
    Take(parser_.Finish());
    return answer_;
  }
  const Answer& so_far() const { return answer_; }
  bool cut_off() const { return parser_.cut_off(); }

 private:
  ToolCallParser::Options With(ToolCallParser::Options options) {
    options.tools = {"f", "get_weather"};
    options.make_id = [this] { return "id" + std::to_string(n_ids_++); };
    return options;
  }
  void Take(const std::vector<ToolEvent>& events) {
    for (const ToolEvent& event : events) {
      EXPECT_FALSE(EndsInsideACharacter(event.text)) << event.text;
      if (event.kind == ToolEvent::kContent) {
        answer_.content += event.text;
      } else if (event.kind == ToolEvent::kCall) {
        EXPECT_EQ(event.index, static_cast<int>(answer_.calls.size()));
        answer_.calls.push_back({event.id, event.name, ""});
      } else {
        ASSERT_LT(static_cast<size_t>(event.index), answer_.calls.size());
        EXPECT_FALSE(event.text.empty());
        answer_.calls[event.index].arguments += event.text;
      }
    }
  }

  int n_ids_ = 0;
  ToolCallParser parser_;
  Answer answer_;
};

Answer Parse(std::string_view text, ToolCallParser::Options options = {}) {
  Client client(std::move(options));
  client.Push(text);
  return client.Finish();
}

TEST(ToolCalls, PlainTextIsContent) {
  for (const char* text :
       {"", "Hello 世界", "a < b", "<tool", "x <tool_call", "{\"a\": 1}", "[1, 2]", "{", "  \n hi",
        "<|python", "{\"name\": \"other\", \"parameters\": {}}", "[{\"name\": \"other\"}]",
        "{\"name\": 5}", "{}", " [] "})
    EXPECT_EQ(Parse(text), (Answer{text, {}}));
}

TEST(ToolCalls, Hermes) {
  EXPECT_EQ(Parse("Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": "
                  "{\"city\": \"Zürich\", \"n\": [1, {}]}}\n</tool_call>"),
            (Answer{"Let me see.\n",
                    {{"id0", "get_weather", "{\"city\": \"Zürich\", \"n\": [1, {}]}"}}}));
  // Two calls, the arguments first, unknown keys, a tool that nobody knows; no content at all.
  EXPECT_EQ(Parse("\n<tool_call>{\"arguments\":{\"a\":\"}\\\"{\"},\"id\":[\"x\",{\"name\":\"no\"}],"
                  "\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>\n"),
            (Answer{"", {{"id0", "f", "{\"a\":\"}\\\"{\"}"}, {"id1", "g", "{}"}}}));
}

TEST(ToolCalls, TextMayFollowACall) {
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> and a < b"),
            (Answer{" and a < b", {{"id0", "f", "{}"}}}));
}

TEST(ToolCalls, Llama) {
  EXPECT_EQ(Parse("<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}; "
                  "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {}}"),
            (Answer{"", {{"id0", "f", "{\"x\": 1}"}, {"id1", "get_weather", "{}"}}}));
  EXPECT_EQ(Parse("{\"name\": \"f\", \"parameters\": {\"x\": null}}"),
            (Answer{"", {{"id0", "f", "{\"x\": null}"}}}));
  EXPECT_EQ(Parse("<|python_tag|>print(1)"), (Answer{"<|python_tag|>print(1)", {}}));
}

TEST(ToolCalls, PlainArray) {
  EXPECT_EQ(Parse(" [{\"name\":\"f\",\"arguments\":{}}, {\"name\":\"get_weather\"}]"),
            (Answer{"", {{"id0", "f", "{}"}, {"id1", "get_weather", "{}"}}}));
}

TEST(ToolCalls, ArgumentsWrittenAsAStringAreTheString) {
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": \\\"\\u00e9\\\"}\"}"),
            (Answer{"", {{"id0", "f", "{\"a\": \"é\"}"}}}));
}

TEST(ToolCalls, WhatIsCutOffIsPassedOnAsFarAsItGoes) {
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":{\"a\": \"bc"),
            (Answer{"", {{"id0", "f", "{\"a\": \"bc"}}}));
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a"),
            (Answer{"", {{"id0", "f", "{\"a"}}}));
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":{}}\n</tool_c"),
            (Answer{"", {{"id0", "f", "{}"}}}));
}

TEST(ToolCalls, ACallThatIsCutOffBeforeItsNameIsNotTold) {
  const std::string call = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
  const Answer one = {"", {{"id0", "f", "{}"}}};
  for (const char* rest : {"\n<tool_c", "\n<tool_call>", "\n<tool_call>\n{\"name\": \"get_we",
                           "\n<tool_call>\n{\"arguments\": {}, \"na"})
    EXPECT_EQ(Parse(call + rest), one) << rest;
  EXPECT_EQ(Parse("[{\"name\":\"f\"}, {\"na"), one);
  EXPECT_EQ(Parse("{\"name\":\"f\"}; {\"na"), one);
  for (const char* text : {"<tool_call>", "<tool_call>\n{\"name\":\"f", "<|python_tag|>{\"name"})
    EXPECT_EQ(Parse(text), Answer()) << text;
  EXPECT_EQ(Parse("Well. <tool_call>{"), (Answer{"Well. ", {}}));
}

TEST(ToolCalls, ACallIsCutOffUnlessItsArgumentsAreAllThere) {
  const auto cut_off = [](std::string_view text) {
    Client client;
    client.Push(text);
    client.Finish();
    return client.cut_off();
  };
  EXPECT_TRUE(cut_off("<tool_call>{\"name\":\"f\""));
  EXPECT_TRUE(cut_off("<tool_call>{\"name\":\"f\",\"arguments\":{\"a"));
  EXPECT_TRUE(cut_off("<tool_call>{\"name\":\"f\"}\n<tool_call>{\"name\":\"f\",\"arguments\":"));
  EXPECT_FALSE(cut_off("<tool_call>{\"name\":\"f\",\"arguments\":{}"));
  EXPECT_FALSE(cut_off("<tool_call>{\"name\":\"f\",\"arguments\":{}}"));
  EXPECT_FALSE(cut_off("a text"));
}

TEST(ToolCalls, OfOneCallOnlyWhatFollowsIsNotTold) {
  const Answer one = {"Well. ", {{"id0", "f", "{}"}}};
  const std::string call = "<tool_call>{\"name\":\"f\"}</tool_call>";
  EXPECT_EQ(Parse("Well. " + call + "\n" + call + " and", {.max_calls = 1}), one);
  EXPECT_EQ(Parse("[{\"name\":\"f\"}, {\"name\":\"f\"}]", {.max_calls = 1}).calls, one.calls);
  EXPECT_EQ(Parse(call + call + call, {.max_calls = 2}).calls.size(), 2u);
}

TEST(ToolCalls, WhereJsonWasAskedForOnlyTagsMakeCalls) {
  for (const char* text :
       {"{\"name\":\"f\",\"age\":1}", "[{\"name\":\"f\"}]", " {\"name\":\"f\",\"arguments\":{}}"})
    EXPECT_EQ(Parse(text, {.tagged_only = true}), (Answer{text, {}}));
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\"}</tool_call>", {.tagged_only = true}).calls.size(),
            1u);
}

TEST(ToolCalls, BrokenCallsAreContent) {
  EXPECT_EQ(Parse("<tool_call>{name: f}</tool_call>"),
            (Answer{"<tool_call>{name: f}</tool_call>", {}}));
  EXPECT_EQ(Parse("<tool_call><tool_call>{\"name\":\"f\"}</tool_call>"),
            (Answer{"<tool_call>", {{"id0", "f", "{}"}}}));
  EXPECT_EQ(Parse("<tool_call>{\"arguments\":{}}</tool_call>x"),
            (Answer{"<tool_call>{\"arguments\":{}}</tool_call>x", {}}));
}

TEST(ToolCalls, ABraceTooManyIsForgiven) {
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\",\"arguments\":{}}}</tool_call>ok"),
            (Answer{"ok", {{"id0", "f", "{}"}}}));
  EXPECT_EQ(Parse("<tool_call>{\"name\":\"f\"}<tool_call>{\"name\":\"g\"}"),
            (Answer{"", {{"id0", "f", "{}"}, {"id1", "g", "{}"}}}));
}

TEST(ToolCalls, StreamsAndHoldsBackOnlyWhatMayBecomeACall) {
  Client client;
  client.Push("Hi <");
  EXPECT_EQ(client.so_far().content, "Hi ");
  client.Push("b> <tool_ca");
  EXPECT_EQ(client.so_far().content, "Hi <b> ");
  client.Push("ll>{\"name\": \"f\", \"argu");
  ASSERT_EQ(client.so_far().calls.size(), 1u);
  client.Push("ments\": {\"a\": \"\xe4\xb8");
  EXPECT_EQ(client.so_far().calls[0].arguments, "{\"a\": \"");
  client.Push("\x96 and");
  EXPECT_EQ(client.so_far().calls[0].arguments, "{\"a\": \"世 and");
}

TEST(ToolCalls, IdsAreRandomUnlessGiven) {
  const auto id_of = [] {
    ToolCallParser parser({});
    for (const ToolEvent& event : parser.Push("<tool_call>{\"name\":\"f\"}"))
      if (event.kind == ToolEvent::kCall) return event.id;
    return std::string();
  };
  const std::string id = id_of();
  EXPECT_EQ(id.size(), 29u);
  EXPECT_TRUE(id.starts_with("call_"));
  EXPECT_NE(id, id_of());
}

// Fragments that make up calls, right and wrong, in any order.
std::string RandomAnswer(std::mt19937& random) {
  static const std::vector<std::string> kParts = {"<tool_call>",
                                                  "</tool_call>",
                                                  "<|python_tag|>",
                                                  "{\"name\": \"f\", ",
                                                  "\"arguments\": ",
                                                  "\"parameters\":",
                                                  "{\"a\": \"é\\\"}\"}",
                                                  "{\"name\":\"f\",\"arguments\":{\"世\":[1,{}]}}",
                                                  "}",
                                                  "{",
                                                  "[",
                                                  "]",
                                                  ",",
                                                  ";",
                                                  "\n",
                                                  " ",
                                                  "世界",
                                                  "text",
                                                  "<",
                                                  "\"",
                                                  "null",
                                                  "\"{\\\"x\\\"}\"",
                                                  "\\",
                                                  "\"name\": \"get_weather\"",
                                                  ":"};
  std::string text;
  for (uint32_t n = 1 + random() % 12; n-- > 0;) text += kParts[random() % kParts.size()];
  return text;
}

TEST(ToolCalls, AnySplitOfTheTextGivesTheSameAnswer) {
  std::mt19937 random(5);
  int n_calls = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = RandomAnswer(random);
    const Answer whole = Parse(text);
    n_calls += static_cast<int>(whole.calls.size());
    Client client, bytes;
    for (size_t at = 0; at < text.size();) {
      const size_t n = 1 + random() % 5;
      client.Push(std::string_view(text).substr(at, n));
      at += n;
    }
    for (const char c : text) bytes.Push(std::string_view(&c, 1));
    ASSERT_EQ(client.Finish(), whole) << text;
    ASSERT_EQ(bytes.Finish(), whole) << text;
    if (whole.calls.empty() && text.find("tool_call>") == std::string::npos &&
        text.find("python_tag") == std::string::npos) {
      ASSERT_EQ(whole.content, text);  // nothing is lost
    }
  }
  EXPECT_GT(n_calls, 1000);
}

Json Tools() {
  return Json::parse(R"([{"type": "function", "function": {"name": "get_weather", "parameters":
      {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
       "required": ["city"]}}}, {"type": "function", "function": {"name": "f"}}])");
}

bool Matches(const Result<std::shared_ptr<const Grammar>>& grammar, std::string_view text) {
  Matcher matcher(*grammar);
  return matcher.Accept(text) && matcher.complete();
}

TEST(ToolGrammar, WritesCallsThatTheParserReads) {
  const std::string weather =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call>";
  const std::string f = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":1}}\n</tool_call>";
  const auto any = ToolCallGrammar(Tools(), {});
  ASSERT_TRUE(any) << any.error().message;
  EXPECT_TRUE(Matches(any, weather));
  EXPECT_TRUE(Matches(any, f + "\n" + weather));
  EXPECT_FALSE(Matches(any, ""));
  EXPECT_FALSE(Matches(any, "text " + f));
  EXPECT_EQ(Parse(f + "\n" + weather).calls.size(), 2u);

  const auto one = ToolCallGrammar(Tools(), {.only = "f", .parallel = false});
  ASSERT_TRUE(one);
  EXPECT_TRUE(Matches(one, f));
  EXPECT_FALSE(Matches(one, weather));
  EXPECT_FALSE(Matches(one, f + "\n" + f));

  const auto llama = ToolCallGrammar(Tools(), {.style = ToolCallStyle::kLlama});
  ASSERT_TRUE(llama);
  const std::string call =
      "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Ulm\", \"days\": 2}}";
  EXPECT_TRUE(Matches(llama, call));
  EXPECT_TRUE(Matches(llama, call + "; " + call));
  EXPECT_EQ(Parse(call + "; " + call).calls.size(), 2u);
}

TEST(ToolGrammar, OnlyStrictToolsMustBeHeldToInWhole) {
  Json tools = Json::parse(R"([{"function": {"name": "f", "parameters": {"not": {}}}}])");
  std::vector<std::string> left_out;
  EXPECT_TRUE(ToolCallGrammar(tools, {.left_out = &left_out}));
  EXPECT_THAT(left_out,
              ::testing::ElementsAre(HasSubstr("the parameters of the tool \"f\": #: 'not'")));
  tools[0]["function"]["strict"] = true;
  EXPECT_FALSE(ToolCallGrammar(tools, {.left_out = &left_out}));
}

TEST(ToolGrammar, SaysWhatIsWrong) {
  const auto problem = [](const char* tools, const std::string& only) {
    const auto grammar = ToolCallGrammar(Json::parse(tools), {.only = only});
    return grammar ? "" : grammar.error().message;
  };
  EXPECT_THAT(problem("[]", ""), HasSubstr("there is no tool to call"));
  EXPECT_THAT(problem(R"([{"type": "function", "function": {"name": "f"}}])", "g"),
              HasSubstr("there is no tool 'g' to call"));
  EXPECT_THAT(problem(R"([{"name": "f"}])", ""), HasSubstr("each tool must be"));
  EXPECT_THAT(problem(R"([{"function": {"name": "f", "parameters": {"not": {}}}}])", ""),
              HasSubstr("the parameters of the tool \"f\": #: the keyword 'not'"));
}

}  // namespace
}  // namespace kvasir::grammar
