// A plain validator of JSON schemas, for tests: it reads the keywords one after the other, as the
// specification defines them, and knows nothing of grammars.
#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

class SchemaValidator {
 public:
  // closed: objects have none but their properties, unless additionalProperties says something.
  explicit SchemaValidator(const Json& document, bool closed = false)
      : document_(document), closed_(closed) {}

  bool Valid(const Json& value) const { return Valid(document_, value); }

  bool Valid(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    return std::ranges::all_of(schema.items(), [&](const auto& item) {
      return Holds(schema, item.key(), item.value(), value);
    });
  }

 private:
  static bool IsType(const Json& value, const std::string& type) {
    if (type == "number") return value.is_number();
    if (type == "integer")
      return value.is_number() && std::floor(value.get<double>()) == value.get<double>();
    return value.type_name() == type;
  }

  static double Length(const std::string& text) {
    return static_cast<double>(
        std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
  }

  bool Holds(const Json& schema, const std::string& key, const Json& says,
             const Json& value) const {
    const auto branches = [&] {
      return std::ranges::count_if(says, [&](const Json& branch) { return Valid(branch, value); });
    };
    if (key == "type") {
      return says.is_array()
                 ? std::ranges::any_of(says, [&](const Json& type) { return IsType(value, type); })
                 : IsType(value, says);
    }
    if (key == "enum") return std::ranges::find(says, value) != says.end();
    if (key == "const") return value == says;
    if (key == "anyOf") return branches() > 0;
    if (key == "oneOf") return branches() == 1;
    if (key == "allOf") return branches() == static_cast<int64_t>(says.size());
    if (key == "$ref") {
      const std::string pointer = says.get<std::string>().substr(1);
      return Valid(document_.at(Json::json_pointer(pointer)), value);
    }
    if (value.is_number()) return NumberHolds(key, says, value.get<double>());
    if (value.is_string()) return StringHolds(key, says, value.get<std::string>());
    if (value.is_array()) return ArrayHolds(schema, key, says, value);
    if (value.is_object()) return ObjectHolds(schema, key, says, value);
    return true;
  }

  static bool NumberHolds(const std::string& key, const Json& says, double value) {
    if (key == "minimum") return value >= says.get<double>();
    if (key == "maximum") return value <= says.get<double>();
    if (key == "exclusiveMinimum") return value > says.get<double>();
    if (key == "exclusiveMaximum") return value < says.get<double>();
    return true;
  }

  static bool StringHolds(const std::string& key, const Json& says, const std::string& value) {
    if (key == "minLength") return Length(value) >= says.get<double>();
    if (key == "maxLength") return Length(value) <= says.get<double>();
    if (key == "pattern") return std::regex_search(value, std::regex(says.get<std::string>()));
    return true;
  }

  bool ArrayHolds(const Json& schema, const std::string& key, const Json& says,
                  const Json& value) const {
    const auto n = static_cast<double>(value.size());
    if (key == "minItems") return n >= says.get<double>();
    if (key == "maxItems") return n <= says.get<double>();
    const size_t n_prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    if (key == "prefixItems") {
      for (size_t i = 0; i < std::min(n_prefix, value.size()); ++i) {
        if (!Valid(says[i], value[i])) return false;
      }
    }
    if (key == "items") {
      for (size_t i = n_prefix; i < value.size(); ++i) {
        if (!Valid(says, value[i])) return false;
      }
    }
    return true;
  }

  bool ObjectHolds(const Json& schema, const std::string& key, const Json& says,
                   const Json& value) const {
    const auto n = static_cast<double>(value.size());
    if (key == "minProperties") return n >= says.get<double>();
    if (key == "maxProperties") return n <= says.get<double>();
    if (key == "required") {
      return std::ranges::all_of(
          says, [&](const Json& name) { return value.contains(name.get<std::string>()); });
    }
    for (const auto& [name, member] : value.items()) {
      const bool declared = schema.contains("properties") && schema["properties"].contains(name);
      if (key == "properties" && !declared && closed_ && !schema.contains("additionalProperties"))
        return false;
      if (key == "properties" && declared && !Valid(says[name], member)) return false;
      if (key == "additionalProperties" && !declared && !Valid(says, member)) return false;
    }
    return true;
  }

  const Json& document_;
  bool closed_;
};

}  // namespace kvasir::grammar
