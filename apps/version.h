#pragma once

#include <string_view>

namespace kvasir::cli {

inline constexpr std::string_view kVersion = KVASIR_VERSION;  // set by CMake

}  // namespace kvasir::cli
