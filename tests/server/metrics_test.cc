// What /metrics tells of caches: what was found in them, what was dropped, what they hold.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

class MetricsTest : public ServerTest {
 protected:
  // The sample of that name whose labels beside the model's are these; -1: there is none.
  double Sample(const std::string& name, const std::string& labels = "") {
    const std::string line =
        fmt::format("\n{}{{model_name=\"llama\"{}{}}} ", name, labels.empty() ? "" : ",", labels);
    const std::string text = Get(port(), "/metrics").body;
    const size_t at = text.find(line);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
  }
  double Evicted(const std::string& policy) {
    return Sample("kvasir_kv_evicted_tokens_total",
                  fmt::format("policy=\"{}\",reason=\"budget\"", policy));
  }
  Json Complete(const Json& fields) {
    Json request = {{"max_tokens", 4}, {"ignore_eos", true}, {"temperature", 0}};
    request.update(fields);
    const RawReply reply = Post(port(), "/v1/completions", request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_TRUE(BecomesIdle());  // figures follow the reply
    return reply.json();
  }
  int64_t n_heads() const { return int64_t{model_->info().n_layers} * model_->info().n_kv_heads; }
};

// Trap 3.15: reuse that is on, and finds nothing.
TEST_F(MetricsTest, ASecondTurnIsFoundInTheCache) {
  Start();
  Json request = {{"messages", Json::array({{{"role", "user"}, {"content", "Tell me a story."}}})},
                  {"max_tokens", 8},
                  {"seed", 5}};
  const Json first = Post(port(), "/v1/chat/completions", request).json();
  ASSERT_TRUE(BecomesIdle());
  const std::string name = "kvasir_prefix_hit_tokens_total", kind = "kind=\"prefix\"";
  EXPECT_EQ(Sample(name, kind), 0);
  request["messages"].push_back(first["choices"][0]["message"]);
  request["messages"].push_back({{"role", "user"}, {"content", "And then?"}});
  const Json second = Post(port(), "/v1/chat/completions", request).json();
  ASSERT_TRUE(BecomesIdle());
  EXPECT_GT(Sample(name, kind), 0);
  EXPECT_EQ(Sample(name, kind), second["usage"]["prompt_tokens_details"]["cached_tokens"]);
  EXPECT_EQ(Sample(name, kind), second["kv"]["reused_tokens"]["prefix"]);
  EXPECT_EQ(Sample(name, "kind=\"restored\""), 0);
}

// The same trap: what comes from a file counts as that, under every kind of cache.
TEST_F(MetricsTest, WhatARestoredSlotServesIsCountedApart) {
  const std::string folder = testing::TempDir() + "restored";
  std::filesystem::create_directory(folder);
  const std::string name = "kvasir_prefix_hit_tokens_total";
  for (const char* spec : {"full", "streaming:budget=32"}) {
    Start({.batch = {.n_slots = 1}, .slot_folder = folder});
    Json fields = {
        {"prompt", std::vector<int>(100, 50)}, {"max_tokens", 1}, {"kv", {{"spec", spec}}}};
    Complete(fields);
    Post(port(), "/slots/0?action=save", {{"filename", "a"}});
    Post(port(), "/slots/0?action=erase", Json::object());
    Post(port(), "/slots/0?action=restore", {{"filename", "a"}});
    fields["prompt"].push_back(60);
    const Json reply = Complete(fields);
    EXPECT_EQ(reply["kv"]["reused_tokens"], (Json{{"prefix", 0}, {"restored", 100}})) << spec;
    EXPECT_EQ(Sample(name, "kind=\"restored\""), 100) << spec;
    EXPECT_EQ(Sample(name, "kind=\"prefix\""), 0) << spec;
    // Another text in the slot is no more from the file.
    fields["prompt"] = std::vector<int>(80, 70);
    Complete(fields);
    fields["prompt"].push_back(60);
    EXPECT_EQ(Complete(fields)["kv"]["reused_tokens"]["prefix"], 80) << spec;
    EXPECT_EQ(Sample(name, "kind=\"restored\""), 100) << spec;
  }
}

// The same trap: what is asked for and not there is said, not ignored.
TEST_F(MetricsTest, ReuseOfMiddlePiecesIsWarnedOf) {
  Start();
  const Json prompt = std::vector<int>(20, 50);
  EXPECT_EQ(Complete({{"prompt", prompt}, {"n_cache_reuse", 0}})["kv"]["warnings"], Json::array());
  const Json reply = Complete({{"prompt", prompt}, {"n_cache_reuse", 256}});
  ASSERT_EQ(reply["kv"]["warnings"].size(), 1u);
  EXPECT_THAT(reply["kv"]["warnings"][0].get<std::string>(), testing::HasSubstr("n_cache_reuse"));
  const Json bad = {{"prompt", prompt}, {"kv", {{"reuse", "chunks"}}}};
  EXPECT_EQ(Post(port(), "/v1/completions", bad).status, 400);
}

TEST_F(MetricsTest, WhatMethodsDropIsCountedOnce) {
  Start();
  EXPECT_EQ(Sample("kvasir_kv_compactions_total"), 0);
  std::vector<int> prompt(200);
  for (int i = 0; i < 200; ++i) prompt[i] = 40 + i * 7 % 200;
  Complete({{"prompt", prompt}});
  EXPECT_EQ(Evicted("full"), -1) << "nothing was dropped";
  Json fields = {{"prompt", prompt}, {"kv", {{"spec", "adakv + snapkv:budget=40,window=8"}}}};
  const auto dropped = [&](const Json& reply) {
    return reply["kv"]["entries_evicted"].get<double>() / static_cast<double>(n_heads());
  };
  const double first = dropped(Complete(fields));
  EXPECT_GT(first, 100);
  EXPECT_DOUBLE_EQ(Evicted("adakv+snapkv"), first);
  EXPECT_EQ(Sample("kvasir_kv_compactions_total"), 1);
  // The next turn's cache lacks what the first one dropped, and what it drops itself. An answer of
  // one token leaves the cache of its prompt.
  fields = {{"prompt", prompt}, {"max_tokens", 1}, {"kv", {{"spec", "streaming:budget=32"}}}};
  const Json turn = Complete(fields);
  EXPECT_DOUBLE_EQ(Evicted("streaming"), dropped(turn));
  for (int i = 0; i < 5; ++i) fields["prompt"].push_back(60 + i);
  fields["max_tokens"] = 4;
  fields["id_slot"] = turn["kv"]["slot"];
  const Json next = Complete(fields);
  ASSERT_EQ(next["usage"]["prompt_tokens_details"]["cached_tokens"], 200);
  EXPECT_GT(dropped(next), dropped(turn));
  EXPECT_DOUBLE_EQ(Evicted("streaming"), dropped(next)) << "what the turn dropped is in it";
  EXPECT_EQ(Sample("kvasir_kv_compactions_total"), 3);
}

// The client goes in the midst of the answer; what its prompt's cache lost until then counts.
TEST_F(MetricsTest, WhatACanceledAnswerDroppedIsCounted) {
  Start();
  Json request = Endless();
  request["prompt"] = std::vector<int>(200, 50);
  request["kv"] = {{"spec", "streaming:budget=40"}};
  request["stream"] = true;
  RawClient client(port());
  client.Send(PostText("/v1/completions", request.dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().generated_tokens > 5; }));
  EXPECT_EQ(Evicted("streaming"), -1) << "it has not ended";
  client.Close();
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().canceled == 1; }));
  EXPECT_GE(Evicted("streaming"), 160);
  EXPECT_EQ(Sample("kvasir_kv_compactions_total"), 1);
}

// Two answers to one prompt share what it lost, and drop more of their own.
TEST_F(MetricsTest, AnswersToOnePromptCountItsEvictionsOnce) {
  Start();
  const Json fields = {{"prompt", std::vector<int>(200, 50)},
                       {"n", 2},
                       {"max_tokens", 1},
                       {"kv", {{"spec", "streaming:budget=40"}}}};
  Complete(fields);
  EXPECT_DOUBLE_EQ(Evicted("streaming"), 160);
  EXPECT_EQ(Sample("kvasir_kv_compactions_total"), 1);
}

TEST_F(MetricsTest, CachesAreCountedByStateAndCodec) {
  Start({.batch = {.n_slots = 2}});
  EXPECT_EQ(Sample("kvasir_kv_tokens", "state=\"idle\""), 0);
  const auto bytes = [&](const std::string& codec) {
    return Sample("kvasir_kv_bytes", fmt::format("tier=\"host\",codec=\"{}\"", codec));
  };
  const std::vector<int> prompt(100, 50);
  const Json plain = Complete({{"prompt", prompt}, {"id_slot", 0}, {"max_tokens", 1}});
  const Json small =
      Complete({{"prompt", prompt}, {"id_slot", 1}, {"max_tokens", 1}, {"kv", {{"type", "q8"}}}});
  EXPECT_EQ(Sample("kvasir_kv_tokens", "state=\"idle\""), 200);
  EXPECT_EQ(Sample("kvasir_kv_tokens", "state=\"running\""), 0);
  std::map<std::string, double> told;
  double sum = 0;
  for (const Json& reply : {plain, small}) {
    for (const auto& [codec, n] : reply["kv"]["by_codec"].items()) {
      told[codec] += n.get<double>();
      sum += n.get<double>();
    }
  }
  for (const auto& [codec, n] : told) EXPECT_EQ(bytes(codec), n) << codec;
  EXPECT_GT(bytes("q8"), 0);
  EXPECT_EQ(bytes("changing"), 0);
  int64_t held = 0;
  for (const SlotFacts& slot : server_->engine().slots()) held += slot.kv_bytes;
  EXPECT_EQ(sum, static_cast<double>(held));
  // An answer that is being made has not told yet; and what was erased is gone.
  RawClient busy(port());
  Json endless = Endless();
  endless["stream"] = true;
  endless["id_slot"] = 0;
  busy.Send(PostText("/v1/completions", endless.dump()));
  ASSERT_TRUE(Eventually([&] { return Sample("kvasir_kv_tokens", "state=\"running\"") > 0; }));
  EXPECT_GT(bytes("changing"), 0);
  busy.Close();
  ASSERT_TRUE(BecomesIdle());
  for (int slot = 0; slot < 2; ++slot) {
    Post(port(), fmt::format("/slots/{}?action=erase", slot), Json::object());
  }
  EXPECT_EQ(bytes("q8"), -1);
  EXPECT_EQ(bytes("changing"), 0);
}

}  // namespace
}  // namespace kvasir::testing_
