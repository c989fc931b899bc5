#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <set>

namespace kvasir::grammar {
namespace {

// Of all merges of a document: values compared, and copied at eight times the price. Some seconds.
constexpr int64_t kMaxWork = 32'000'000;
constexpr int kMaxDepth = 50;         // references to references
constexpr size_t kMaxBranches = 256;  // of a oneOf, or of two anyOf multiplied
constexpr size_t kMaxLeftOut = 16;    // more of it is not told

constexpr std::array<std::string_view, 26> kAsserting = {"$ref",
                                                         "additionalProperties",
                                                         "allOf",
                                                         "anyOf",
                                                         "const",
                                                         "enum",
                                                         "exclusiveMaximum",
                                                         "exclusiveMinimum",
                                                         "format",
                                                         "items",
                                                         "maxItems",
                                                         "maxLength",
                                                         "maxProperties",
                                                         "maximum",
                                                         "minItems",
                                                         "minLength",
                                                         "minProperties",
                                                         "minimum",
                                                         "nullable",
                                                         "oneOf",
                                                         "pattern",
                                                         "prefixItems",
                                                         "properties",
                                                         "required",
                                                         "type",
                                                         "uniqueItems"};
constexpr std::array<std::string_view, 17> kDescribing = {
    "$anchor",  "$comment",    "$defs",      "$id",         "$schema",         "contentEncoding",
    "default",  "definitions", "deprecated", "description", "discriminator",   "example",
    "examples", "readOnly",    "title",      "writeOnly",   "contentMediaType"};

int64_t CountValues(const Json& json) {
  int64_t n = 1;
  if (json.is_structured()) {
    for (const Json& part : json) n += CountValues(part);
  }
  return n;
}

Json AllOf(const Json& a, const Json& b) {
  if (a == b) return a;
  return Json{{"allOf", Json::array({a, b})}};
}

bool Contains(const Json& array, const Json& value) {
  return std::ranges::find(array, value) != array.end();
}

Json AsArray(const Json& value) { return value.is_array() ? value : Json::array({value}); }

// Types that both lists have; an integer is a number.
Json CommonTypes(const Json& a, const Json& b) {
  Json common = Json::array();
  const auto add = [&](const Json& from, const Json& other) {
    for (const Json& type : from) {
      const bool in = Contains(other, type) || (type == "integer" && Contains(other, "number"));
      if (in && !Contains(common, type)) common.push_back(type);
    }
  };
  add(a, b);
  add(b, a);
  return common;
}

// The values that enum or const leave; null: any.
Json ValuesOf(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  if (const auto it = schema.find("const"); it != schema.end()) return Json::array({*it});
  if (const auto it = schema.find("enum"); it != schema.end() && it->is_array()) return *it;
  return nullptr;
}

bool Disjoint(const Json& a, const Json& b) {
  return a.is_array() && b.is_array() &&
         std::ranges::none_of(a, [&](const Json& value) { return Contains(b, value); });
}

// The types that a schema's values have, as its keywords tell; null: any.
Json TypesOf(const Json& schema) {
  if (const Json values = ValuesOf(schema); values.is_array()) {
    Json types = Json::array();
    for (const Json& value : values)
      types.push_back(value.is_number_float() ? "number"
                      : value.is_number()     ? "integer"
                                              : value.type_name());
    return types;
  }
  if (const auto it = schema.find("type"); it != schema.end()) {
    Json types = AsArray(*it);
    if (schema.value("nullable", Json()) == true) types.push_back("null");
    return types;
  }
  return nullptr;
}

// A property of fixed values that differ between the two: then both get it as required.
bool TellApartByProperty(Json& a, Json& b) {
  const auto in_a = a.find("properties"), in_b = b.find("properties");
  if (in_a == a.end() || in_b == b.end() || !in_a->is_object() || !in_b->is_object()) return false;
  for (const auto& [name, schema] : in_a->items()) {
    const auto other = in_b->find(name);
    if (other == in_b->end() || !Disjoint(ValuesOf(schema), ValuesOf(*other))) continue;
    const std::string tag = name;  // `name` is part of what changes now
    for (Json* branch : {&a, &b}) {
      Json required = branch->value("required", Json::array());
      if (required.is_array() && !Contains(required, tag)) required.push_back(tag);
      (*branch)["required"] = required;
    }
    return true;
  }
  return false;
}

// False: a value could satisfy both. Narrows them where that helps.
bool TellApart(Json& a, Json& b) {
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object()) return false;
  const Json types_a = TypesOf(a), types_b = TypesOf(b);
  if (types_a.is_array() && types_b.is_array() && CommonTypes(types_a, types_b).empty())
    return true;
  return Disjoint(ValuesOf(a), ValuesOf(b)) || TellApartByProperty(a, b);
}

}  // namespace

Keyword KeywordOf(std::string_view name) {
  if (std::ranges::find(kAsserting, name) != kAsserting.end()) return Keyword::kAsserts;
  const bool extension = name.starts_with("x-");  // OpenAPI's
  if (extension || std::ranges::find(kDescribing, name) != kDescribing.end())
    return Keyword::kDescribes;
  return Keyword::kUnsupported;
}

bool Asserts(const Json& schema, std::string_view except) {
  if (!schema.is_object()) return true;
  for (const auto& [key, value] : schema.items()) {
    if (key != except && KeywordOf(key) != Keyword::kDescribes) return true;
  }
  return false;
}

bool SchemaMerger::LeftOut(const std::string& where, std::string_view what) {
  if (!loose()) return false;
  // Names of the client's may be as long as its schema.
  std::string text = fmt::format("{:.200}: {:.100} cannot be held to and is left out", where, what);
  if (left_out_->size() < kMaxLeftOut && std::ranges::find(*left_out_, text) == left_out_->end())
    left_out_->push_back(std::move(text));
  return true;
}

Json SchemaMerger::WithoutUnsupported(Json schema, const std::string& where) {
  // Names by patterns become any names: what may stand behind them is kept.
  const Json by_pattern = schema.value("patternProperties", Json());
  if (by_pattern.is_object() && !by_pattern.empty() &&
      schema.value("additionalProperties", Json(false)) == false) {
    Json any = Json::array();
    for (const Json& value : by_pattern) any.push_back(value);
    schema["additionalProperties"] = {{"anyOf", std::move(any)}};
  }
  Json::object_t kept;
  for (const auto& keyword : schema.get_ref<const Json::object_t&>()) {
    if (KeywordOf(keyword.first) != Keyword::kUnsupported) {
      kept.push_back(keyword);
    } else {
      LeftOut(where, fmt::format("'{}'", keyword.first));
    }
  }
  return kept;
}

Status SchemaMerger::SpendOnPair(const Json& a, const Json& b, const std::string& where) {
  const auto size_of = [](const Json& schema, const char* key) {
    const auto it = schema.is_object() ? schema.find(key) : schema.end();
    return it != schema.end() && it->is_structured() ? static_cast<int64_t>(it->size()) : 1;
  };
  work_ +=
      size_of(a, "enum") * size_of(b, "enum") + size_of(a, "properties") * size_of(b, "properties");
  return Spend(Json(), where);
}

Status SchemaMerger::Spend(const Json& schema, const std::string& where) {
  work_ += 8 * CountValues(schema);
  if (work_ <= kMaxWork) return {};
  return Fail("{}: allOf, anyOf and $ref multiply to too much", where);
}

Result<const Json*> SchemaMerger::Find(std::string_view pointer, const std::string& where) const {
  if (!pointer.starts_with('#') || (pointer.size() > 1 && pointer[1] != '/')) {
    return Fail(
        "{}: $ref '{}': only references within the document are read, as in "
        "#/$defs/name",
        where, pointer);
  }
  const Json* at = &document_;
  std::string_view rest = pointer.substr(1);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    std::string name(rest.substr(0, rest.find('/')));
    rest.remove_prefix(name.size());
    for (const auto& [from, to] : {std::pair("~1", "/"), std::pair("~0", "~")}) {
      for (size_t i = name.find(from); i != std::string::npos; i = name.find(from, i + 1))
        name.replace(i, 2, to);
    }
    const Json* next = nullptr;
    if (at->is_object()) {
      if (const auto it = at->find(name); it != at->end()) next = &*it;
    } else if (at->is_array() && !name.empty() && name.size() < 6 &&
               name.find_first_not_of("0123456789") == std::string::npos) {
      const auto i = static_cast<size_t>(std::stoul(name));
      if (i < at->size()) next = &(*at)[i];
    }
    if (next == nullptr) return Fail("{}: $ref '{}': there is no '{}'", where, pointer, name);
    at = next;
  }
  return at;
}

Result<Json> SchemaMerger::Flatten(const Json& schema, const std::string& where) {
  if (!schema.is_object()) return schema;
  const auto ref = schema.find("$ref"), all = schema.find("allOf");
  if (ref == schema.end() && all == schema.end()) return schema;
  if (depth_ == kMaxDepth) return Fail("{}: $ref and allOf lead in a circle or too deep", where);
  KV_RETURN_IF_ERROR(Spend(schema, where));
  std::vector<Json> parts;
  if (ref != schema.end()) {
    if (!ref->is_string()) return Fail("{}: $ref must be a string", where);
    KV_ASSIGN_OR_RETURN(const Json* target, Find(ref->get_ref<const std::string&>(), where));
    parts.push_back(*target);
  }
  if (all != schema.end()) {
    if (!all->is_array() || all->empty())
      return Fail("{}: allOf must be a list of at least one schema", where);
    parts.insert(parts.end(), all->begin(), all->end());
  }
  Json result = schema;
  result.erase("$ref");
  result.erase("allOf");
  ++depth_;
  for (const Json& part : parts) {
    auto merged = Merge(result, part, where);
    if (!merged) {
      --depth_;
      return merged;
    }
    result = std::move(*merged);
  }
  --depth_;
  return result;
}

Result<Json> SchemaMerger::Merge(const Json& a, const Json& b, const std::string& where) {
  KV_RETURN_IF_ERROR(Spend(a, where));
  KV_RETURN_IF_ERROR(Spend(b, where));
  KV_ASSIGN_OR_RETURN(Json into, Flatten(a, where));
  KV_ASSIGN_OR_RETURN(Json from, Flatten(b, where));
  if (into.is_boolean() || from.is_boolean()) {
    if (into == false || from == false) return Json(false);
    return into == true ? from : into;
  }
  if (!into.is_object() || !from.is_object())
    return Fail("{}: a schema must be an object, true or false", where);
  for (Json* schema : {&into, &from}) {
    if (loose()) *schema = WithoutUnsupported(std::move(*schema), where);
    if (const auto it = schema->find("const"); it != schema->end()) {
      const Json value = *it;
      schema->erase("const");
      KV_RETURN_IF_ERROR(MergeKeyword(*schema, "enum", Json::array({value}), where));
    }
  }
  // Together, because what one says of other properties is about those of the other.
  KV_RETURN_IF_ERROR(MergeProperties(into, from));
  for (const auto& [key, value] : from.items()) {
    if (key != "properties" && key != "additionalProperties")
      KV_RETURN_IF_ERROR(MergeKeyword(into, key, value, where));
  }
  return into;
}

Status SchemaMerger::MergeProperties(Json& into, const Json& other) {
  const auto object_of = [](const Json& schema, const char* key) {
    const auto it = schema.find(key);
    return it != schema.end() && it->is_object() ? *it : Json::object();
  };
  const auto extra_of = [](const Json& schema) {
    const auto it = schema.find("additionalProperties");
    return it != schema.end() ? *it : Json(true);
  };
  const Json a = object_of(into, "properties"), b = object_of(other, "properties");
  const Json extra_a = extra_of(into), extra_b = extra_of(other);
  Json merged = Json::object();
  for (const auto& [name, schema] : a.items()) {
    const auto it = b.find(name);
    const Json& also = it != b.end() ? *it : extra_b;
    merged[name] = also == true ? schema : AllOf(schema, also);
  }
  for (const auto& [name, schema] : b.items()) {
    if (!a.contains(name)) merged[name] = extra_a == true ? schema : AllOf(schema, extra_a);
  }
  if (!merged.empty()) into["properties"] = merged;
  if (into.contains("additionalProperties") && other.contains("additionalProperties")) {
    into["additionalProperties"] = AllOf(extra_a, extra_b);
  } else if (other.contains("additionalProperties")) {
    into["additionalProperties"] = extra_b;
  }
  return {};
}

Status SchemaMerger::MergeKeyword(Json& into, const std::string& key, const Json& value,
                                  const std::string& where) {
  const auto it = into.find(key);
  if (it == into.end()) {
    into[key] = value;
    return {};
  }
  Json& mine = *it;
  if (mine == value || KeywordOf(key) == Keyword::kDescribes) return {};
  const bool lists = mine.is_array() && value.is_array();
  if (key == "type") {
    mine = CommonTypes(AsArray(mine), AsArray(value));
  } else if (key == "enum" && lists) {
    work_ += static_cast<int64_t>(mine.size() * value.size());
    Json common = Json::array();
    for (const Json& v : mine) {
      if (Contains(value, v)) common.push_back(v);
    }
    mine = common;
  } else if (key == "required" && lists) {
    for (const Json& name : value) {
      if (!Contains(mine, name)) mine.push_back(name);
    }
  } else if (key == "items" && !mine.is_array() && !value.is_array()) {
    mine = AllOf(mine, value);
  } else if ((key == "anyOf" || key == "oneOf") && lists) {
    if (mine.size() * value.size() > kMaxBranches)
      return Fail("{}: allOf of {} with {} branches", where, key, mine.size() * value.size());
    Json product = Json::array();
    for (const Json& a : mine) {
      for (const Json& b : value) product.push_back(AllOf(a, b));
    }
    KV_RETURN_IF_ERROR(Spend(product, where));
    mine = product;
  } else if (mine.is_number() && value.is_number()) {
    const bool least = key.starts_with("min") || key == "exclusiveMinimum";
    mine = least == (mine < value) ? value : mine;
  } else if (!LeftOut(where, fmt::format("one of two values of '{}'", key))) {
    return Fail("{}: two different values of '{}' cannot be put together", where, key);
  }
  return {};
}

Result<std::vector<Json>> SchemaMerger::Exclusive(const Json& branches, const std::string& where) {
  if (branches.size() > kMaxBranches)
    return Fail("{}: oneOf with more than {} branches", where, kMaxBranches);
  std::vector<Json> flat;
  for (const Json& branch : branches) {
    KV_ASSIGN_OR_RETURN(Json schema, Flatten(branch, where));
    flat.push_back(std::move(schema));
  }
  const std::vector<Json> before = flat;
  for (size_t i = 0; i < flat.size(); ++i) {
    for (size_t j = i + 1; j < flat.size(); ++j) {
      KV_RETURN_IF_ERROR(SpendOnPair(flat[i], flat[j], where));
      if (!TellApart(flat[i], flat[j])) {
        return Fail(
            "{}: a value could satisfy branches {} and {} of oneOf at once; use anyOf, or "
            "give each branch a property with a const of its own",
            where, i, j);
      }
    }
  }
  for (size_t i = 0; i < flat.size(); ++i) {
    if (flat[i] == before[i]) flat[i] = branches[i];  // a reference stays one
  }
  return flat;
}

}  // namespace kvasir::grammar
