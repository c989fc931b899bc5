// Regex: a Unicode regular expression over bytes (PCRE2, compiled to machine code where possible).
// Immutable after Compile; one object serves all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

class Regex {
 public:
  // Syntax of Oniguruma as tokenizer.json files use it (regex_syntax.h).
  static Result<Regex> Compile(std::string_view pattern);

 private:
  friend class RegexMatcher;
  struct Free {
    void operator()(void* code) const;
  };
  std::unique_ptr<void, Free> code_;  // pcre2_code
};

// Finds the matches of one Regex; for one thread, to be used for many texts.
class RegexMatcher {
 public:
  // `regex` must outlive the matcher; no text is longer than max_size bytes.
  RegexMatcher(const Regex& regex, size_t max_size);
  ~RegexMatcher();
  RegexMatcher(const RegexMatcher&) = delete;
  RegexMatcher& operator=(const RegexMatcher&) = delete;

  // Calls found(begin, end) for each match from left to right; matches may be empty. False where
  // the matcher gave up (a pattern that backtracks without end): later matches are missing.
  // REQUIRES: text is valid UTF-8.
  template <class Found>
  bool ForEach(std::string_view text, const Found& found) {
    for (size_t from = 0; from <= text.size();) {
      const Match match = Next(text, from);
      if (match.outcome != Outcome::kFound) return match.outcome == Outcome::kNone;
      found(match.begin, match.end);
      from = match.next;
    }
    return true;
  }

 private:
  enum class Outcome : uint8_t { kFound, kNone, kGaveUp };
  struct Match {
    Outcome outcome;
    size_t begin, end;
    size_t next;  // where to go on
  };
  Match Next(std::string_view text, size_t from);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvasir
