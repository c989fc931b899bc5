// JSON from outside: bounded in depth, and a key that is there twice is an error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

using Json = nlohmann::json;

// `name` goes in front of error messages. The root must be an object.
Result<Json> ParseJsonObject(std::string_view text, const std::string& name);

// Reads and parses a file of at most max_bytes.
Result<Json> ReadJsonObject(const std::string& path, size_t max_bytes);

// Shared by everything that parses JSON: how a handler of nlohmann's events tells what is wrong.
// A handler returns false from an event to stop; `error` then says why.
struct JsonHandler : nlohmann::json_sax<Json> {
  std::string error;

  bool Stop(std::string message) {
    error = std::move(message);
    return false;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    return Stop(e.what());
  }
};

// "string", "object", ... as JSON calls it.
std::string_view JsonTypeName(const Json& value);

}  // namespace kvasir
