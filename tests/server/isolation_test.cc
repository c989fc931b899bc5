// What keeps clients apart, in every form of request: salts, keys, what is saved, quotas.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class IsolationTest : public ServerTest {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/isolation_test";
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  // A line a key.
  void StartWithKeys(const std::string& lines) {
    options_.api_key_file = folder_ + ".keys";
    std::ofstream(options_.api_key_file) << lines;
    Start(options_);
  }
  static Json AskText(const char* text, const char* field) {
    Json request = {{"max_tokens", 2}, {"max_output_tokens", 2}};
    if (std::string(field) == "messages") {
      request[field] = Json::array({{{"role", "user"}, {"content", text}}});
    } else {
      request[field] = text;
    }
    return request;
  }
  // Each form, and the field that its text is in.
  static constexpr std::pair<const char*, const char*> kForms[] = {
      {"/v1/chat/completions", "messages"},
      {"/v1/completions", "prompt"},
      {"/v1/messages", "messages"},
      {"/v1/responses", "input"}};

  server::ServerOptions options_;
  std::string folder_;
};

TEST_F(IsolationTest, SaltsShareNothingInAnyForm) {
  Start();
  for (const auto& [path, field] : kForms) {
    const auto reused = [&, path = path, field = field](const std::string& salt) {
      Json request = AskText("A long text about rivers and hills.", field);
      request["cache_salt"] = salt + path;
      const RawReply reply = Post(port(), path, request);
      EXPECT_EQ(reply.status, 200) << reply.body;
      return reply.json()["kv"]["reused_tokens"]["prefix"].get<int>();
    };
    EXPECT_EQ(reused("a"), 0) << path;
    EXPECT_GT(reused("a"), 0) << path;
    EXPECT_EQ(reused("b"), 0) << path;
  }
}

// A field that is read has its errors; one that is dropped has none.
TEST_F(IsolationTest, WhatAChatTakesTheOtherFormsTakeToo) {
  Start();
  const std::vector<std::pair<const char*, Json>> bad = {
      {"cache_salt", 5},       {"priority", "x"}, {"id_slot", 99}, {"cache_prompt", "x"},
      {"prompt_cache_key", 5}, {"top_k", "x"},    {"seed", "x"}};
  const std::vector<std::pair<const char*, Json>> bad_of_responses = {
      {"min_p", 2}, {"stop", 5}, {"logit_bias", {{"x", 1}}}};
  const auto param_of = [&](const char* path, const char* field, const char* name,
                            const Json& value) {
    Json request = AskText("Hi", field);
    request[name] = value;
    const RawReply reply = Post(port(), path, request);
    EXPECT_EQ(reply.status, 400) << path << name;
    return reply.json()["error"].value("message", "");
  };
  for (const auto& [path, field] : kForms) {
    for (const auto& [name, value] : bad) {
      EXPECT_THAT(param_of(path, field, name, value), HasSubstr(name)) << path;
    }
  }
  for (const auto& [name, value] : bad_of_responses) {
    EXPECT_THAT(param_of("/v1/responses", "input", name, value), HasSubstr(name));
  }
}

TEST_F(IsolationTest, AKeySavesUnderNamesOfItsOwn) {
  options_.slot_folder = folder_;
  StartWithKeys("key-of-alice name=alice\nkey-of-bob name=../b\nkey-of-admin name=op admin\n");
  const std::string alice = "X-Api-Key: key-of-alice\r\n", bob = "X-Api-Key: key-of-bob\r\n",
                    admin = "X-Api-Key: key-of-admin\r\n";
  const auto act = [&](const char* action, int slot, const std::string& key, Json body) {
    body["filename"] = "conv";
    return Post(port(), fmt::format("/slots/{}?action={}", slot, action), body, key);
  };
  const auto read = [&](int slot, const std::string& key, int n) {
    const Json request = {
        {"prompt", std::vector<int>(n, 50)}, {"max_tokens", 1}, {"id_slot", slot}};
    EXPECT_EQ(Post(port(), "/v1/completions", request, key).status, 200);
  };
  read(0, alice, 100);
  read(1, bob, 60);
  EXPECT_EQ(act("save", 0, alice, Json::object()).json()["n_saved"], 100);
  EXPECT_EQ(act("save", 1, bob, Json::object()).json()["n_saved"], 60);
  EXPECT_EQ(act("restore", 0, alice, Json::object()).json()["n_restored"], 100);
  EXPECT_EQ(act("restore", 1, bob, Json::object()).json()["n_restored"], 60);
  // An admin names whose file it means; nobody else may.
  EXPECT_EQ(act("restore", 2, admin, Json::object()).status, 400);
  EXPECT_EQ(act("restore", 2, admin, {{"key", "../b"}}).json()["n_restored"], 60);
  EXPECT_EQ(act("restore", 3, bob, {{"key", "alice"}}).status, 400);
  EXPECT_EQ(act("save", 1, bob, {{"key", "alice"}}).status, 400);
  EXPECT_FALSE(fs::exists(folder_ + "/../b")) << "a key's name leads out of the folder";
}

TEST_F(IsolationTest, AnAnswerThatIsCanceledCostsWhatWasRead) {
  StartWithKeys("key-of-alice name=alice tokens_per_minute=1000\n");
  const std::string key = "X-Api-Key: key-of-alice\r\n";
  Json request = Endless();
  request["prompt"] = std::vector<int>(1500, 50);
  {
    RawClient client(port());
    client.Send(PostText("/v1/completions", request.dump(), key));
    ASSERT_TRUE(Eventually([&] { return server_->engine().figures().prompt_tokens > 0; }));
  }
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(server_->engine().figures().canceled, 1);
  EXPECT_EQ(Post(port(), "/v1/completions", request, key).status, 429);
}

TEST_F(IsolationTest, AKeysAnswersAtATimeAreBounded) {
  StartWithKeys("key-of-alice name=alice parallel=1\nkey-of-bob name=bob\n");
  Json request = Endless();
  request["prompt"] = Json::array({"a", "b", "c", "d"});
  request["n"] = 2;
  request["max_tokens"] = 300;
  RawClient client(port());
  client.Send(PostText("/v1/completions", request.dump(), "X-Api-Key: key-of-alice\r\n"));
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running > 0; }));
  // Nobody else waits for it.
  const Json short_one = {{"prompt", "Hi"}, {"max_tokens", 1}};
  EXPECT_EQ(Post(port(), "/v1/completions", short_one, "X-Api-Key: key-of-bob\r\n").status, 200);
  ASSERT_TRUE(Eventually([&] { return server_->engine().figures().n_running <= 1; }));
  int64_t most = 0;
  while (!client.HasReply()) {
    most = std::max(most, server_->engine().figures().n_running);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(most, 1);
  EXPECT_EQ(client.Read().json()["choices"].size(), 8u);
}

}  // namespace
}  // namespace kvasir::testing_
