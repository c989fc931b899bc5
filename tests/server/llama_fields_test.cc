// llama-server's request fields: what each token is, what it cost, how far the prompt is read.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

class LlamaFieldsTest : public ServerTest {
 protected:
  void SetUp() override { Start({.batch = {.step_rows = 64}}); }

  static Json Prompt(int n) {
    Json prompt = Json::array();
    for (int i = 0; i < n; ++i) prompt.push_back(40 + i * 7 % 200);
    return prompt;
  }
  static Json Completion(const Json& fields) {
    Json request = {{"prompt", Prompt(200)}, {"max_tokens", 12}, {"seed", 5}, {"ignore_eos", true}};
    request.update(fields);
    return request;
  }
  static Json Chat(const Json& fields) {
    Json request = Completion(fields);
    request.erase("prompt");
    request["messages"] = Json::array({{{"role", "user"}, {"content", "Tell me a story."}}});
    return request;
  }
  // The chunks of a stream.
  std::vector<Json> Chunks(std::string_view path, Json request) {
    request["stream"] = true;
    const RawReply reply = Post(port(), path, request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    std::vector<Json> chunks;
    for (const std::string& event : Events(reply.body)) {
      if (event != "[DONE]") chunks.push_back(Json::parse(event));
    }
    return chunks;
  }
  // The tokens that the choices of all chunks tell.
  static std::vector<int> Tokens(const std::vector<Json>& chunks) {
    std::vector<int> tokens;
    for (const Json& chunk : chunks) {
      if (!chunk["choices"][0].contains("tokens")) continue;
      for (const Json& id : chunk["choices"][0]["tokens"]) tokens.push_back(id);
    }
    return tokens;
  }
};

TEST_F(LlamaFieldsTest, TokensAreThoseThatAreCounted) {
  for (const bool chat : {false, true}) {
    const char* path = chat ? "/v1/chat/completions" : "/v1/completions";
    const Json request =
        chat ? Chat({{"return_tokens", true}}) : Completion({{"return_tokens", true}});
    const Json whole = Post(port(), path, request).json();
    const auto tokens = whole["choices"][0]["tokens"].get<std::vector<int>>();
    EXPECT_EQ(tokens.size(), 12u);
    EXPECT_EQ(whole["usage"]["completion_tokens"], 12);
    const Json text =
        chat ? whole["choices"][0]["message"]["content"] : whole["choices"][0]["text"];
    EXPECT_EQ(Post(port(), "/detokenize", {{"tokens", tokens}}).json()["content"], text);
    EXPECT_EQ(Tokens(Chunks(path, request)), tokens);
  }
}

TEST_F(LlamaFieldsTest, TokensOfATextThatEndsEarlyAreAllTold) {
  // What may become a stop text is held back, and its tokens with it.
  Json request = Completion({{"return_tokens", true}});
  const std::string text = Post(port(), "/v1/completions", request).json()["choices"][0]["text"];
  request["stop"] = text.substr(text.size() / 2, 3);
  const Json whole = Post(port(), "/v1/completions", request).json();
  EXPECT_EQ(whole["choices"][0]["tokens"].size(), whole["usage"]["completion_tokens"]);
  EXPECT_EQ(Tokens(Chunks("/v1/completions", request)),
            whole["choices"][0]["tokens"].get<std::vector<int>>());
}

TEST_F(LlamaFieldsTest, EachAnswerHasItsOwnTokens) {
  const Json reply =
      Post(port(), "/v1/completions", Completion({{"return_tokens", true}, {"n", 2}})).json();
  EXPECT_EQ(reply["choices"][0]["tokens"].size(), 12u);
  EXPECT_EQ(reply["choices"][1]["tokens"].size(), 12u);
  EXPECT_NE(reply["choices"][0]["tokens"], reply["choices"][1]["tokens"]);
}

TEST_F(LlamaFieldsTest, TimingsGrowWithTheAnswer) {
  for (const bool chat : {false, true}) {
    const char* path = chat ? "/v1/chat/completions" : "/v1/completions";
    const Json fields = {{"timings_per_token", true}};
    int last = 0, n = 0;
    for (const Json& chunk : Chunks(path, chat ? Chat(fields) : Completion(fields))) {
      if (!chunk.contains("timings")) continue;
      ++n;
      EXPECT_GE(chunk["timings"]["predicted_n"], last);
      last = chunk["timings"]["predicted_n"];
      EXPECT_GT(chunk["timings"]["prompt_n"], 0);
      EXPECT_GT(chunk["timings"]["prompt_ms"], 0);
    }
    EXPECT_EQ(last, 12);
    EXPECT_GT(n, 6) << path;
  }
}

TEST_F(LlamaFieldsTest, ProgressGoesFromTheCacheToTheWholePrompt) {
  const Json fields = {{"return_progress", true}, {"id_slot", 0}};
  const auto processed = [&](const Json& request, int cached) {
    std::vector<int> read;
    for (const Json& chunk : Chunks("/v1/completions", request)) {
      if (!chunk.contains("prompt_progress")) continue;
      const Json& progress = chunk["prompt_progress"];
      EXPECT_EQ(progress["total"], request["prompt"].size());
      EXPECT_EQ(progress["cache"], cached);
      EXPECT_GE(progress["time_ms"], 0);
      EXPECT_EQ(chunk["choices"][0]["finish_reason"], Json());
      read.push_back(progress["processed"]);
    }
    return read;
  };
  EXPECT_EQ(processed(Completion(fields), 0), (std::vector{0, 64, 128, 192, 200}));
  Json next = Completion(fields);
  next["prompt"] = Prompt(260);
  EXPECT_EQ(processed(next, 200), (std::vector{200, 260}));
}

TEST_F(LlamaFieldsTest, ProgressOfAChatComesBeforeItsText) {
  const std::vector<Json> chunks =
      Chunks("/v1/chat/completions", Chat({{"return_progress", true}}));
  ASSERT_GT(chunks.size(), 4u);
  EXPECT_EQ(chunks[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(chunks[1]["prompt_progress"]["processed"], 0);
  EXPECT_EQ(chunks[2]["prompt_progress"]["processed"], chunks[2]["prompt_progress"]["total"]);
  EXPECT_TRUE(chunks[2]["choices"][0]["delta"].empty());
  EXPECT_FALSE(chunks[3].contains("prompt_progress"));
}

TEST_F(LlamaFieldsTest, NothingIsAddedUnasked) {
  const Json fields = {{"timings_per_token", false}, {"return_tokens", nullptr}};
  std::vector<Json> chunks = Chunks("/v1/completions", Completion(fields));
  chunks.pop_back();  // the last one of an answer always has timings
  for (const Json& chunk : chunks) {
    EXPECT_FALSE(chunk.contains("timings") || chunk.contains("prompt_progress"));
    EXPECT_FALSE(chunk["choices"][0].contains("tokens"));
  }
  EXPECT_EQ(Post(port(), "/v1/completions", Completion({{"return_progress", 1}})).status, 400);
}

// Other dialects have no place for them, and go on as ever.
TEST_F(LlamaFieldsTest, MessagesAndResponsesIgnoreThem) {
  const Json fields = {
      {"return_progress", true}, {"return_tokens", true}, {"timings_per_token", true}};
  Json messages = Chat(fields);
  EXPECT_EQ(Post(port(), "/v1/messages", messages).status, 200);
  messages["stream"] = true;
  EXPECT_EQ(Post(port(), "/v1/messages", messages).status, 200);
  Json response = {{"input", "Hello"}, {"max_output_tokens", 16}, {"stream", true}};
  response.update(fields);
  EXPECT_EQ(Post(port(), "/v1/responses", response).status, 200);
}

}  // namespace
}  // namespace kvasir::testing_
