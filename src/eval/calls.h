// Function calls in a model's answer, as the Berkeley Function Calling Leaderboard reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/sample.h"

namespace kvasir::eval {

struct Call {
  std::string name;
  Json arguments = Json::object();
};

// Calls written as Python, "[f(a=1, b='x'), g()]" (brackets may be missing), or as JSON objects
// with "name" and "arguments", alone or in a list. Text around them is skipped. Empty: none was
// found.
std::vector<Call> ParseCalls(std::string_view text);

// `expected`: [{"name": {"argument": [allowed, …]}}, …] as in BFCL's possible answers; an allowed
// "" means that the argument may be left out. Right where every call has its expected one, in any
// order, and there are no others.
bool CallsMatch(const std::vector<Call>& calls, const Json& expected);

}  // namespace kvasir::eval
