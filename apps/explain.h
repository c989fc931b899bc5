// What a spec means and does, found by running its methods on a cache of their own: no table of
// facts beside the methods' code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "methods/registry.h"

namespace kvasir::cli {

struct Context;

// "the last 32 queries", "every token", "nothing"; with the parameters of the method's example.
std::string MethodNeeds(const MethodInfo& method);
// "holds 1024 of 4096 entries", "31 % of the bytes", likewise.
std::string MethodSaves(const MethodInfo& method);

// Entries of one KV head, on average over heads.
struct HeldEntries {
  double after_prompt = 0;     // of n_prompt tokens
  double after_generated = 0;  // n_generated tokens later
  double bytes_share = 0;      // after the prompt, of the planes of `full`
  int64_t next_position = 0;   // at which the token after them is rotated
};
// Runs the methods of a spec on a layer whose attention is random but fixed.
Result<HeldEntries> Simulate(std::string_view spec, int64_t n_prompt, int64_t n_generated);

Result<int> ExplainSpec(Context& context);

}  // namespace kvasir::cli
