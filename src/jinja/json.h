// JSON in and out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

// Variables for a template, uncounted. Errors: text that is not UTF-8, too deep nesting.
Result<Value> FromJson(const nlohmann::ordered_json& json);

struct JsonStyle {
  bool ascii = false;
  bool pretty = false;
  std::string indent;  // one level
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};

// Python's json.dumps.
Status AppendJson(Heap& heap, const Value& value, const JsonStyle& style, std::string& out);

}  // namespace kvasir::jinja
