#include "server/api_error.h"

#include <cmath>

namespace kvasir::server {
namespace {

constexpr int kMaxDepth = 128;  // of nested arrays and objects

}  // namespace

std::string_view ErrorType(int status) {
  switch (status) {
    case 401:
    case 403:
      return "authentication_error";
    case 404:
    case 405:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 500:
      return "server_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return "invalid_request_error";
  }
}

Json ErrorJson(const ApiError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", ErrorType(error.status)},
            {"param", error.param.empty() ? Json() : Json(error.param)},
            {"code", error.code.empty() ? Json() : Json(error.code)}}}};
}

ApiError ShuttingDown() {
  return {.status = 503, .message = "the server is shutting down", .code = "shutting_down"};
}

ApiError FromBatch(const BatchError& error) {
  switch (error.refusal) {
    case Refusal::kBadRequest:
      return {.status = 400, .message = error.message};
    case Refusal::kContextTooLong:
      return {.status = 400, .message = error.message, .code = "context_length_exceeded"};
    case Refusal::kNoKvMemory:
      return {.status = 400, .message = error.message, .code = "kv_memory_exceeded"};
    case Refusal::kQueueFull:
      return {.status = 429, .message = error.message, .code = "queue_full", .retry_after_s = 2};
    case Refusal::kNoRoomNow:
      return {
          .status = 503, .message = error.message, .code = "kv_memory_busy", .retry_after_s = 2};
    case Refusal::kShuttingDown:
      return {.status = 503, .message = error.message, .code = "shutting_down"};
    case Refusal::kBusy:
      return {.status = 409, .message = error.message, .code = "slot_busy"};
    case Refusal::kFailed:
      break;
  }
  return {.status = 500, .message = error.message};
}

tl::unexpected<ApiError> RefuseField(const std::string& place, std::string_view what) {
  return Refuse({.message = fmt::format("'{}': {}", place, what), .param = place});
}

ApiError InNamesOf(FieldNames names, ApiError error) {
  for (const auto& [sent, read] : names) {
    if (!error.param.starts_with(read)) continue;
    const std::string rest = error.param.substr(read.size());
    if (!rest.empty() && rest[0] != '.' && rest[0] != '[') continue;
    const std::string quoted = fmt::format("'{}", read);
    if (const size_t at = error.message.find(quoted); at != std::string::npos)
      error.message.replace(at + 1, read.size(), sent);
    error.param = std::string(sent) + rest;
    break;
  }
  return error;
}

ApiResult<Json> ParseBody(std::string_view body) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  Json json = Json::parse(body, watch_depth, /*allow_exceptions=*/false);
  if (too_deep) {
    return Refuse({.message = fmt::format("the body nests deeper than {} levels", kMaxDepth)});
  }
  if (json.is_discarded()) return Refuse({.message = "the body is not valid JSON in UTF-8"});
  if (!json.is_object()) return Refuse({.message = "the body is not a JSON object"});
  return json;
}

const Json* Fields::Get(std::string_view name) const {
  if (error_) return nullptr;
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

void Fields::Fail(std::string_view name, std::string message) {
  const std::string param = prefix_ + std::string(name);
  Fail(ApiError{.message = fmt::format("'{}': {}", param, message), .param = param});
}

std::optional<std::string> Fields::Text(std::string_view name) {
  const Json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  Fail(name, "expected a text");
  return std::nullopt;
}

std::optional<bool> Fields::Flag(std::string_view name) {
  const Json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  Fail(name, "expected true or false");
  return std::nullopt;
}

std::optional<double> Fields::Number(std::string_view name, double low, double high) {
  const Json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (number >= low && number <= high) return number;
  Fail(name, fmt::format("expected a number from {} to {}", low, high));
  return std::nullopt;
}

std::optional<int64_t> Fields::Integer(std::string_view name, int64_t low, int64_t high) {
  const Json* value = Get(name);
  if (value == nullptr) return std::nullopt;
  // 64-bit seeds, and whole numbers written with a point, are what clients send.
  int64_t number = 0;
  bool good = false;
  if (value->is_number_unsigned()) {
    const auto raw = value->get<uint64_t>();
    good = raw <= static_cast<uint64_t>(INT64_MAX);
    number = static_cast<int64_t>(raw);
  } else if (value->is_number_integer()) {
    number = value->get<int64_t>();
    good = true;
  } else if (value->is_number_float()) {
    const auto raw = value->get<double>();
    good = raw == std::floor(raw) && std::abs(raw) < 9e15;
    if (good) number = static_cast<int64_t>(raw);
  }
  if (good && number >= low && number <= high) return number;
  Fail(name, fmt::format("expected a whole number from {} to {}", low, high));
  return std::nullopt;
}

const Json* Fields::Object(std::string_view name) {
  const Json* value = Get(name);
  if (value == nullptr || value->is_object()) return value;
  Fail(name, "expected an object");
  return nullptr;
}

const Json* Fields::Array(std::string_view name) {
  const Json* value = Get(name);
  if (value == nullptr || value->is_array()) return value;
  Fail(name, "expected an array");
  return nullptr;
}

std::vector<std::string> Fields::Texts(std::string_view name, size_t most) {
  const Json* value = Get(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> texts;
  bool good = value->is_array() && value->size() <= most;
  for (size_t i = 0; good && i < value->size(); ++i) {
    good = (*value)[i].is_string();
    if (good) texts.push_back((*value)[i].get<std::string>());
  }
  if (good) return texts;
  Fail(name, fmt::format("expected a text or at most {} texts", most));
  return {};
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvasir::server
