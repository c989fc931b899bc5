#include "model/metadata.h"

#include <limits>
#include <utility>

namespace kvasir {
namespace {

tl::unexpected<Error> Missing(std::string_view key, std::string_view wanted) {
  return Fail("metadata has no key '{}' (wanted: {})", key, wanted);
}

tl::unexpected<Error> WrongType(std::string_view key, const MetaValue& found,
                                std::string_view wanted) {
  return Fail("metadata key '{}' is of type {}; it must be of type {}", key, MetaTypeName(found),
              wanted);
}

// The value of `key` as the variant's own alternative T.
template <class T>
Result<const T*> Exactly(const Metadata& metadata, std::string_view key, std::string_view wanted) {
  const MetaValue* value = metadata.Find(key);
  if (value == nullptr) return Missing(key, wanted);
  if (const T* exact = std::get_if<T>(value)) return exact;
  return WrongType(key, *value, wanted);
}

}  // namespace

std::string_view MetaTypeName(const MetaValue& value) {
  static constexpr std::string_view kNames[] = {
      "boolean", "integer",          "integer",         "float",
      "string",  "array of strings", "array of floats", "array of integers"};
  static_assert(std::size(kNames) == std::variant_size_v<MetaValue>);
  return kNames[value.index()];
}

const MetaValue* Metadata::Find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

void Metadata::Set(std::string key, MetaValue value) {
  values_.insert_or_assign(std::move(key), std::move(value));
}

void Metadata::Erase(std::string_view key) {
  const auto it = values_.find(key);
  if (it != values_.end()) values_.erase(it);
}

Result<int64_t> Metadata::I64(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (value == nullptr) return Missing(key, "integer");
  if (const int64_t* i = std::get_if<int64_t>(value)) return *i;
  if (const uint64_t* u = std::get_if<uint64_t>(value)) {
    if (*u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return static_cast<int64_t>(*u);
    }
    return Fail("metadata key '{}' is {}; it must be below 2^63", key, *u);
  }
  return WrongType(key, *value, "integer");
}

Result<uint64_t> Metadata::U64(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (value == nullptr) return Missing(key, "integer");
  if (const uint64_t* u = std::get_if<uint64_t>(value)) return *u;
  if (const int64_t* i = std::get_if<int64_t>(value)) {
    if (*i >= 0) return static_cast<uint64_t>(*i);
    return Fail("metadata key '{}' is {}; it must not be negative", key, *i);
  }
  return WrongType(key, *value, "integer");
}

Result<double> Metadata::F64(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (value == nullptr) return Missing(key, "float");
  if (const double* d = std::get_if<double>(value)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(value)) return static_cast<double>(*i);
  if (const uint64_t* u = std::get_if<uint64_t>(value)) return static_cast<double>(*u);
  return WrongType(key, *value, "float");
}

Result<bool> Metadata::Bool(std::string_view key) const {
  KV_ASSIGN_OR_RETURN(const bool* value, Exactly<bool>(*this, key, "boolean"));
  return *value;
}

Result<std::string_view> Metadata::String(std::string_view key) const {
  KV_ASSIGN_OR_RETURN(const std::string* value, Exactly<std::string>(*this, key, "string"));
  return std::string_view(*value);
}

Result<std::span<const std::string>> Metadata::Strings(std::string_view key) const {
  KV_ASSIGN_OR_RETURN(const auto* value,
                      Exactly<std::vector<std::string>>(*this, key, "array of strings"));
  return std::span<const std::string>(*value);
}

Result<std::span<const float>> Metadata::Floats(std::string_view key) const {
  KV_ASSIGN_OR_RETURN(const auto* value,
                      Exactly<std::vector<float>>(*this, key, "array of floats"));
  return std::span<const float>(*value);
}

Result<std::span<const int64_t>> Metadata::Ints(std::string_view key) const {
  KV_ASSIGN_OR_RETURN(const auto* value,
                      Exactly<std::vector<int64_t>>(*this, key, "array of integers"));
  return std::span<const int64_t>(*value);
}

Result<int64_t> Metadata::I64(std::string_view key, int64_t fallback) const {
  return Has(key) ? I64(key) : fallback;
}

Result<double> Metadata::F64(std::string_view key, double fallback) const {
  return Has(key) ? F64(key) : fallback;
}

Result<bool> Metadata::Bool(std::string_view key, bool fallback) const {
  return Has(key) ? Bool(key) : fallback;
}

Result<std::string_view> Metadata::String(std::string_view key, std::string_view fallback) const {
  return Has(key) ? String(key) : fallback;
}

}  // namespace kvasir
