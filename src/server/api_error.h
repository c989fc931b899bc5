// Errors as OpenAI's clients read them, and JSON requests read with one error that names the field.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch_request.h"

namespace kvasir::server {

using Json = nlohmann::ordered_json;

struct ApiError {
  int status = 400;
  std::string message;
  std::string param = {};  // the field at fault; empty: none
  std::string code = {};   // empty: null
  int retry_after_s = 0;   // > 0: as the header Retry-After
  std::string allow = {};  // methods, as the header Allow; empty: none
};

// "invalid_request_error" and its like, by status.
std::string_view ErrorType(int status);
Json ErrorJson(const ApiError& error);
ApiError ShuttingDown();
ApiError FromBatch(const BatchError& error);

template <class T>
using ApiResult = tl::expected<T, ApiError>;
inline tl::unexpected<ApiError> Refuse(ApiError error) {
  return tl::unexpected<ApiError>(std::move(error));
}
// What is wrong with a field, by its path.
tl::unexpected<ApiError> RefuseField(const std::string& place, std::string_view what);
// Fields that a request has under another name (first) than the one it was read by (second).
using FieldNames = std::span<const std::pair<std::string_view, std::string_view>>;
// The error with the name that the client sent.
ApiError InNamesOf(FieldNames names, ApiError error);

// A JSON object from a client: UTF-8, bounded in depth.
ApiResult<Json> ParseBody(std::string_view body);

// Fields of an object. null counts as absent. The first thing that is wrong sticks; what is asked
// after it is absent too, so that reading goes on without checks, and error() tells at the end.
class Fields {
 public:
  explicit Fields(const Json& object, std::string prefix = "")
      : object_(&object), prefix_(std::move(prefix)) {}

  const Json* Get(std::string_view name) const;  // null: absent
  std::optional<std::string> Text(std::string_view name);
  std::optional<bool> Flag(std::string_view name);
  std::optional<double> Number(std::string_view name, double low, double high);
  std::optional<int64_t> Integer(std::string_view name, int64_t low, int64_t high);
  const Json* Object(std::string_view name);
  const Json* Array(std::string_view name);
  // A text or an array of texts.
  std::vector<std::string> Texts(std::string_view name, size_t most);

  void Fail(std::string_view name, std::string message);
  void Fail(ApiError error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<ApiError>& error() const { return error_; }
  const Json& object() const { return *object_; }

 private:
  const Json* object_;
  std::string prefix_;  // "kv." for the fields of `kv`
  std::optional<ApiError> error_;
};

// Text that may hold invalid UTF-8 as JSON.
std::string Dump(const Json& json);

}  // namespace kvasir::server
