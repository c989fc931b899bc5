// Slots to files and back, and streams that have nothing to say for a while.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SlotsTest : public ServerTest {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/slots_test";
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    Start();
  }
  void Start() {
    options_.slot_folder = folder_;
    options_.batch.n_slots = 2;
    ServerTest::Start(options_);
  }
  RawReply Act(std::string_view action, const Json& body, std::string_view headers = "",
               int slot = 0) {
    return Post(port(), fmt::format("/slots/{}?action={}", slot, action), body, headers);
  }
  // A first turn in slot 0, which reads 200 tokens, and the request of the second one.
  Json FirstTurn(const Json& fields = Json::object(), std::string_view headers = "") {
    std::vector<int> prompt(200);
    for (int i = 0; i < 200; ++i) prompt[i] = 40 + i * 7 % 200;
    Json request = {{"prompt", prompt}, {"max_tokens", 1}, {"id_slot", 0}, {"seed", 3}};
    request.update(fields);
    const RawReply reply = Post(port(), "/v1/completions", request, headers);
    EXPECT_EQ(reply.status, 200) << reply.body;
    prompt.insert(prompt.end(), {55, 56, 57});
    request["prompt"] = prompt;
    request["max_tokens"] = 8;
    return request;
  }
  static constexpr const char *kAlice = "X-Api-Key: key-of-alice\r\n",
                              *kBob = "X-Api-Key: key-of-bob\r\n",
                              *kAdmin = "X-Api-Key: key-of-operator\r\n";
  void StartWithKeys() {
    options_.api_key_file = folder_ + ".keys";
    std::ofstream(options_.api_key_file) << "key-of-alice name=alice\nkey-of-bob name=bob\n"
                                            "key-of-operator name=operator admin\n";
    Start();
  }
  static int Cached(const RawReply& reply) {
    return reply.json()["usage"]["prompt_tokens_details"]["cached_tokens"];
  }

  server::ServerOptions options_;
  std::string folder_;
};

TEST_F(SlotsTest, WhatWasReadComesBackInAnotherProcess) {
  for (const char* spec : {"full", "snapkv:budget=64 + q8", "streaming:budget=32"}) {
    Json request = FirstTurn({{"kv", {{"spec", spec}, {"salt", "s"}}}});
    const Json saved = Act("save", {{"filename", "a.slot"}}).json();
    ASSERT_EQ(saved["n_saved"], 200) << spec << saved;
    EXPECT_GE(fs::file_size(folder_ + "/a.slot"), saved["n_written"].get<uint64_t>());
    EXPECT_EQ(saved["filename"], "a.slot");
    EXPECT_TRUE(saved["timings"].contains("save_ms"));
    // Only what continues all of the text is served from a cache that was compressed.
    const RawReply went_on = Post(port(), "/v1/completions", request);
    const int cached = Cached(went_on);
    EXPECT_EQ(cached, 200) << spec;
    Start();  // it holds nothing
    const Json restored = Act("restore", {{"filename", "a.slot"}}).json();
    EXPECT_EQ(restored["n_restored"], saved["n_saved"]);
    EXPECT_EQ(restored["n_read"], saved["n_written"]);
    EXPECT_EQ(Get(port(), "/slots").json()[0]["n_tokens"], saved["n_saved"]);
    // Another salt is another's.
    Json foreign = request;
    foreign["kv"]["salt"] = "t";
    foreign["id_slot"] = 1;
    EXPECT_EQ(Cached(Post(port(), "/v1/completions", foreign)), 0);
    const RawReply reply = Post(port(), "/v1/completions", request);
    EXPECT_EQ(Cached(reply), cached) << spec;
    EXPECT_EQ(reply.json()["choices"][0]["text"], went_on.json()["choices"][0]["text"]) << spec;
    EXPECT_EQ(reply.json()["kv"]["spec"], went_on.json()["kv"]["spec"]);
  }
}

TEST_F(SlotsTest, FilenamesStayInTheFolder) {
  FirstTurn();
  for (const char* name : {"../a", "/etc/a", "a/b", "a\\b", "", ".", "..", ".a", "a b", "a\n"}) {
    for (const char* action : {"save", "restore"}) {
      const RawReply reply = Act(action, {{"filename", name}});
      EXPECT_EQ(reply.status, 400) << action << name;
      EXPECT_EQ(reply.json()["error"]["param"], "filename");
    }
  }
  EXPECT_EQ(Act("save", Json::object()).status, 400);
  EXPECT_EQ(Act("save", {{"filename", 5}}).status, 400);
  EXPECT_EQ(Act("save", {{"filename", std::string(201, 'a')}}).status, 400);
  EXPECT_TRUE(fs::is_empty(folder_));
  options_ = {};
  ServerTest::Start(options_);
  EXPECT_EQ(Act("save", {{"filename", "a"}}).status, 501);
  options_.slot_folder = folder_ + "/missing";
  EXPECT_FALSE(server::Server::Start(model_, options_));
}

TEST_F(SlotsTest, WhatCannotBeSavedOrRestoredIsSaid) {
  EXPECT_THAT(Act("save", {{"filename", "a"}}).body, HasSubstr("empty"));
  EXPECT_EQ(Act("restore", {{"filename", "none"}}).status, 400);
  FirstTurn();
  ASSERT_EQ(Act("save", {{"filename", "a"}}).status, 200);
  std::ifstream in(folder_ + "/a", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(folder_ + "/b", std::ios::binary) << bytes;
  std::ofstream(folder_ + "/c") << "something else";
  for (const char* name : {"b", "c"}) {
    EXPECT_EQ(Act("restore", {{"filename", name}}).status, 400) << name;
  }
  EXPECT_EQ(Get(port(), "/slots").json()[0]["n_tokens"], 200) << "a failure changes nothing";
  RawClient busy(port());
  Json endless = Endless();
  endless["stream"] = true;
  endless["id_slot"] = 0;
  busy.Send(PostText("/v1/completions", endless.dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().slots()[0].busy; }));
  EXPECT_EQ(Act("save", {{"filename", "d"}}).status, 409);
  EXPECT_EQ(Act("restore", {{"filename", "a"}}).status, 409);
  EXPECT_EQ(Act("restore", {{"filename", "a"}}, "", 1).status, 200);
}

TEST_F(SlotsTest, AKeyGetsNoOthersCache) {
  StartWithKeys();
  FirstTurn(Json::object(), kAlice);
  EXPECT_EQ(Act("save", {{"filename", "a"}}, kBob).status, 400);
  ASSERT_EQ(Act("save", {{"filename", "a"}}, kAlice).status, 200);
  EXPECT_EQ(Act("restore", {{"filename", "a"}}, kBob, 1).status, 400);
  EXPECT_EQ(Act("restore", {{"filename", "a"}}, kAlice, 1).status, 200);
}

TEST_F(SlotsTest, AKeyChangesNoOthersCache) {
  StartWithKeys();
  FirstTurn({{"id_slot", 1}}, kBob);
  ASSERT_EQ(Act("save", {{"filename", "of_bob"}}, kBob, 1).status, 200);
  FirstTurn(Json::object(), kAlice);
  const RawReply refused = Act("erase", Json::object(), kBob);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("another API key"));
  EXPECT_EQ(Act("restore", {{"filename", "of_bob"}}, kBob).status, 400);
  EXPECT_EQ(Get(port(), "/slots", kAlice).json()[0]["n_tokens"], 200) << "it is as it was";
  EXPECT_EQ(Act("erase", Json::object(), kAlice).json()["n_erased"], 200);
  // An empty slot is anybody's.
  EXPECT_EQ(Act("erase", Json::object(), kBob).json()["n_erased"], 0);
  EXPECT_EQ(Act("restore", {{"filename", "of_bob"}}, kBob).status, 200);
}

TEST_F(SlotsTest, AKeySeesOfOthersSlotsThatTheyAreBusy) {
  const auto slot_of = [&](const char* key) { return Get(port(), "/slots", key).json()[0]; };
  // Slots are counted between two steps, so maybe after the reply.
  const auto seen_by = [&](const char* key) {
    return Eventually([&] { return slot_of(key)["n_tokens"] == 200; });
  };
  FirstTurn();
  ASSERT_TRUE(seen_by("")) << "without keys everybody is the operator";
  const Json open = slot_of("");
  EXPECT_EQ(open["params"]["kv"], "full");
  StartWithKeys();
  FirstTurn(Json::object(), kAlice);
  ASSERT_TRUE(seen_by(kAlice));
  Json seen = {
      {"id", 0}, {"n_ctx", open["n_ctx"]}, {"speculative", false}, {"is_processing", false}};
  EXPECT_EQ(slot_of(kBob), seen);
  EXPECT_EQ(Get(port(), "/slots", kBob).json()[1]["n_tokens"], 0) << "an empty slot is nobody's";
  RawClient busy(port());
  Json endless = Endless();
  endless["stream"] = true;
  endless["id_slot"] = 0;
  busy.Send(PostText("/v1/completions", endless.dump(), kAlice));
  ASSERT_TRUE(Eventually([&] { return server_->engine().slots()[0].busy; }));
  seen["is_processing"] = true;
  EXPECT_EQ(slot_of(kBob), seen);
  EXPECT_GT(slot_of(kAlice)["next_token"]["n_remain"], 0);
}

TEST_F(SlotsTest, AnAdminSeesAndChangesEveryKeysSlots) {
  StartWithKeys();
  Json request = FirstTurn({{"kv", {{"spec", "streaming:budget=64"}}}}, kAlice);
  const auto slots = [&](const char* key) { return Get(port(), "/slots", key).json(); };
  ASSERT_TRUE(Eventually([&] { return slots(kAdmin)[0].value("n_tokens", 0) == 200; }));
  const Json seen = slots(kAdmin);
  EXPECT_EQ(seen[0]["key"], "alice");
  EXPECT_EQ(seen[0]["params"]["kv"], "streaming:budget=64");
  EXPECT_GT(seen[0]["kv_bytes"], 0);
  EXPECT_FALSE(seen[1].contains("key")) << "an empty slot is nobody's";
  EXPECT_FALSE(slots(kAlice)[0].contains("key"));
  EXPECT_EQ(slots(kBob)[0].size(), 4u) << "others see what they saw";
  EXPECT_EQ(Act("save", {{"filename", "a"}}, kAdmin).json()["n_saved"], 200);
  EXPECT_EQ(Act("erase", Json::object(), kAdmin).json()["n_erased"], 200);
  // It comes back as Alice's, from whose slot it was.
  EXPECT_EQ(Act("restore", {{"filename", "a"}}, kAdmin).json()["n_restored"], 200);
  EXPECT_EQ(slots(kAdmin)[0]["key"], "alice");
  EXPECT_EQ(Act("erase", Json::object(), kBob).status, 400);
  request["id_slot"] = 1;
  EXPECT_EQ(Cached(Post(port(), "/v1/completions", request, kAdmin)), 0)
      << "an admin's answers are made of no other key's cache";
  request["id_slot"] = 0;
  EXPECT_EQ(Cached(Post(port(), "/v1/completions", request, kAlice)), 200);
}

TEST_F(SlotsTest, APromptCacheKeyGoesBackToItsSlot) {
  StartWithKeys();
  const auto slot_for = [&](int first, const Json& fields, const char* key) {
    std::vector<int> prompt(100);
    for (int i = 0; i < 100; ++i) prompt[i] = first + i * 3 % 150;
    Json request = {{"prompt", prompt}, {"max_tokens", 1}};
    request.update(fields);
    const RawReply reply = Post(port(), "/v1/completions", request, key);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json()["kv"]["slot"].get<int>();
  };
  const Json keyed = {{"prompt_cache_key", "k"}};
  EXPECT_EQ(slot_for(40, {{"id_slot", 0}}, kAlice), 0);
  EXPECT_EQ(slot_for(41, {{"id_slot", 1}, {"prompt_cache_key", "k"}}, kAlice), 1);
  // Nothing fits: the one that was idle longest, but for the key.
  EXPECT_EQ(slot_for(42, keyed, kAlice), 1);
  EXPECT_EQ(slot_for(43, keyed, kBob), 0) << "another API key's is another one";
  EXPECT_EQ(slot_for(44, {{"prompt_cache_key", "l"}}, kAlice), 1);
}

// Where the prompt is most of what is shared, it is read again rather than a long cache given up;
// not so among requests of one key.
TEST_F(SlotsTest, APromptCacheKeySharesTheBeginningOfALongCache) {
  const auto ask = [&](int n_shared, const Json& fields) {
    std::vector<int> prompt(80, 99);
    for (int i = 0; i < n_shared; ++i) prompt[i] = 40 + i * 7 % 200;
    Json request = {{"prompt", prompt}, {"max_tokens", 1}};
    request.update(fields);
    return Post(port(), "/v1/completions", request);
  };
  const Json keyed = {{"prompt_cache_key", "k"}};
  FirstTurn(keyed);
  EXPECT_EQ(Cached(ask(60, Json::object())), 0);
  EXPECT_EQ(Act("erase", Json::object(), "", 1).json()["n_erased"], 80);
  EXPECT_EQ(Cached(ask(60, keyed)), 60);
  FirstTurn(keyed);
  EXPECT_EQ(Cached(ask(20, keyed)), 0) << "a few words are no reason";
}

// A request that waits for a slot hears that the server lives.
TEST_F(SlotsTest, ASilentStreamGetsComments) {
  options_.limits.ping_time = std::chrono::milliseconds(20);
  options_.slot_folder.clear();
  options_.batch.n_slots = 1;
  ServerTest::Start(options_);
  Json endless = Endless();
  endless["stream"] = true;
  RawClient first(port()), second(port());
  first.Send(PostText("/v1/completions", endless.dump()));
  ASSERT_TRUE(Eventually([&] { return server_->engine().slots()[0].busy; }));
  endless["max_tokens"] = 3;
  second.Send(PostText("/v1/completions", endless.dump()));
  while (second.received().find(": ping\n\n") == std::string::npos) ASSERT_TRUE(second.Receive());
  first.Close();
  const RawReply reply = second.Read();
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(Events(reply.body).back(), "[DONE]");
}

}  // namespace
}  // namespace kvasir::testing_
