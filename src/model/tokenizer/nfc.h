// Unicode's normalisation forms (UAX #15).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

// C composes, D does not; K: compatibility characters (ligatures, full width) become plain ones.
enum class NormalForm : uint8_t { kNfc, kNfd, kNfkc, kNfkd };

// Bytes that are no UTF-8 are kept, as if they were starters.
std::string Normalized(std::string_view text, NormalForm form);

}  // namespace kvasir
