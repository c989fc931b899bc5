// Reading JSON that someone else wrote: every access checks the type, nothing throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

using Json = nlohmann::json;

// Fails on text that is no JSON, is nested deeper than 64, or is larger than 256 MiB. `name` is
// what errors call the text.
Result<Json> ParseJson(std::string_view text, std::string_view name);

// Null where `object` is no object or has no such member, or the member is null.
const Json* Member(const Json& object, const char* key);
// The member's value, or the fallback where it is missing or of another type.
bool BoolOr(const Json& object, const char* key, bool fallback);
std::string_view StringOr(const Json& object, const char* key, std::string_view fallback);

}  // namespace kvasir
