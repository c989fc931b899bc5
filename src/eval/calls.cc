#include "eval/calls.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "eval/scoring.h"

namespace kvasir::eval {
namespace {

constexpr int kMaxDepth = 32;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

// Literals and calls of Python, as far as calls with keyword arguments need them.
class PythonReader {
 public:
  explicit PythonReader(std::string_view text) : text_(text) {}

  // f(a=1, b='x'); nothing where the text is something else.
  std::optional<Call> ReadCall() {
    Call call{.name = ReadName()};
    if (call.name.empty() || !Take('(')) return std::nullopt;
    if (Take(')')) return call;
    do {
      const std::string argument = ReadName();
      if (argument.empty() || !Take('=')) return std::nullopt;
      std::optional<Json> value = ReadValue(0);
      if (!value) return std::nullopt;
      call.arguments[argument] = std::move(*value);
    } while (Take(','));
    if (!Take(')')) return std::nullopt;
    return call;
  }
  bool Take(char c) {
    SkipBlanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

 private:
  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  std::string ReadName() {
    SkipBlanks();
    const size_t begin = at_;
    while (at_ < text_.size() && IsNameCharacter(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::optional<Json> ReadText(char quote) {
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) return Json(std::move(value));
      if (c == '\\' && at_ < text_.size()) {
        const char escaped = text_[at_++];
        value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
      } else {
        value += c;
      }
    }
    return std::nullopt;
  }
  std::optional<Json> ReadList(char end, int depth) {
    Json list = Json::array();
    while (!Take(end)) {
      std::optional<Json> value = ReadValue(depth + 1);
      if (!value) return std::nullopt;
      list.push_back(std::move(*value));
      if (!Take(',')) return Take(end) ? std::optional(list) : std::nullopt;
    }
    return list;
  }
  std::optional<Json> ReadObject(int depth) {
    Json object = Json::object();
    while (!Take('}')) {
      const std::optional<Json> key = ReadValue(depth + 1);
      if (!key || !key->is_string() || !Take(':')) return std::nullopt;
      std::optional<Json> value = ReadValue(depth + 1);
      if (!value) return std::nullopt;
      object[key->get<std::string>()] = std::move(*value);
      if (!Take(',')) return Take('}') ? std::optional(object) : std::nullopt;
    }
    return object;
  }
  std::optional<Json> ReadValue(int depth) {
    if (depth > kMaxDepth) return std::nullopt;
    for (const char quote : {'"', '\''}) {
      if (Take(quote)) return ReadText(quote);
    }
    if (Take('[')) return ReadList(']', depth);
    if (Take('(')) return ReadList(')', depth);
    if (Take('{')) return ReadObject(depth);
    const bool negative = Take('-');
    const std::string word = ReadName();
    if (word == "True" || word == "true") return Json(true);
    if (word == "False" || word == "false") return Json(false);
    if (word == "None" || word == "null") return Json(nullptr);
    const char* end = word.data() + word.size();
    int64_t whole = 0;
    const auto integer = std::from_chars(word.data(), end, whole);
    if (!word.empty() && integer.ec == std::errc() && integer.ptr == end) {
      return Json(negative ? -whole : whole);
    }
    double number = 0;
    const auto real = std::from_chars(word.data(), end, number);
    if (word.empty() || real.ec != std::errc() || real.ptr != end) return std::nullopt;
    return Json(negative ? -number : number);
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::optional<Call> CallOf(const Json& json) {
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) {
    return std::nullopt;
  }
  for (const char* name : {"arguments", "parameters"}) {
    if (json.contains(name) && json[name].is_object()) {
      return Call{.name = json["name"].get<std::string>(), .arguments = json[name]};
    }
  }
  return std::nullopt;
}

std::vector<Call> JsonCalls(std::string_view text) {
  const size_t begin = text.find_first_of("[{"), end = text.find_last_of("]}");
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  const Json json = Json::parse(text.substr(begin, end + 1 - begin), nullptr, false);
  std::vector<Call> calls;
  const Json list = json.is_array() ? json : Json::array({json});
  for (const Json& each : list) {
    std::optional<Call> call = CallOf(each);
    if (!call) return {};
    calls.push_back(std::move(*call));
  }
  return calls;
}

// Numbers by value, texts without case, blanks and the punctuation that BFCL ignores.
bool SameValue(const Json& value, const Json& allowed) {
  if (value.is_number() && allowed.is_number()) {
    return value.get<double>() == allowed.get<double>();
  }
  if (value.is_string() && allowed.is_string()) {
    const auto plain = [](const Json& text) {
      std::string out;
      for (const char c : LowerAscii(text.get<std::string>())) {
        if (std::string_view(" ,./-_*^").find(c) == std::string_view::npos) {
          out += c == '\'' ? '"' : c;
        }
      }
      return out;
    };
    return plain(value) == plain(allowed);
  }
  if (value.is_array() && allowed.is_array()) {
    return std::equal(value.begin(), value.end(), allowed.begin(), allowed.end(), &SameValue);
  }
  return value == allowed;
}

bool CallMatches(const Call& call, const Json& expected) {
  const auto wanted = expected.find(call.name);
  if (wanted == expected.end() || !wanted->is_object()) return false;
  for (const auto& [name, allowed] : wanted->items()) {
    const auto given = call.arguments.find(name);
    const bool right = std::any_of(allowed.begin(), allowed.end(), [&](const Json& each) {
      return given == call.arguments.end() ? each == "" : SameValue(*given, each);
    });
    if (!right) return false;
  }
  for (const auto& [name, value] : call.arguments.items()) {
    if (!wanted->contains(name)) return false;
  }
  return true;
}

}  // namespace

std::vector<Call> ParseCalls(std::string_view text) {
  std::vector<Call> calls = JsonCalls(text);
  if (!calls.empty()) return calls;
  // The first place where a name is followed by a bracket and a whole call can be read.
  for (size_t at = 0; at < text.size(); ++at) {
    const bool starts = IsNameCharacter(text[at]) && (at == 0 || !IsNameCharacter(text[at - 1]));
    if (!starts) continue;
    PythonReader reader(text.substr(at));
    std::optional<Call> call = reader.ReadCall();
    if (!call) continue;
    do {
      calls.push_back(std::move(*call));
      call = reader.Take(',') ? reader.ReadCall() : std::nullopt;
    } while (call);
    return calls;
  }
  return {};
}

bool CallsMatch(const std::vector<Call>& calls, const Json& expected) {
  if (!expected.is_array() || expected.size() != calls.size()) return false;
  std::vector<bool> used(expected.size());
  for (const Call& call : calls) {
    size_t i = 0;
    while (i < used.size() && (used[i] || !CallMatches(call, expected[i]))) ++i;
    if (i == used.size()) return false;
    used[i] = true;
  }
  return true;
}

}  // namespace kvasir::eval
