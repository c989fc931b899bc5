// A server on a tiny model, on any free port of the loopback.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
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
