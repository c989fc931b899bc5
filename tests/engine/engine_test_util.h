// What the engine's tests share: models, golden files, teacher forcing.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/session.h"
#include "kernels/elementwise.h"
#include "tests/paths.h"

namespace kvasir::testing_ {

inline std::string GoldenModel(const std::string& name) {
  // Not by `+`: GCC 12 at -O1 sees an overflow there that is none, for paths of some lengths.
  return fmt::format("{}/models/{}", GoldenDir(), name);
}

inline std::shared_ptr<LoadedModel> LoadModel(const std::string& path, int threads = 1,
                                              const std::string& cpu = "") {
  auto model = LoadedModel::Load({.path = path, .cpu = cpu, .threads = threads});
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *model : nullptr;
}

inline std::unique_ptr<SessionImpl> OpenSession(std::shared_ptr<LoadedModel> model,
                                                const SessionOptions& options = {}) {
  auto session = SessionImpl::Open(std::move(model), options);
  if (!session) ADD_FAILURE() << session.error().message;
  return session ? std::move(*session) : nullptr;
}

inline nlohmann::json ReadJson(const std::string& path) {
  nlohmann::json json;
  std::ifstream(path) >> json;
  return json;
}

inline float LogProb(std::span<const float> logits, int32_t id) {
  return logits[id] - LogSumExp(Isa::kAvx2, logits);
}

// Random ids of the tiny models' vocabulary of 512, special tokens left out.
inline std::vector<int32_t> RandomIds(int n, uint32_t seed) {
  std::vector<int32_t> ids;
  for (int i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    ids.push_back(static_cast<int32_t>(4 + (seed >> 8) % 500));
  }
  return ids;
}

// Logits after a prompt and after each of some forced tokens.
inline std::vector<std::vector<float>> Feed(SessionImpl& session, std::span<const int32_t> prompt,
                                            std::span<const int32_t> forced) {
  std::vector<std::vector<float>> logits;
  const auto note = [&] { logits.emplace_back(session.logits().begin(), session.logits().end()); };
  EXPECT_TRUE(session.Feed(prompt, {}));
  note();
  for (int32_t id : forced) {
    EXPECT_TRUE(session.Step(id));
    note();
  }
  return logits;
}

// Isas of this CPU; the others are skipped by the caller with a message.
inline std::vector<std::string> SupportedCpus() {
  std::vector<std::string> names;
  for (Isa isa : AllIsas()) {
    if (CpuSupports(isa)) names.emplace_back(IsaName(isa));
  }
  return names;
}

}  // namespace kvasir::testing_
