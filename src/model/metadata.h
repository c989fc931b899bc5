// Metadata: the facts of a model file by key, in GGUF's words ("llama.block_count"). Every getter
// checks the type; an error names the key, the type found and the type wanted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kvasir {

// Integers of every width are one type, so are floats. Arrays of booleans are integers 0 and 1;
// arrays hold no arrays.
using MetaValue = std::variant<bool, int64_t, uint64_t, double, std::string,
                               std::vector<std::string>, std::vector<float>, std::vector<int64_t>>;

std::string_view MetaTypeName(const MetaValue& value);  // "integer", "array of strings"

class Metadata {
 public:
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const MetaValue* Find(std::string_view key) const;  // null: no such key

  // A missing key is an error.
  Result<int64_t> I64(std::string_view key) const;   // any integer that fits
  Result<uint64_t> U64(std::string_view key) const;  // any integer >= 0
  Result<double> F64(std::string_view key) const;    // a float, or an integer
  Result<bool> Bool(std::string_view key) const;
  Result<std::string_view> String(std::string_view key) const;
  Result<std::span<const std::string>> Strings(std::string_view key) const;
  Result<std::span<const float>> Floats(std::string_view key) const;
  Result<std::span<const int64_t>> Ints(std::string_view key) const;

  // A missing key gives the fallback; a key of another type is still an error.
  Result<int64_t> I64(std::string_view key, int64_t fallback) const;
  Result<double> F64(std::string_view key, double fallback) const;
  Result<bool> Bool(std::string_view key, bool fallback) const;
  Result<std::string_view> String(std::string_view key, std::string_view fallback) const;

  // Replaces a value of the same key.
  void Set(std::string key, MetaValue value);
  void Erase(std::string_view key);  // nothing happens where there is no such key
  const std::map<std::string, MetaValue, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, MetaValue, std::less<>> values_;
};

}  // namespace kvasir
