// JsonReader: typed reads from one JSON object; null counts as absent. Errors name file and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/json_file.h"

namespace kvasir {

class JsonReader {
 public:
  // `where` names the object in messages: "folder/config.json" or "... rope_scaling".
  JsonReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  // Null where the key is absent or null.
  const Json* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  // There, with the value null.
  bool IsNull(std::string_view key) const { return !Has(key) && object_.contains(key); }

  // Nothing where the key is absent; an error where it has another type or is out of range.
  Result<std::optional<int64_t>> Int(std::string_view key, int64_t min, int64_t max) const;
  Result<std::optional<double>> Number(std::string_view key) const;  // finite
  Result<std::optional<bool>> Bool(std::string_view key) const;
  Result<std::optional<std::string>> String(std::string_view key) const;
  Result<std::optional<std::vector<double>>> Numbers(std::string_view key) const;
  Result<std::optional<std::vector<std::string>>> Strings(std::string_view key) const;
  Result<std::optional<JsonReader>> Object(std::string_view key) const;

  const std::string& where() const { return where_; }

 private:
  tl::unexpected<Error> Wrong(std::string_view key, const Json& found,
                              std::string_view wanted) const;

  const Json& object_;
  std::string where_;
};

}  // namespace kvasir
