// libFuzzer: any text as a spec. It builds a program or names what is wrong; never a crash.
#include <cstddef>
#include <cstdint>

#include "methods/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto specs = kvasir::SplitSpecs(text);
  if (!specs) {
    KV_CHECK(!specs.error().message.empty());
    return 0;
  }
  for (const std::string& spec : *specs) {
    const auto program = kvasir::Program::Build(spec);
    if (program) {
      KV_CHECK((*program)
                   ->needs({.n_layers = 4, .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 32})
                   .last_queries >= 0);
    } else {
      KV_CHECK(!program.error().message.empty());
    }
  }
  return 0;
}
