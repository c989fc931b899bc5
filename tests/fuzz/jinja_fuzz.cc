// Parses and renders any bytes as a template. Limits are small, so that a run that hangs or grows
// is a finding.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  static const auto* variables = new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief."},
                 {"role": "user", "content": "Hi\nthere é世"},
                 {"role": "assistant", "content": null,
                  "tool_calls": [{"function": {"name": "f", "arguments": {"q": 1.5, "n": -7}}}]}],
    "tools": null, "add_generation_prompt": true, "bos_token": "<s>",
    "l": [3, 1, 2], "d": {"x": 1, "y": {"z": [10, 20]}}, "s": "Hello", "n": 18446744073709551615})"));
  const auto parsed = jinja::Template::Parse({reinterpret_cast<const char*>(data), size});
  if (!parsed) return 0;
  jinja::RenderOptions options;
  options.limits.max_output_bytes = 1 << 20;
  options.limits.max_live_bytes = 8 << 20;
  options.limits.max_steps = 200'000;
  options.limits.max_iterations = 10'000;
  options.now = std::tm{};
  (void)parsed->Render(*variables, options);
  return 0;
}
