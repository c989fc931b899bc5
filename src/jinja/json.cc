#include "jinja/json.h"

#include <algorithm>
#include <cmath>

#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;

Result<Value> JsonString(const std::string& text) {
  if (!IsUtf8(text)) return Fail("a string in the template's variables is not valid UTF-8");
  return Value::String(text);
}

Result<Value> Convert(const Json& json, int depth) {
  if (depth > kMaxValueDepth) {
    return Fail("limit exceeded: the template's variables are nested deeper than {}",
                kMaxValueDepth);
  }
  switch (json.type()) {
    case Json::value_t::null:
      return Value::MakeNone();
    case Json::value_t::boolean:
      return Value::Bool(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::Integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return Value::Integer(json.get<uint64_t>());
    case Json::value_t::number_float:
      return Value::Float(json.get<double>());
    case Json::value_t::string:
      return JsonString(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      auto list = std::make_shared<List>();
      for (const Json& element : json) {
        KV_ASSIGN_OR_RETURN(Value value, Convert(element, depth + 1));
        list->depth = std::max(list->depth, value.depth() + 1);
        list->items.push_back(std::move(value));
      }
      return Value(ListRef(std::move(list)));
    }
    case Json::value_t::object: {
      auto dict = std::make_shared<Dict>();
      for (const auto& [name, element] : json.items()) {
        KV_ASSIGN_OR_RETURN(Value key, JsonString(name));
        KV_ASSIGN_OR_RETURN(Value value, Convert(element, depth + 1));
        dict->Append(std::move(key), std::move(value));
      }
      return Value(DictRef(std::move(dict)));
    }
    default:
      return Fail("the template's variables hold JSON of an unknown kind");
  }
}

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style, std::string& out)
      : heap_(heap), style_(style), out_(out) {}

  Status Write(const Value& value, int level) {
    KV_RETURN_IF_ERROR(heap_.Step());
    KV_RETURN_IF_ERROR(heap_.Fits(static_cast<Int>(out_.size())));
    if (value.is_string()) return WriteString(value.str());
    if (value.is_dict()) return WriteDict(value.dict(), level);
    if (value.is_list() &&
        (value.list().flavor == Flavor::kList || value.list().flavor == Flavor::kTuple ||
         value.list().flavor == Flavor::kGroup)) {
      return WriteList(value.list(), level);
    }
    if (value.is_none() || value.is_number()) {
      out_ += Scalar(value);
      return {};
    }
    if (value.is_undefined()) return Fail("Object of type Undefined is not JSON serializable");
    return Fail("Object of type {} is not JSON serializable", TypeName(value));
  }

 private:
  static std::string Scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.boolean() ? "true" : "false";
    if (value.is_int()) return IntText(value.integer());
    const double number = value.number();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return FloatRepr(number);
  }

  void Break(int level) {
    if (!style_.pretty) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  Status WriteList(const List& list, int level) {
    if (list.items.empty()) {
      out_ += "[]";
      return {};
    }
    out_ += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      Break(level + 1);
      KV_RETURN_IF_ERROR(Write(list.items[i], level + 1));
    }
    Break(level);
    out_ += ']';
    return {};
  }

  Status WriteDict(const Dict& dict, int level) {
    if (dict.size() == 0) {
      out_ += "{}";
      return {};
    }
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) KV_RETURN_IF_ERROR(SortKeys(entries));
    out_ += '{';
    bool first = true;
    for (const Dict::Entry* entry : entries) {
      if (!first) out_ += style_.item_separator;
      first = false;
      Break(level + 1);
      KV_RETURN_IF_ERROR(WriteKey(entry->first));
      out_ += style_.key_separator;
      KV_RETURN_IF_ERROR(Write(entry->second, level + 1));
    }
    Break(level);
    out_ += '}';
    return {};
  }

  Status SortKeys(std::vector<const Dict::Entry*>& entries) {
    const bool strings = std::all_of(entries.begin(), entries.end(),
                                     [](const auto* e) { return e->first.is_string(); });
    const bool numbers = std::all_of(entries.begin(), entries.end(),
                                     [](const auto* e) { return e->first.is_number(); });
    if (!strings && !numbers) return Fail("keys of different types cannot be sorted");
    std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
      return strings ? a->first.str() < b->first.str() : a->first.number() < b->first.number();
    });
    return {};
  }

  Status WriteKey(const Value& key) {
    if (key.is_string()) return WriteString(key.str());
    if (key.is_none() || key.is_number()) return WriteString(Scalar(key));
    return Fail("keys must be str, int, float, bool or None, not {}", TypeName(key));
  }

  Status WriteString(std::string_view text) {
    KV_RETURN_IF_ERROR(heap_.Step(static_cast<int64_t>(text.size()) >> 4));
    out_ += '"';
    for (size_t at = 0; at < text.size();) {
      const size_t start = at;
      const char32_t c = NextChar(text, at);
      static constexpr std::string_view kFrom = "\"\\\n\r\t\b\f", kTo = "\"\\nrtbf";
      const size_t simple = c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
      if (simple != std::string_view::npos) {
        out_ += '\\';
        out_ += kTo[simple];
      } else if (c < 0x20 || (style_.ascii && c > 0x7e)) {
        WriteEscape(c);
      } else {
        out_ += text.substr(start, at - start);
      }
    }
    out_ += '"';
    return {};
  }

  void WriteEscape(char32_t c) {
    const auto code = static_cast<uint32_t>(c);
    if (code < 0x10000) {
      out_ += fmt::format("\\u{:04x}", code);
    } else {
      const uint32_t rest = code - 0x10000;
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    }
  }

  Heap& heap_;
  const JsonStyle& style_;
  std::string& out_;
};

}  // namespace

Result<Value> FromJson(const Json& json) { return Convert(json, 0); }

Status AppendJson(Heap& heap, const Value& value, const JsonStyle& style, std::string& out) {
  return JsonWriter(heap, style, out).Write(value, 0);
}

}  // namespace kvasir::jinja
