// libFuzzer: an answer of a model, cut in two ways. Both give the same content and calls.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/tool_calls.h"

namespace {

using kvasir::grammar::ToolCallParser;
using kvasir::grammar::ToolEvent;

std::vector<std::string> Read(std::string_view text, size_t piece) {
  ToolCallParser parser({.tools = {"f", "g"}, .make_id = [] { return std::string("id"); }});
  std::vector<std::string> out = {""};  // content, then name and arguments of each call
  const auto take = [&](const std::vector<ToolEvent>& events) {
    for (const ToolEvent& event : events) {
      if (event.kind == ToolEvent::kCall) {
        KV_CHECK(out.size() == 1 + 2 * static_cast<size_t>(event.index));
        out.push_back(event.name);
        out.emplace_back();
      } else {
        out[event.kind == ToolEvent::kContent ? 0 : 2 * event.index + 2] += event.text;
      }
    }
  };
  for (size_t at = 0; at < text.size(); at += piece) take(parser.Push(text.substr(at, piece)));
  take(parser.Finish());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.empty()) return 0;
  const std::vector<std::string> whole = Read(text, text.size());
  KV_CHECK(Read(text, 1) == whole);
  KV_CHECK(Read(text, 1 + static_cast<uint8_t>(text[0]) % 7) == whole);
  return 0;
}
