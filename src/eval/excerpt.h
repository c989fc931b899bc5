// Texts and maps cut to size, so that a page with many samples still opens.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/sample.h"

namespace kvasir::eval {

// At most n bytes, in whole characters of UTF-8; "…" stands for the rest.
std::string Clip(std::string_view text, size_t n);

// A text of at most about n bytes: its beginning, its end, and the surroundings of the first place
// where each answer stands. ["It was", 4012, "the number is 7.", 88, "the end."]: a number is how
// many characters are left out.
Json Excerpt(std::string_view text, std::span<const std::string> answers, size_t n);

// Lines of digits, each output line the rounded mean of `n_each` neighbours.
std::vector<std::string> CoarseMap(std::span<const std::string> lines, size_t n_each);

}  // namespace kvasir::eval
