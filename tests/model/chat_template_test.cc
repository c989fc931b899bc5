#include "model/chat_template.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using OrderedJson = nlohmann::ordered_json;

ChatInputs Greeting() {
  ChatInputs inputs;
  inputs.messages = OrderedJson::parse(R"([{"role": "user", "content": "Hi"}])");
  return inputs;
}

std::string Render(std::string_view source, const ChatInputs& inputs) {
  const Result<ChatTemplate> parsed = ChatTemplate::Parse(source);
  if (!parsed) return "parse error: " + parsed.error().message;
  const jinja::RenderResult text = parsed->Render(inputs);
  return text ? *text : "render error: " + text.error().message;
}

TEST(ChatTemplate, RendersChatMl) {
  ChatInputs inputs = Greeting();
  EXPECT_EQ(Render(kChatMlTemplate, inputs),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  inputs.add_generation_prompt = false;
  EXPECT_EQ(Render(kChatMlTemplate, inputs), "<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, DefinesToolsAsNoneAndAbsentTokensNotAtAll) {
  EXPECT_EQ(Render("{{ tools is none }}{{ tools is defined }}{{ documents is none }}"
                   "{{ bos_token is defined }}",
                   Greeting()),
            "TrueTrueTrueFalse");
  ChatInputs inputs = Greeting();
  inputs.tokens = {.bos = "<s>", .eos = {}, .pad = "<pad>", .unk = "<unk>"};
  inputs.tools = OrderedJson::parse(R"([{"name": "f"}])");
  EXPECT_EQ(Render("{{ bos_token }}{{ tools | tojson }}", inputs), "<s>[{\"name\": \"f\"}]");
  EXPECT_EQ(Render("{{ pad_token }}{{ unk_token }}{{ eos_token is defined }}", inputs),
            "<pad><unk>False");
}

TEST(ChatTemplate, LetsExtraVariablesWin) {
  ChatInputs inputs = Greeting();
  inputs.extra = {{"enable_thinking", false}, {"documents", "d"}};
  EXPECT_EQ(Render("{{ enable_thinking }}{{ documents }}", inputs), "Falsed");
}

TEST(ChatTemplate, ShowsTheDateAskedFor) {
  ChatInputs inputs = Greeting();
  const Result<std::tm> date = ParseDate("2024-02-29");
  ASSERT_TRUE(date);
  inputs.date = *date;
  EXPECT_EQ(Render("{{ strftime_now('%d %b %Y, %A, day %j') }}", inputs),
            "29 Feb 2024, Thursday, day 060");
}

TEST(ChatTemplate, KnowsWeeksOfIso8601) {
  // As Python's strftime has them: years whose first days belong to the year before, and the other
  // way round.
  const std::pair<const char*, const char*> dates[] = {
      {"2024-02-29", "2024 24 09"}, {"2021-01-03", "2020 20 53"}, {"2024-12-30", "2025 25 01"},
      {"2027-01-01", "2026 26 53"}, {"2026-01-01", "2026 26 01"}, {"2020-12-31", "2020 20 53"},
      {"2023-01-01", "2022 22 52"}};
  for (const auto& [date, week] : dates) {
    ChatInputs inputs = Greeting();
    inputs.date = *ParseDate(date);
    EXPECT_EQ(Render("{{ strftime_now('%G %g %V') }}", inputs), week) << date;
  }
}

TEST(ChatTemplate, RefusesDatesThatDoNotExist) {
  for (const char* text : {"2023-02-29", "2024-13-01", "2024-1-01", "today", ""}) {
    EXPECT_FALSE(ParseDate(text)) << text;
  }
}

TEST(ChatTemplate, TellsARefusalFromAFailure) {
  const auto refusing = ChatTemplate::Parse("{{ raise_exception('no ' ~ messages | length) }}");
  ASSERT_TRUE(refusing);
  const auto refused = refusing->Render(Greeting());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().raised);
  EXPECT_EQ(refused.error().message, "no 1");

  const auto failing = ChatTemplate::Parse("a\n{{ nothing.at_all }}");
  ASSERT_TRUE(failing);
  const auto failed = failing->Render(Greeting());
  ASSERT_FALSE(failed);
  EXPECT_FALSE(failed.error().raised);
  EXPECT_EQ(failed.error().message, "line 2: 'nothing' is undefined");
}

TEST(ChatTemplate, PicksAmongNamedTemplates) {
  const auto templates = ReadChatTemplates(OrderedJson::parse(
      R"([{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}])"));
  ASSERT_TRUE(templates);
  EXPECT_EQ(PickChatTemplate(*templates, false).value(), "D");
  EXPECT_EQ(PickChatTemplate(*templates, true).value(), "T");
  EXPECT_EQ(PickChatTemplate(*templates, true, "default").value(), "D");
  const auto missing = PickChatTemplate(*templates, true, "rag");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "no chat template 'rag': there are default, tool_use");
}

TEST(ChatTemplate, TakesOneTextForTheDefault) {
  const auto templates = ReadChatTemplates("only");
  ASSERT_TRUE(templates);
  EXPECT_EQ(PickChatTemplate(*templates, true).value(), "only");
  EXPECT_FALSE(ReadChatTemplates(3));
  EXPECT_FALSE(ReadChatTemplates(OrderedJson::parse(R"([{"name": "x"}])")));
}

}  // namespace
}  // namespace kvasir
