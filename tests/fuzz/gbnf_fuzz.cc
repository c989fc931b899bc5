// libFuzzer: a grammar in GBNF, a zero byte, and a text for it. Whatever the grammar, the matcher
// answers or says that it is too ambiguous, in bounded time, and a copy answers the same.
#include <cstdint>
#include <string_view>

#include "grammar/gbnf.h"
#include "grammar/matcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view text = zero == input.npos ? "" : input.substr(zero + 1, 200);
  const auto grammar = grammar::ParseGbnf(input.substr(0, zero));
  if (!grammar) {
    KV_CHECK(!grammar.error().message.empty());
    return 0;
  }
  grammar::Matcher matcher(*grammar);
  for (const char byte : text) {
    grammar::Matcher copy = matcher;
    const bool fits = matcher.Accept(std::string_view(&byte, 1));
    if (!matcher.problem().empty()) return 0;
    KV_CHECK(copy.Accept(std::string_view(&byte, 1)) == fits);
    KV_CHECK(copy.complete() == matcher.complete());
    // No dead ends: what is not complete goes on.
    KV_CHECK(matcher.complete() || matcher.can_continue());
  }
  return 0;
}
