// Regex: a Unicode regular expression over bytes (PCRE2, compiled to machine code where possible).
// Immutable after Compile; one object serves all threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

class Regex {
 public:
  // Syntax of Oniguruma as tokenizer.json files use it, where it means the same in PCRE2; what
  // would mean something else (class intersections, nested classes, \h) is an error.
  static Result<Regex> Compile(std::string_view pattern);

  // Calls found(begin, end) for each match from left to right; matches may be empty. False where
  // the matcher gave up (a pattern that backtracks without end): later matches are missing.
  // REQUIRES: text is valid UTF-8.
  using Found = std::function<void(size_t begin, size_t end)>;
  bool ForEach(std::string_view text, const Found& found) const;

 private:
  struct Free {
    void operator()(void* code) const;
  };
  std::unique_ptr<void, Free> code_;  // pcre2_code
};

}  // namespace kvasir
