// The OpenAI surface as clients parse it.
#include <gmock/gmock.h>

#include <set>

#include "kernels/elementwise.h"
#include "model/tokenizer/utf8.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

Json Chat(std::string text = "Tell me a story.") {
  return {{"messages", Json::array({{{"role", "user"}, {"content", text}}})},
          {"max_tokens", 20},
          {"seed", 5},
          {"ignore_eos", true}};
}

class OpenAiTest : public ServerTest {
 protected:
  void SetUp() override { Start(); }
};

TEST_F(OpenAiTest, AChatCompletionHasAllFields) {
  Json request = Chat();
  request["model"] = "whatever-it-is-called";
  const RawReply reply = Post(port(), "/v1/chat/completions", request);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.Has("Content-Type: application/json"));
  EXPECT_TRUE(reply.Has("X-Request-Id: "));
  const Json json = reply.json();
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "whatever-it-is-called");
  EXPECT_THAT(json["id"].get<std::string>(), testing::StartsWith("chatcmpl-"));
  EXPECT_TRUE(json["created"].is_number_integer());
  const Json& choice = json["choices"][0];
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_TRUE(choice["message"]["content"].is_string());
  EXPECT_TRUE(choice["logprobs"].is_null());
  const Json& usage = json["usage"];
  EXPECT_EQ(usage["completion_tokens"], 20);
  EXPECT_EQ(usage["total_tokens"], usage["prompt_tokens"].get<int>() + 20);
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(json["kv"]["spec"], "full");
  EXPECT_GT(json["kv"]["bytes"], 0);
}

TEST_F(OpenAiTest, AStreamIsFramedAsClientsReadIt) {
  Json request = Chat();
  const std::string whole =
      Post(port(), "/v1/chat/completions", request).json()["choices"][0]["message"]["content"];
  request["stream"] = true;
  request["stream_options"] = {{"include_usage", true}};
  const RawReply reply = Post(port(), "/v1/chat/completions", request);
  ASSERT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.complete);
  EXPECT_TRUE(reply.Has("Content-Type: text/event-stream"));
  EXPECT_TRUE(reply.Has("Cache-Control: no-cache"));
  const std::vector<std::string> events = Events(reply.body);
  ASSERT_GT(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text;
  std::set<std::string> ids;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const Json chunk = Json::parse(events[i]);
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    ids.insert(chunk["id"].get<std::string>());
    if (i == events.size() - 2) {
      EXPECT_TRUE(chunk["choices"].empty());
      EXPECT_EQ(chunk["usage"]["completion_tokens"], 20);
      continue;
    }
    EXPECT_TRUE(chunk["usage"].is_null());
    const Json& choice = chunk["choices"][0];
    EXPECT_EQ(choice["index"], 0);
    EXPECT_EQ(choice["delta"].contains("role"), i == 0);
    const bool last = i == events.size() - 3;
    EXPECT_EQ(choice["finish_reason"], last ? Json("length") : Json());
    EXPECT_EQ(choice["delta"].empty(), last);
    if (!last && i > 0) {
      const std::string piece = choice["delta"]["content"];
      EXPECT_TRUE(IsValidUtf8(piece));
      text += piece;
    }
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(text, whole);
}

TEST_F(OpenAiTest, LogprobsAreOfTheTokensAndSpellTheContent) {
  Json request = Chat();
  request["logprobs"] = true;
  request["top_logprobs"] = 3;
  const Json choice = Post(port(), "/v1/chat/completions", request).json()["choices"][0];
  std::string bytes;
  ASSERT_EQ(choice["logprobs"]["content"].size(), 20u);
  for (const Json& token : choice["logprobs"]["content"]) {
    for (const Json& byte : token["bytes"]) bytes += static_cast<char>(byte.get<int>());
    EXPECT_LE(token["logprob"], 0);
    ASSERT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_GE(token["top_logprobs"][0]["logprob"], token["top_logprobs"][1]["logprob"]);
  }
  Utf8Stream stream;
  std::string text = stream.Push(bytes);
  text += stream.Flush();
  EXPECT_EQ(text, choice["message"]["content"].get<std::string>());
}

TEST_F(OpenAiTest, SeedsRepeatAndSeveralAnswersDiffer) {
  Json request = Chat();
  request["n"] = 3;
  const Json a = Post(port(), "/v1/chat/completions", request).json();
  const Json b = Post(port(), "/v1/chat/completions", request).json();
  ASSERT_EQ(a["choices"].size(), 3u);
  EXPECT_EQ(a["choices"], b["choices"]);
  EXPECT_NE(a["choices"][0]["message"], a["choices"][1]["message"]);
  EXPECT_EQ(a["usage"]["completion_tokens"], 60);
  EXPECT_EQ(a["usage"]["prompt_tokens"], b["usage"]["prompt_tokens"]);
  request["stream"] = true;
  std::map<int, std::string> texts;
  for (const std::string& event : Events(Post(port(), "/v1/chat/completions", request).body)) {
    if (event == "[DONE]") continue;
    const Json choice = Json::parse(event)["choices"][0];
    if (choice["delta"].contains("content")) {
      texts[choice["index"]] += choice["delta"]["content"].get<std::string>();
    }
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(texts[i], a["choices"][i]["message"]["content"].get<std::string>());
  }
}

TEST_F(OpenAiTest, StopTextsEndAnAnswer) {
  Json request = Chat();
  const std::string whole =
      Post(port(), "/v1/chat/completions", request).json()["choices"][0]["message"]["content"];
  size_t at = whole.size() / 2;
  while (at < whole.size() && (static_cast<uint8_t>(whole[at]) & 0xC0) == 0x80) ++at;
  size_t end = at + 1;
  while (end < whole.size() && (static_cast<uint8_t>(whole[end]) & 0xC0) == 0x80) ++end;
  const std::string stop = whole.substr(at, end - at);
  for (const Json& form : {Json(stop), Json::array({"never there at all", stop})}) {
    request["stop"] = form;
    const Json choice = Post(port(), "/v1/chat/completions", request).json()["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["message"]["content"], whole.substr(0, whole.find(stop)));
  }
}

// What lm-eval-harness asks of `local-completions`.
TEST_F(OpenAiTest, EchoedLogprobsAreThoseOfTheModel) {
  const std::vector<int32_t> ids = {40, 50, 60, 70, 80, 90};
  for (const int n : {0, 1}) {
    const Json json = Post(port(), "/v1/completions",
                           {{"prompt", ids},
                            {"echo", true},
                            {"logprobs", 2},
                            {"max_tokens", n},
                            {"temperature", 0},
                            {"seed", 1}})
                          .json();
    const Json& logprobs = json["choices"][0]["logprobs"];
    ASSERT_EQ(logprobs["tokens"].size(), ids.size() + n) << json;
    EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
    EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
    auto session = Session::Open(model_, {});
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      ASSERT_TRUE((*session)->Feed({&ids[i], 1}, {}));
      const auto logits = (*session)->logits();
      const float expected = logits[ids[i + 1]] - LogSumExp(model_->isa(), logits);
      EXPECT_FLOAT_EQ(logprobs["token_logprobs"][i + 1].get<float>(), expected);
    }
    std::string text;
    for (size_t i = 0; i < logprobs["tokens"].size(); ++i) {
      EXPECT_LE(logprobs["text_offset"][i], json["choices"][0]["text"].get<std::string>().size());
    }
    EXPECT_EQ(json["usage"]["completion_tokens"], n);
  }
}

// A token that is a part of a character is told by its bytes, as OpenAI does.
TEST_F(OpenAiTest, LogprobsOfCompletionsTellSplitCharactersByTheirBytes) {
  std::vector<int32_t> ids;  // no text of the test model's has this character as one token
  for (const int32_t id : model_->Tokenize("a\U0001F98A", false)) ids.push_back(id);
  ASSERT_GT(ids.size(), 2u);
  const Json logprobs = Post(port(), "/v1/completions",
                             {{"prompt", ids},
                              {"echo", true},
                              {"logprobs", 20},
                              {"max_tokens", 1},
                              {"temperature", 0}})
                            .json()["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), ids.size() + 1);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string piece = model_->tokenizer().Piece(ids[i]);
    std::string expected = IsValidUtf8(piece) ? piece : "bytes:";
    if (!IsValidUtf8(piece)) {
      for (const char c : piece) expected += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    EXPECT_EQ(logprobs["tokens"][i], expected);
    if (i == 0) continue;
    // Tokens that are alike as text are still two.
    EXPECT_EQ(logprobs["top_logprobs"][i][expected], logprobs["token_logprobs"][i]);
    EXPECT_GE(logprobs["top_logprobs"][i].size(), 20u);
  }
  EXPECT_THAT(logprobs.dump(), testing::Not(HasSubstr("\uFFFD")));
  EXPECT_THAT(logprobs["tokens"].dump(), HasSubstr("bytes:"));
}

TEST_F(OpenAiTest, CompletionsTakeAllFormsOfPrompts) {
  for (const Json& prompt : {Json("Hello"), Json({"Hello", "World"}), Json({40, 50, 60}),
                             Json::array({Json::array({40, 50}), Json::array({60})})}) {
    const RawReply reply =
        Post(port(), "/v1/completions", {{"prompt", prompt}, {"max_tokens", 3}, {"n", 2}});
    ASSERT_EQ(reply.status, 200) << prompt << reply.body;
    const size_t n = prompt.is_array() && !prompt[0].is_number() ? prompt.size() : 1;
    EXPECT_EQ(reply.json()["choices"].size(), 2 * n) << prompt;
    EXPECT_EQ(reply.json()["object"], "text_completion");
  }
}

TEST_F(OpenAiTest, TheNextTurnSaysWhatWasCached) {
  Json request = Chat();
  const Json first = Post(port(), "/v1/chat/completions", request).json();
  request["messages"].push_back(first["choices"][0]["message"]);
  request["messages"].push_back({{"role", "user"}, {"content", "And then?"}});
  const Json second = Post(port(), "/v1/chat/completions", request).json();
  EXPECT_GE(second["usage"]["prompt_tokens_details"]["cached_tokens"],
            first["usage"]["prompt_tokens"].get<int>() - 1);
  EXPECT_EQ(second["kv"]["reused_tokens"]["prefix"],
            second["usage"]["prompt_tokens_details"]["cached_tokens"]);
  // A cold server gives the same answer.
  Start();
  EXPECT_EQ(Post(port(), "/v1/chat/completions", request).json()["choices"], second["choices"]);
}

// Trap 3.4, over HTTP.
TEST_F(OpenAiTest, AnEvictedCacheIsNeverServedUnderAnotherSpec) {
  Json a = Chat("A long text about rivers and hills, with many words that a method may drop.");
  a["kv"] = {{"spec", "snapkv:budget=24,window=8"}};
  const Json evicted = Post(port(), "/v1/chat/completions", a).json();
  EXPECT_LT(evicted["kv"]["entries"], evicted["kv"]["entries_full"]);
  Json b = a;
  b["messages"].push_back(evicted["choices"][0]["message"]);
  b["messages"].push_back({{"role", "user"}, {"content", "And then?"}});
  b["kv"] = {{"spec", "full"}};
  b["logprobs"] = true;
  const Json warm = Post(port(), "/v1/chat/completions", b).json();
  EXPECT_EQ(warm["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  Start();
  EXPECT_EQ(Post(port(), "/v1/chat/completions", b).json()["choices"], warm["choices"]);
}

TEST_F(OpenAiTest, KvMayBeChosenByRequest) {
  Json request =
      Chat("A long text about rivers and hills, with many words that a method may drop.");
  request["kv"] = {{"spec", "streaming"}, {"budget", 16}};
  const Json json = Post(port(), "/v1/chat/completions", request).json();
  EXPECT_EQ(json["kv"]["spec"], "streaming:budget=16");
  EXPECT_LT(json["kv"]["entries"], json["kv"]["entries_full"]);
  EXPECT_GT(json["kv"]["entries_evicted"], 0);
}

TEST_F(OpenAiTest, ModelsHealthAndTheLike) {
  const Json models = Get(port(), "/v1/models").json();
  EXPECT_EQ(models["object"], "list");
  EXPECT_EQ(models["data"][0]["id"], "llama");
  EXPECT_EQ(models["data"][0]["meta"]["n_vocab"], 512);
  EXPECT_EQ(Get(port(), "/models").json()["data"], models["data"]);
  EXPECT_EQ(Get(port(), "/v1/models/llama").json()["id"], "llama");
  EXPECT_EQ(Get(port(), "/v1/models/other").status, 404);
  EXPECT_EQ(Get(port(), "/health").json(), (Json{{"status", "ok"}}));
  EXPECT_EQ(Get(port(), "/props").json()["total_slots"], 4);
  EXPECT_EQ(Get(port(), "/slots").json().size(), 4u);
  EXPECT_EQ(Get(port(), "/slots?fail_on_no_slot=1").status, 200);
  EXPECT_EQ(Exchange(port(), "OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\n\r\n").status, 204);
  const RawReply head = Get(port(), "/v1/models");
  EXPECT_EQ(head.status, 200);
  Start({.model_name = "maker/model"});  // clients write such a name into the path as it is
  for (const char* path : {"/v1/models/maker/model", "/models/maker%2Fmodel"}) {
    EXPECT_EQ(Get(port(), path).json()["id"], "maker/model") << path;
  }
  EXPECT_EQ(Get(port(), "/v1/models/maker/other").json()["error"]["code"], "model_not_found");
}

// The clients of OpenAI and Anthropic for pages send headers of their own.
TEST_F(OpenAiTest, PagesOfTheOriginThatIsNamedAreLetIn) {
  Start({.cors_origin = "https://a.page"});
  const std::string asked = "authorization,content-type,x-stainless-os,anthropic-version";
  const RawReply preflight =
      Exchange(port(),
               "OPTIONS /v1/messages HTTP/1.1\r\nHost: x\r\nOrigin: https://a.page\r\n"
               "Access-Control-Request-Headers: " +
                   asked + "\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_TRUE(preflight.Has("Access-Control-Allow-Origin: https://a.page\r\n"));
  EXPECT_TRUE(preflight.Has("Access-Control-Allow-Headers: " + asked + "\r\n"));
  EXPECT_TRUE(Get(port(), "/v1/models").Has("Access-Control-Expose-Headers: Retry-After"));
}

TEST_F(OpenAiTest, TokenizeSpeaksBothDialects) {
  const Json llama =
      Post(port(), "/tokenize", {{"content", "Hello world"}, {"with_pieces", true}}).json();
  std::string text;
  std::vector<int32_t> ids;
  for (const Json& token : llama["tokens"]) {
    text += token["piece"].get<std::string>();
    ids.push_back(token["id"]);
  }
  EXPECT_EQ(text, "Hello world");
  const Json vllm =
      Post(port(), "/tokenize",
           {{"prompt", "Hello world"}, {"add_special_tokens", false}, {"return_token_strs", true}})
          .json();
  EXPECT_EQ(vllm["tokens"], Json(ids));
  EXPECT_EQ(vllm["count"], ids.size());
  EXPECT_EQ(vllm["token_strs"].size(), ids.size());
  EXPECT_EQ(Post(port(), "/detokenize", {{"tokens", ids}}).json()["content"], "Hello world");
  EXPECT_EQ(Post(port(), "/detokenize", {{"tokens", Json::array()}}).json()["content"], "");
  const Json info = Get(port(), "/tokenizer_info").json();
  EXPECT_EQ(info["eos_token"], model_->tokenizer().Piece(model_->tokenizer().eos()));
  EXPECT_EQ(info["chat_template"], model_->template_source());
  const Json chat = Chat("Hi");
  const std::string prompt = Post(port(), "/apply-template", chat).json()["prompt"];
  EXPECT_THAT(prompt, HasSubstr("Hi"));
  EXPECT_EQ(Post(port(), "/v1/chat/completions/input_tokens", chat).json()["input_tokens"],
            Post(port(), "/tokenize", chat).json()["count"]);
}

TEST_F(OpenAiTest, MetricsAreInPrometheusForm) {
  Post(port(), "/v1/chat/completions", Chat());
  ASSERT_TRUE(BecomesIdle());  // figures follow the reply
  const RawReply reply = Get(port(), "/metrics");
  EXPECT_TRUE(reply.Has("text/plain; version=0.0.4"));
  EXPECT_THAT(reply.body, HasSubstr("kvasir_generation_tokens_total{model_name=\"llama\"} 20\n"));
  EXPECT_THAT(reply.body, HasSubstr("kvasir_request_success_total{model_name=\"llama\","
                                    "finished_reason=\"length\"} 1\n"));
  EXPECT_THAT(reply.body, HasSubstr("le=\"+Inf\""));
  EXPECT_THAT(reply.body, testing::Not(HasSubstr("vllm:")));
  Start({.aliases = {.vllm = true, .llamacpp = true}});
  const std::string aliased = Get(port(), "/metrics").body;
  EXPECT_THAT(aliased, HasSubstr("vllm:num_requests_running"));
  EXPECT_THAT(aliased, HasSubstr("llamacpp:requests_processing"));
}

}  // namespace
}  // namespace kvasir::testing_
