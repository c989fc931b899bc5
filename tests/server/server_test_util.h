// A server on a tiny model, on any free port of the loopback.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "server/server.h"
#include "tests/paths.h"
#include "tests/server/raw_client.h"

namespace kvasir::testing_ {

class ServerTest : public testing::Test {
 protected:
  void Start(server::ServerOptions options = {}) {
    server_.reset();
    options.port = 0;
    options.log = server::LogFormat::kNone;
    if (model_ == nullptr) {
      auto model = LoadedModel::Load({.path = GoldenDir() + "/models/llama.gguf", .threads = 1});
      ASSERT_TRUE(model) << model.error().message;
      model_ = *model;
    }
    auto server = server::Server::Start(model_, options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  // The same model with another template.
  void StartWith(const std::string& chat_template) {
    namespace fs = std::filesystem;
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    const fs::path folder = fs::path(testing::TempDir()) / (std::string(test->name()) + "_model");
    fs::remove_all(folder);
    fs::copy(GoldenDir() + "/models/llama.hf", folder, fs::copy_options::recursive);
    Json config = Json::parse(std::ifstream(folder / "tokenizer_config.json"));
    config["chat_template"] = chat_template;
    fs::remove(folder / "tokenizer_config.json");
    std::ofstream(folder / "tokenizer_config.json") << config;
    auto model = LoadedModel::Load({.path = folder, .threads = 1});
    ASSERT_TRUE(model) << model.error().message;
    model_ = *model;
    Start();
  }
  int port() const { return server_->port(); }

  // Waits, 20 s at most, until `done` holds.
  template <class F>
  static bool Eventually(F done) {
    for (int i = 0; i < 2000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool BecomesIdle() {
    return Eventually([&] {
      const BatchFigures figures = server_->engine().figures();
      return server_->engine().idle() && figures.n_running == 0 && figures.n_waiting == 0;
    });
  }
  // 2,048 tokens of context are plenty to be in the middle of.
  static Json Endless() {
    return {{"prompt", "Once upon a time"},
            {"max_tokens", 1500},
            {"ignore_eos", true},
            {"temperature", 1},
            {"seed", 1}};
  }

  std::shared_ptr<LoadedModel> model_;
  std::unique_ptr<server::Server> server_;
};

}  // namespace kvasir::testing_
