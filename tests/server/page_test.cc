// The page's files, the list of methods it shows, what a cache kept, and the dashboard's queries.
#include "server/page.h"

#include <gmock/gmock.h>

#include <fstream>
#include <regex>
#include <set>

#include "methods/registry.h"
#include "tests/paths.h"
#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

class PageTest : public ServerTest {};

TEST_F(PageTest, IsServedWithAPolicyThatKeepsItHere) {
  Start();
  const RawReply page = Get(port(), "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.Has("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(page.Has("Content-Security-Policy: default-src 'self';"));
  EXPECT_EQ(page.body, server::FindPageFile("/")->text);
  EXPECT_THAT(page.body, testing::Not(HasSubstr("http")));  // nothing from elsewhere
  // What it names is there.
  const std::regex link("(?:href|src)=\"([^\"]+)\"");
  int n = 0;
  for (std::sregex_iterator it(page.body.begin(), page.body.end(), link), end; it != end; ++it) {
    const std::string name = (*it)[1];
    if (name.starts_with("data:")) continue;
    EXPECT_EQ(Get(port(), "/" + name).status, 200) << name;
    ++n;
  }
  EXPECT_EQ(n, 2);
  EXPECT_EQ(Get(port(), "/client.js").status, 200);
  EXPECT_EQ(Exchange(port(), "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  EXPECT_EQ(Post(port(), "/", Json::object()).status, 405);
}

TEST_F(PageTest, MethodsAreThoseOfTheRegistryAndTheirExamplesServe) {
  server::ServerOptions options;
  options.batch.kv = "streaming:budget=100";
  Start(options);
  const Json reply = Get(port(), "/v1/kv/methods").json();
  EXPECT_EQ(reply["default_spec"], "streaming:budget=100");
  ASSERT_EQ(reply["data"].size(), AllMethods().size());
  for (size_t i = 0; i < AllMethods().size(); ++i) {
    EXPECT_EQ(reply["data"][i]["name"], AllMethods()[i]->name);
    EXPECT_TRUE(Program::Build(reply["data"][i]["example"].get<std::string>()));
  }
}

TEST_F(PageTest, TellsWhichPartsOfTheTextAreKept) {
  Start();
  Json request = {{"prompt", std::vector<int>(199, 30)},
                  {"max_tokens", 2},
                  {"ignore_eos", true},
                  {"kv", {{"spec", "streaming:budget=60,sinks=10"}, {"map", 20}}}};
  const Json map = Post(port(), "/v1/completions", request).json()["kv"]["kept_map"];
  ASSERT_EQ(map.size(), 20u);
  EXPECT_EQ(map[0], 1);
  for (int i = 1; i < 14; ++i) EXPECT_EQ(map[i], 0) << i;
  for (int i = 15; i < 20; ++i) EXPECT_EQ(map[i], 1) << i;
  request["kv"]["spec"] = "full";
  const Json full = Post(port(), "/v1/completions", request).json();
  for (const Json& share : full["kv"]["kept_map"]) EXPECT_EQ(share, 1);
  request["kv"].erase("map");
  EXPECT_FALSE(Post(port(), "/v1/completions", request).json()["kv"].contains("kept_map"));
  request["kv"]["map"] = 100000;
  EXPECT_EQ(Post(port(), "/v1/completions", request).status, 400);
}

TEST_F(PageTest, TheDashboardAsksForMetricsThatAreThere) {
  std::ifstream file(GoldenDir() + "/../../packaging/grafana/kvasir.json");
  const Json dashboard = Json::parse(file, nullptr, false);
  ASSERT_TRUE(dashboard.is_object());
  Start();
  ASSERT_EQ(Post(port(), "/v1/completions", {{"prompt", "Hi"}, {"max_tokens", 3}}).status, 200);
  ASSERT_TRUE(BecomesIdle());
  const std::string text = Get(port(), "/metrics").body;
  std::set<std::string> given, asked;
  const auto collect = [](const std::string& from, const std::regex& name, auto& into) {
    for (std::sregex_iterator it(from.begin(), from.end(), name), end; it != end; ++it) {
      into.insert((*it)[0]);
    }
  };
  collect(text, std::regex("\nkvasir_\\w+"), given);
  for (const Json& panel : dashboard["panels"]) {
    for (const Json& target : panel["targets"]) {
      collect(target["expr"].get<std::string>(), std::regex("\\bkvasir_\\w+"), asked);
    }
  }
  EXPECT_GT(asked.size(), 20u);
  for (const std::string& name : asked) EXPECT_TRUE(given.contains("\n" + name)) << name;
  // Labels too.
  for (const char* label : {"model_name", "tier", "finished_reason", "code", "le"}) {
    EXPECT_THAT(text, HasSubstr(std::string(label) + "=\""));
  }
}

}  // namespace
}  // namespace kvasir::testing_
