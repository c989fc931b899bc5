// Limits: what one render may use. A template and its variables are untrusted; each limit is an
// error that names itself, never a crash, a hang or a huge allocation.
#pragma once

#include <cstdint>

namespace kvasir::jinja {

struct Limits {
  int64_t max_output_bytes = 64 << 20;  // text written, captured blocks included
  int64_t max_live_bytes = 256 << 20;   // strings, lists, dicts and objects alive at once
  int64_t max_steps = 10'000'000;       // nodes evaluated, elements and blocks of text touched
  int64_t max_iterations = 1'000'000;   // loop bodies run
  int max_depth = 500;                  // nested evaluations: expressions, blocks, macro calls
};

// Bounds that do not depend on the render.
inline constexpr int kMaxNesting = 120;     // of a template's source: blocks and expressions
inline constexpr int kMaxValueDepth = 200;  // of nested lists and dicts
inline constexpr int64_t kMaxSourceBytes = 4 << 20;
inline constexpr int64_t kMaxRange = 100'000;    // elements of range(), as in Jinja's sandbox
inline constexpr int64_t kMaxWidth = 1'000'000;  // field widths and precisions of formats

}  // namespace kvasir::jinja
