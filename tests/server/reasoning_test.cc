// What a model thinks, apart from what it says.
#include "server/reasoning.h"

#include <gmock/gmock.h>

#include "server/messages.h"
#include "server/responses.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using server::ReasoningSplitter;

std::pair<std::string, std::string> Split(std::string_view text, bool inside, size_t step) {
  ReasoningSplitter splitter(inside);
  std::string reasoning, content;
  const auto take = [&](const ReasoningSplitter::Piece& piece) {
    reasoning += piece.reasoning;
    content += piece.content;
  };
  for (size_t i = 0; i < text.size(); i += step) take(splitter.Push(text.substr(i, step)));
  take(splitter.Finish());
  return {reasoning, content};
}

TEST(Reasoning, IsWhatStandsBetweenTheMarksHoweverTheTextIsCut) {
  struct Case {
    std::string text;
    bool inside;
    std::string reasoning, content;
  };
  const Case cases[] = {
      {"<think>\nA or B?\n B.\n</think>\n\nB, of course. ", false, "A or B?\n B.",
       "B, of course. "},
      {"\n<think>x</think>y", false, "x", "y"},
      {"so it is\n</think>\nyes", true, "so it is", "yes"},
      {"<think>\n\n</think>\n\nyes", false, "", "yes"},
      {"<think>never ends </thin", false, "never ends </thin", ""},
      {"<think>a < b </b> c</think>", false, "a < b </b> c", ""},
      {"No <think>marks</think> here", false, "", "No <think>marks</think> here"},
      {"  plain", false, "", "  plain"},
      {"<thin", false, "", "<thin"},
      {" ", false, "", " "},
      {"</think>at once", true, "", "at once"},
  };
  for (const Case& c : cases) {
    for (size_t step = 1; step <= c.text.size(); ++step) {
      EXPECT_EQ(Split(c.text, c.inside, step), std::pair(c.reasoning, c.content))
          << c.text << " in pieces of " << step;
    }
  }
  EXPECT_TRUE(server::OpensReasoning("<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(server::OpensReasoning("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(server::OpensReasoning(""));
}

class ReasoningServerTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }
  // The model would not; a grammar makes it.
  static Json Request() {
    return {{"messages", Json::array({{{"role", "user"}, {"content", "A or B?"}}})},
            {"max_tokens", 100},
            {"seed", 1},
            {"grammar", R"(root ::= "<think>\n" [ab]{4} "\n</think>\n\n" [AB])"}};
  }
};

TEST_F(ReasoningServerTest, HasAPlaceInAChat) {
  Json request = Request();
  const Json json = Post(port(), "/v1/chat/completions", request).json();
  const Json& message = json["choices"][0]["message"];
  EXPECT_THAT(message["reasoning_content"].get<std::string>(),
              testing::MatchesRegex("[ab][ab][ab][ab]"));
  EXPECT_THAT(message["content"].get<std::string>(), testing::MatchesRegex("[AB]"));
  EXPECT_GT(json["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
  request["stream"] = true;
  std::string reasoning, content;
  for (const std::string& event : Events(Post(port(), "/v1/chat/completions", request).body)) {
    if (event == "[DONE]") continue;
    const Json delta = Json::parse(event)["choices"][0]["delta"];
    reasoning += delta.value("reasoning_content", "");
    content += delta.value("content", "");
  }
  EXPECT_EQ(reasoning, message["reasoning_content"].get<std::string>());
  EXPECT_EQ(content, message["content"].get<std::string>());
}

TEST_F(ReasoningServerTest, IsABlockOfAMessageAndAnItemOfAResponse) {
  // Neither form has grammars: their dialects read what a chat's engine would have written.
  server::Choice choice;
  choice.text = "<think>\nhm\n</think>\n\nB";
  choice.outcome.finish = "stop";
  const auto message = server::MakeMessagesDialect({}, {});
  EXPECT_EQ(message->Whole({&choice, 1})["content"],
            Json::parse(R"([{"type":"thinking","thinking":"hm","signature":""},
                            {"type":"text","text":"B"}])"));
  const auto response = server::MakeResponsesDialect({}, Json::object(), {});
  const Json output = response->Whole({&choice, 1})["output"];
  ASSERT_EQ(output.size(), 2u);
  EXPECT_EQ(output[0]["type"], "reasoning");
  EXPECT_EQ(output[0]["content"][0]["text"], "hm");
  EXPECT_EQ(output[1]["content"][0]["text"], "B");
  server::EventStream out;
  BatchEvent event;
  event.text = choice.text;
  message->Start(out, 1);
  message->Piece(out, choice, event);
  message->Last(out, choice);
  const std::string told = out.Take();
  EXPECT_THAT(told, testing::HasSubstr(R"({"type":"thinking_delta","thinking":"hm"})"));
  EXPECT_THAT(told, testing::HasSubstr(R"("index":1,"content_block":{"type":"text")"));
  response->Start(out, 1);
  response->Piece(out, choice, event);
  response->Last(out, choice);
  const std::string streamed = out.Take();
  EXPECT_THAT(streamed, testing::HasSubstr("event: response.reasoning_text.delta\n"));
  EXPECT_THAT(streamed, testing::HasSubstr(R"("output_index":1,"item":{"type":"message")"));
}

// Its tokens are counted, and are not among those of the message.
TEST_F(ReasoningServerTest, IsCountedInAResponseAndApartFromItsLogprobs) {
  server::Choice choice;
  choice.text = "<think>\nhm, hm\n</think>\n\nBergen";
  choice.outcome.finish = "stop";
  for (const int32_t id : model_->Tokenize(choice.text, false)) {
    choice.tokens.push_back({.id = id, .bytes = model_->tokenizer().Piece(id), .logprob = -1});
  }
  const size_t n_thoughts = model_->Tokenize("hm, hm", false).size();
  const auto text_of = [](const Json& logprobs) {
    std::string text;
    for (const Json& token : logprobs) text += token["token"].get<std::string>();
    return text;
  };
  const auto whole =
      server::MakeResponsesDialect({}, Json::object(), {}, model_.get(), /*logprobs=*/true);
  const Json response = whole->Whole({&choice, 1});
  EXPECT_EQ(response["usage"]["output_tokens_details"]["reasoning_tokens"], n_thoughts);
  const Json logprobs = response["output"][1]["content"][0]["logprobs"];
  EXPECT_THAT(text_of(logprobs), testing::EndsWith("Bergen"));
  EXPECT_THAT(text_of(logprobs), testing::Not(testing::HasSubstr("think")));

  const auto streamed =
      server::MakeResponsesDialect({}, Json::object(), {}, model_.get(), /*logprobs=*/true);
  server::EventStream out;
  streamed->Start(out, 1);
  for (const TokenRecord& token : choice.tokens) {
    BatchEvent event;
    event.text = token.bytes;
    event.tokens = {token};
    streamed->Piece(out, choice, event);
  }
  streamed->Last(out, choice);
  const std::string told = out.Take();
  const size_t last = told.rfind("\ndata: ");
  const Json end = Json::parse(told.substr(last + 7))["response"];
  EXPECT_EQ(end["usage"]["output_tokens_details"]["reasoning_tokens"], n_thoughts);
  EXPECT_EQ(end["output"][1]["content"][0]["logprobs"], logprobs);
}

}  // namespace
}  // namespace kvasir::testing_
