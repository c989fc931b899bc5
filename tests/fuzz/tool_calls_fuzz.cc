// libFuzzer: an answer of a model, cut in two ways. Both give the same content and calls.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/tool_calls.h"

namespace {

using kvasir::grammar::ToolCallParser;
using kvasir::grammar::ToolEvent;

// one: the answer has a call at most, and it has tags.
std::vector<std::string> Read(std::string_view text, size_t piece, bool one) {
  ToolCallParser parser({.tools = {"f", "g"},
                         .make_id = [] { return std::string("id"); },
                         .tagged_only = one,
                         .max_calls = one ? 1 : INT_MAX});
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
  for (const bool one : {false, true}) {
    const std::vector<std::string> whole = Read(text, text.size(), one);
    KV_CHECK(!one || whole.size() <= 3);
    KV_CHECK(Read(text, 1, one) == whole);
    KV_CHECK(Read(text, 1 + static_cast<uint8_t>(text[0]) % 7, one) == whole);
  }
  return 0;
}
