// The page at `/`: files that are part of the program, which speak to this server alone.
#pragma once

#include <string_view>

namespace kvasir::server {

struct PageFile {
  std::string_view path, type, text;
};
const PageFile* FindPageFile(std::string_view path);  // null: there is none

// What the page may do: load from here, and nothing else.
inline constexpr std::string_view kPagePolicy =
    "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action "
    "'none'";

}  // namespace kvasir::server
