// Unicode normalisation form C (UAX #15).
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

// Bytes that are no UTF-8 are kept, as if they were starters.
std::string ToNfc(std::string_view text);

}  // namespace kvasir
