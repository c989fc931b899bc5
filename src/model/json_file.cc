#include "model/json_file.h"

#include <set>
#include <utility>
#include <vector>

#include "model/mapped_file.h"
#include "model/source_builder.h"

namespace kvasir {
namespace {

constexpr size_t kMaxDepth = 64;

// Looks at a text before it is built: depth, and keys that come twice in one object.
class Checker final : public JsonHandler {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(std::string& key) override {
    if (keys_.back().insert(key).second) return true;
    return Stop("key " + Quoted(key) + " is there twice in one object");
  }

 private:
  bool Open() {
    if (keys_.size() == kMaxDepth) return Stop(fmt::format("nested deeper than {}", kMaxDepth));
    keys_.emplace_back();
    return true;
  }
  bool Close() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;  // of each open object (empty for an array)
};

}  // namespace

Result<Json> ParseJsonObject(std::string_view text, const std::string& name) {
  Checker checker;
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return Fail("{}: {}", name, checker.error);
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return Fail("{}: holds a JSON {}; it must be an object", name, JsonTypeName(json));
}

Result<Json> ReadJsonObject(const std::string& path, size_t max_bytes) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadText(path, max_bytes));
  return ParseJsonObject(text, path);
}

std::string_view JsonTypeName(const Json& value) { return value.type_name(); }

}  // namespace kvasir
