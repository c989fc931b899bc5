// Random gates for a test's model, as a side file in a cache folder of the test's own.
#pragma once

#include <cstdlib>
#include <filesystem>

#include "engine/side_file_io.h"
#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {

inline SideFile MadeGates(const LoadedModel& model, float bias = 3) {
  const std::string fingerprint = model.facts().fingerprint;
  SideFile file{.path = DefaultSideFilePath("trimkv-gates", fingerprint),
                .kind = "trimkv-gates",
                .model = fingerprint,
                .notes = {},
                .tensors = {}};
  const ModelInfo& info = model.info();
  uint32_t seed = 1;
  const auto random = [&](std::vector<int64_t> shape, float spread, float centre) {
    int64_t n = 1;
    for (int64_t size : shape) n *= size;
    SideTensor tensor{std::move(shape), {}};
    for (int64_t i = 0; i < n; ++i) {
      seed = seed * 1664525u + 1013904223u;
      tensor.values.push_back(centre + spread * (static_cast<float>(seed >> 8) * 0x1p-23f - 1));
    }
    return tensor;
  };
  for (int l = 0; l < info.n_layers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".self_attn.retention_gate.";
    file.tensors[at + "linear1.weight"] = random({24, info.hidden}, 0.5f, 0);
    file.tensors[at + "linear1.bias"] = random({24}, 0.5f, 0);
    file.tensors[at + "linear2.weight"] = random({info.n_kv_heads, 24}, 1, 0);
    file.tensors[at + "bias"] = random({info.n_kv_heads}, 0.5f, bias);
  }
  return file;
}

// From here on `auto` finds them. The default model is still found where it is.
inline void KeepMadeGates(const LoadedModel& model) {
  if (const auto installed = FindModel("")) setenv("KVASIR_MODEL", installed->c_str(), 1);
  setenv("XDG_CACHE_HOME", (testing::TempDir() + "kvasir_made_gates").c_str(), 1);
  const Status status = WriteSideFile(MadeGates(model));
  if (!status) ADD_FAILURE() << status.error().message;
}

}  // namespace kvasir::testing_
