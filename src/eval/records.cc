#include "eval/records.h"

#include <algorithm>

#include "eval/task.h"

namespace kvasir::eval {

tl::unexpected<Error> Record::Wrong(const char* name, const char* expected) const {
  return Fail("{}: '{}' is missing or no {}", place_, name, expected);
}

Result<std::string> Record::Text(const char* name) const {
  const auto found = json_.find(name);
  if (found == json_.end() || !found->is_string()) return Wrong(name, "text");
  return found->get<std::string>();
}

Result<std::vector<std::string>> Record::Texts(const char* name) const {
  const auto found = json_.find(name);
  if (found == json_.end()) return Wrong(name, "list of texts");
  const Json list = found->is_array() ? *found : Json::array({*found});
  std::vector<std::string> texts;
  for (const Json& each : list) {
    if (each.is_string()) {
      texts.push_back(each.get<std::string>());
    } else if (each.is_number()) {
      texts.push_back(each.dump());
    } else {
      return Wrong(name, "list of texts");
    }
  }
  return texts;
}

Result<std::vector<Record>> Record::Objects(const char* name) const {
  const auto found = json_.find(name);
  if (found == json_.end() || !found->is_array()) return Wrong(name, "list of objects");
  std::vector<Record> records;
  for (size_t i = 0; i < found->size(); ++i) {
    if (!(*found)[i].is_object()) return Wrong(name, "list of objects");
    records.emplace_back((*found)[i], fmt::format("{}: {}[{}]", place_, name, i));
  }
  return records;
}

Result<std::vector<Record>> ReadRecords(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  std::vector<Record> records;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return Fail("{} line {}: not a JSON object", path, number);
    records.emplace_back(std::move(json), fmt::format("{} line {}", path, number));
  }
  if (records.empty()) return Fail("{}: no records in it", path);
  return records;
}

}  // namespace kvasir::eval
