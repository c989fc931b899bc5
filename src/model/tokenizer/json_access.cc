#include "model/tokenizer/json_access.h"

namespace kvasir {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;
constexpr int kMaxDepth = 64;

// Of brackets outside of strings.
int Depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view name) {
  if (text.size() > kMaxBytes) {
    return Fail("{}: {} bytes, expected at most {}", name, text.size(), kMaxBytes);
  }
  if (const int depth = Depth(text); depth > kMaxDepth) {
    return Fail("{}: nested {} deep, expected at most {}", name, depth, kMaxDepth);
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Fail("{}: not valid JSON", name);
  return json;
}

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

bool BoolOr(const Json& object, const char* key, bool fallback) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_boolean() ? member->get<bool>() : fallback;
}

std::string_view StringOr(const Json& object, const char* key, std::string_view fallback) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_string() ? member->get_ref<const std::string&>()
                                                  : fallback;
}

}  // namespace kvasir
