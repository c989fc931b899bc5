// JSON of strangers, measured before it is built.
#include "grammar/json_schema.h"

namespace kvasir::grammar {
namespace {

// A schema's size, depth and breadth, before it is built.
class Bounds final : public nlohmann::json_sax<Json> {
 public:
  static constexpr size_t kMaxDepth = 100, kMaxMembers = 4096;
  std::string error;

  bool null() override { return Count(); }
  bool boolean(bool) override { return Count(); }
  bool number_integer(int64_t) override { return Count(); }
  bool number_unsigned(uint64_t) override { return Count(); }
  bool number_float(double, const std::string&) override { return Count(); }
  bool string(std::string&) override { return Count(); }
  bool binary(Json::binary_t&) override { return Count(); }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }
  bool key(std::string&) override { return true; }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    error = e.what();
    return false;
  }

 private:
  bool Count() {
    if (counts_.empty() || ++counts_.back() <= kMaxMembers) return true;
    error = fmt::format("a list or object of more than {} members", kMaxMembers);
    return false;
  }
  bool Open() {
    if (!Count()) return false;
    if (counts_.size() == kMaxDepth) {
      error = fmt::format("nested deeper than {}", kMaxDepth);
      return false;
    }
    counts_.push_back(0);
    return true;
  }
  bool Close() {
    counts_.pop_back();
    return true;
  }

  std::vector<size_t> counts_;  // members so far, of what is open
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view name) {
  constexpr size_t kMaxBytes = 256 << 10;
  if (text.size() > kMaxBytes)
    return Fail("{}: {} bytes; at most {} are read", name, text.size(), kMaxBytes);
  Bounds bounds;
  if (!Json::sax_parse(text.begin(), text.end(), &bounds))
    return Fail("{}: {}", name, bounds.error);
  return Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

}  // namespace kvasir::grammar
