// libFuzzer: any text as a JSON schema, and a seed behind a zero byte. It is refused with a
// message, or what its grammar writes is JSON; the same where what cannot be held to is left out.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/json_schema.h"
#include "grammar/matcher.h"

namespace {

using namespace kvasir::grammar;

void Write(const kvasir::Result<std::shared_ptr<const Grammar>>& grammar,
           std::string_view choices) {
  if (!grammar) {
    KV_CHECK(!grammar.error().message.empty());
    return;
  }
  Matcher matcher(*grammar);
  std::string text;
  while (matcher.can_continue() && text.size() < 300) {
    if (matcher.complete()) KV_CHECK(Json::accept(text));
    std::string allowed;
    for (int byte = 0; byte < 256; ++byte) {
      if (matcher.Next(matcher.state(), static_cast<uint8_t>(byte)) != Matcher::kDead)
        allowed += static_cast<char>(byte);
    }
    if (!matcher.problem().empty()) return;
    KV_CHECK(!allowed.empty());
    const size_t choice = choices.empty() ? 0 : static_cast<uint8_t>(choices[0]);
    if (!choices.empty()) choices.remove_prefix(1);
    const char byte = allowed[choice % allowed.size()];
    KV_CHECK(matcher.Accept(std::string_view(&byte, 1)));
    text += byte;
  }
  if (matcher.complete()) KV_CHECK(Json::accept(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view choices = zero == input.npos ? "" : input.substr(zero + 1);
  const auto schema = ParseJson(input.substr(0, zero), "JSON schema");
  if (!schema) return 0;
  Write(CompileJsonSchema(*schema), choices);
  std::vector<std::string> left_out;
  Write(CompileJsonSchema(*schema, &left_out), choices);
  for (const std::string& what : left_out) KV_CHECK(what.size() < 2000);
  return 0;
}
