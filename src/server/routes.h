// Which endpoint answers at which path.
#pragma once

#include <string>
#include <string_view>

#include "server/endpoints.h"

namespace kvasir::server {

enum class Access : uint8_t { kPublic, kKey, kQuota };  // kQuota: needs a key and counts

struct Route {
  // The path without /v1; at its end "/*": an operand, "/**": one that may hold slashes.
  std::string_view method, path;
  Endpoint endpoint;
  Access access = Access::kKey;
  Json (*error_body)(const ApiError&) = &ErrorJson;
  bool takes_long = false;  // it works itself, and does not only start an answer
};

// The route for a method and a path without /v1; null: there is none.
const Route* FindRoute(std::string_view method, std::string_view path);
// What the server answers itself: /health, /metrics, files of the page.
bool IsBuiltIn(std::string_view path);
// "GET, HEAD, OPTIONS": the methods of a path; "": there is none.
std::string AllowedMethods(std::string_view path);

}  // namespace kvasir::server
