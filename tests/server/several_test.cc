// Several prompts in one request, and several answers to one.
#include <gmock/gmock.h>

#include <set>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SeveralTest : public ServerTest {
 protected:
  void StartWith(int n_slots, int64_t queue = 64) {
    server::ServerOptions options;
    options.batch.n_slots = n_slots;
    options.batch.queue = queue;
    Start(options);
  }
  Json Complete(const Json& request) {
    const RawReply reply = Post(port(), "/v1/completions", request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json();
  }
  static std::set<std::string> Texts(const Json& reply) {
    std::set<std::string> texts;
    for (const Json& choice : reply["choices"]) texts.insert(choice["text"].get<std::string>());
    return texts;
  }
};

TEST_F(SeveralTest, CopiesOfAPromptDifferWhereNoSeedIsGiven) {
  Start();
  Json request = {{"prompt", {"Once", "Once", "Once"}},
                  {"max_tokens", 12},
                  {"temperature", 1.2},
                  {"ignore_eos", true}};
  EXPECT_EQ(Texts(Complete(request)).size(), 3u);
  request["seed"] = -1;
  EXPECT_EQ(Texts(Complete(request)).size(), 3u);
  request["seed"] = 7;
  EXPECT_EQ(Texts(Complete(request)).size(), 1u) << "a seed is each prompt's";
}

TEST_F(SeveralTest, AnEchoIsTheTextThatWasSent) {
  auto model = LoadedModel::Load({.path = GoldenDir() + "/../../models/needle-11m-f16.gguf"});
  ASSERT_TRUE(model) << model.error().message;
  model_ = *model;
  Start();
  const std::string prompt = "key 12 is";
  // Greedy: half of a character, which might be drawn, is no text of its own.
  Json request = {
      {"prompt", prompt}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 2}, {"temperature", 0}};
  for (const bool stream : {false, true}) {
    request["stream"] = stream;
    Json choice;
    if (stream) {
      const RawReply reply = Post(port(), "/v1/completions", request);
      choice = Json::parse(Events(reply.body)[0])["choices"][0];
    } else {
      choice = Complete(request)["choices"][0];
    }
    EXPECT_THAT(choice["text"].get<std::string>(), StartsWith(prompt));
    const Json& logprobs = choice["logprobs"];
    EXPECT_EQ(logprobs["tokens"][0], model_->tokenizer().Piece(model_->tokenizer().bos()));
    EXPECT_EQ(logprobs["text_offset"][0], 0);
    // Each other token is where the text has it.
    for (size_t i = 1; i < logprobs["tokens"].size(); ++i) {
      const std::string token = logprobs["tokens"][i];
      EXPECT_EQ(choice["text"].get<std::string>().substr(logprobs["text_offset"][i], token.size()),
                token);
    }
  }
  request.erase("logprobs");
  request["stream"] = false;
  EXPECT_THAT(Complete(request)["choices"][0]["text"].get<std::string>(), StartsWith(prompt));
}

TEST_F(SeveralTest, PromptsOfOneRequestWaitAsOne) {
  StartWith(/*n_slots=*/2, /*queue=*/1);
  const Json many = {{"prompt", std::vector<std::string>(8, "Once")}, {"max_tokens", 3}};
  EXPECT_EQ(Complete(many)["choices"].size(), 8u);
  ASSERT_TRUE(BecomesIdle());
  RawClient busy(port()), waiting(port());
  Json endless = Endless();
  endless["n"] = 2;
  busy.Send(PostText("/v1/completions", endless.dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running == 2; }));
  waiting.Send(PostText("/v1/completions", many.dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_waiting == 1; }));
  EXPECT_EQ(Post(port(), "/v1/completions", many).status, 429);
  EXPECT_EQ(server_->engine().figures().n_waiting, 1) << "all are taken, or none";
  busy.Close();
  EXPECT_EQ(waiting.Read().json()["choices"].size(), 8u);
}

// One that cannot be served is told before anything is made.
TEST_F(SeveralTest, OnePromptTooLongRefusesAll) {
  server::ServerOptions options;
  options.batch.ctx = 64;
  Start(options);
  const Json request = {{"prompt", {std::vector<int>(10, 50), std::vector<int>(100, 50)}}};
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(server_->engine().figures().prompt_tokens, 0);
  EXPECT_EQ(server_->engine().figures().canceled, 0);
}

TEST_F(SeveralTest, MoreAnswersThanSlotsAreMadeInTurn) {
  Json request = {{"prompt", {"Once upon a time", "Rivers and hills"}},
                  {"max_tokens", 8},
                  {"n", 5},
                  {"seed", 3},
                  {"ignore_eos", true},
                  {"echo", true},
                  {"logprobs", 1}};
  StartWith(8);
  const Json wide = Complete(request);
  ASSERT_EQ(wide["choices"].size(), 10u);
  for (const int n_slots : {1, 2}) {
    StartWith(n_slots);
    const Json narrow = Complete(request);
    EXPECT_EQ(narrow["choices"], wide["choices"]) << n_slots;
    for (const char* count : {"prompt_tokens", "completion_tokens"}) {
      EXPECT_EQ(narrow["usage"][count], wide["usage"][count]) << n_slots;
    }
    Json stream = request;
    stream["stream"] = true;
    std::vector<std::string> texts(10);
    for (const std::string& event : Events(Post(port(), "/v1/completions", stream).body)) {
      if (event == "[DONE]") continue;
      const Json choice = Json::parse(event)["choices"][0];
      texts[choice["index"].get<int>()] += choice["text"].get<std::string>();
    }
    for (int i = 0; i < 10; ++i) EXPECT_EQ(texts[i], wide["choices"][i]["text"]) << i;
  }
}

TEST_F(SeveralTest, AnswersOfOneRequestAreBounded) {
  Start();
  Json request = {{"prompt", std::vector<std::string>(9, "Hi")}, {"n", 128}, {"max_tokens", 1}};
  const RawReply refused = Post(port(), "/v1/completions", request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("1152 answers"));
  request["n"] = 1;
  request["best_of"] = 128;
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
}

TEST_F(SeveralTest, BestOfGivesTheLikeliestOfMore) {
  Start();
  Json request = {{"prompt", {"Once upon a time", "Rivers"}},
                  {"max_tokens", 8},
                  {"n", 4},
                  {"seed", 3},
                  {"logprobs", 0},
                  {"cache_prompt", false},
                  {"ignore_eos", true}};
  const Json all = Complete(request);
  request["n"] = 2;
  request["best_of"] = 4;
  const Json best = Complete(request);
  EXPECT_EQ(best["usage"], all["usage"]) << "what was made is counted";
  ASSERT_EQ(best["choices"].size(), 4u);
  const auto mean = [](const Json& choice) {
    double sum = 0;
    for (const Json& logprob : choice["logprobs"]["token_logprobs"]) sum += logprob.get<double>();
    return sum / static_cast<double>(choice["logprobs"]["token_logprobs"].size());
  };
  for (int prompt = 0; prompt < 2; ++prompt) {
    std::vector<double> means;
    for (int i = 0; i < 4; ++i) means.push_back(mean(all["choices"][prompt * 4 + i]));
    std::sort(means.rbegin(), means.rend());
    for (int i = 0; i < 2; ++i) {
      const Json& choice = best["choices"][prompt * 2 + i];
      EXPECT_EQ(choice["index"], prompt * 2 + i);
      EXPECT_DOUBLE_EQ(mean(choice), means[i]);
    }
  }
  request.erase("logprobs");
  const Json plain = Complete(request);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(plain["choices"][i]["text"], best["choices"][i]["text"]);
    EXPECT_TRUE(plain["choices"][i]["logprobs"].is_null());
  }
}

TEST_F(SeveralTest, EmbeddingsTakeAsManyTextsAsOpenAis) {
  Start();
  Json request = {{"input", std::vector<std::string>(300, "a")}, {"encoding_format", "base64"}};
  EXPECT_EQ(Post(port(), "/v1/embeddings", request).json()["data"].size(), 300u);
  request["input"] = std::vector<std::string>(2049, "a");
  const RawReply refused = Post(port(), "/v1/embeddings", request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("2048"));
  const Json prompts = {{"prompt", std::vector<std::string>(257, "a")}, {"max_tokens", 1}};
  EXPECT_EQ(Post(port(), "/v1/completions", prompts).status, 400);
}

}  // namespace
}  // namespace kvasir::testing_
