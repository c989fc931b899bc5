#include "model/json_reader.h"

#include <cmath>
#include <limits>
#include <utility>

namespace kvasir {

const Json* JsonReader::Find(std::string_view key) const {
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

tl::unexpected<Error> JsonReader::Wrong(std::string_view key, const Json& found,
                                        std::string_view wanted) const {
  return Fail("{}: '{}' is a JSON {}; it must be {}", where_, key, JsonTypeName(found), wanted);
}

Result<std::optional<int64_t>> JsonReader::Int(std::string_view key, int64_t min,
                                               int64_t max) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) return Wrong(key, *value, "a whole number");
  const uint64_t* large = value->get_ptr<const Json::number_unsigned_t*>();
  const bool fits =
      large == nullptr || *large <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number = fits ? value->get<int64_t>() : std::numeric_limits<int64_t>::max();
  if (fits && number >= min && number <= max) return number;
  return Fail("{}: '{}' is {}; it must be from {} to {}", where_, key, value->dump(), min, max);
}

Result<std::optional<double>> JsonReader::Number(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return Wrong(key, *value, "a number");
  return value->get<double>();
}

Result<std::optional<bool>> JsonReader::Bool(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return Wrong(key, *value, "true or false");
  return value->get<bool>();
}

Result<std::optional<std::string>> JsonReader::String(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return Wrong(key, *value, "a string");
  return value->get<std::string>();
}

Result<std::optional<std::vector<double>>> JsonReader::Numbers(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) return Wrong(key, *value, "an array of numbers");
  std::vector<double> numbers;
  for (const Json& item : *value) {
    if (!item.is_number()) return Wrong(key, item, "an array of numbers");
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

Result<std::optional<std::vector<std::string>>> JsonReader::Strings(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) return Wrong(key, *value, "an array of strings");
  std::vector<std::string> texts;
  for (const Json& item : *value) {
    if (!item.is_string()) return Wrong(key, item, "an array of strings");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<std::optional<JsonReader>> JsonReader::Object(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) return Wrong(key, *value, "an object");
  return JsonReader(*value, fmt::format("{}: {}", where_, key));
}

}  // namespace kvasir
