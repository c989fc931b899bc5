#include "grammar/json_schema.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>

#include "grammar/number_range.h"
#include "grammar/pattern.h"
#include "grammar/schema_merge.h"

namespace kvasir::grammar {
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};

// The type that a keyword is about, where a schema names none.
std::string_view TypeOfKeyword(std::string_view key) {
  static constexpr std::pair<std::string_view, std::string_view> kOf[] = {
      {"properties", "object"},
      {"required", "object"},
      {"additionalProperties", "object"},
      {"minProperties", "object"},
      {"maxProperties", "object"},
      {"items", "array"},
      {"prefixItems", "array"},
      {"minItems", "array"},
      {"maxItems", "array"},
      {"uniqueItems", "array"},
      {"minLength", "string"},
      {"maxLength", "string"},
      {"pattern", "string"},
      {"format", "string"},
      {"minimum", "number"},
      {"maximum", "number"},
      {"exclusiveMinimum", "number"},
      {"exclusiveMaximum", "number"}};
  for (const auto& [keyword, type] : kOf) {
    if (keyword == key) return type;
  }
  return {};
}

bool IsType(const Json& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() && DecimalOf(value) && DecimalOf(value)->fraction.empty());
  }
  return value.type_name() == type;
}

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& document, JsonRules& rules, std::vector<std::string>* left_out)
      : rules_(rules), b_(rules.builder()), merger_(document, left_out) {}

  Result<ExprId> Run(const Json& schema) {
    KV_ASSIGN_OR_RETURN(const ExprId root, Compile(schema, "#"));
    // Each schema that is referred to, once.
    while (!waiting_.empty()) {
      const Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      KV_ASSIGN_OR_RETURN(const ExprId body, Compile(next.schema, next.where));
      b_.Define(next.rule, body);
      if (!b_.problem().empty())
        return Fail("{}: the schema is too large: {}", next.where, b_.problem());
    }
    return root;
  }

 private:
  struct Waiting {
    RuleId rule;
    Json schema;
    std::string where;
  };

  // A rule for the schema, compiled later. `key` tells equal ones.
  ExprId Shared(const std::string& key, const Json& schema, const std::string& where) {
    const auto [it, is_new] = shared_.try_emplace(key, -1);
    if (is_new) {
      it->second = b_.Declare(where);
      waiting_.push_back({it->second, schema, where});
    }
    return b_.Call(it->second);
  }
  ExprId Synthesized(const Json& schema, const std::string& where) {
    return Shared(schema.dump(), schema, where);
  }

  Result<ExprId> Compile(const Json& schema, const std::string& where) {
    if (schema == true) return rules_.Value();
    if (schema == false) return b_.Choice({});
    if (!schema.is_object())
      return Fail("{}: a schema must be an object, true or false; this is a JSON {}", where,
                  schema.type_name());
    for (const auto& [key, value] : schema.items()) {
      if (KeywordOf(key) != Keyword::kUnsupported) continue;
      if (!merger_.loose()) return Fail("{}: the keyword '{}' is not supported", where, key);
      return Compile(merger_.WithoutUnsupported(schema, where), where);
    }
    if (const auto ref = schema.find("$ref"); ref != schema.end() && !Asserts(schema, "$ref"))
      return CompileRef(*ref, where);
    if (schema.contains("$ref") || schema.contains("allOf")) {
      KV_ASSIGN_OR_RETURN(const Json flat, merger_.Flatten(schema, where));
      return Synthesized(flat, where);
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      if (schema.contains(key)) return CompileBranches(schema, key, where);
    }
    if (schema.contains("enum") || schema.contains("const")) return CompileValues(schema, where);
    return CompileTypes(schema, where);
  }

  Result<ExprId> CompileRef(const Json& ref, const std::string& where) {
    if (!ref.is_string()) return Fail("{}: $ref must be a string", where);
    const auto& pointer = ref.get_ref<const std::string&>();
    KV_ASSIGN_OR_RETURN(const Json* target, merger_.Find(pointer, where));
    return Shared(pointer, *target, pointer);
  }

  Result<ExprId> CompileBranches(const Json& schema, const char* key, const std::string& where) {
    const Json& branches = schema[key];
    if (!branches.is_array() || branches.empty())
      return Fail("{}: {} must be a list of at least one schema", where, key);
    std::vector<Json> list(branches.begin(), branches.end());
    if (std::string_view(key) == "oneOf" && list.size() > 1) {
      auto exclusive = merger_.Exclusive(branches, where);
      if (exclusive) {
        list = std::move(*exclusive);
      } else if (!merger_.LeftOut(where, "that only one branch of oneOf fits")) {
        return tl::unexpected(exclusive.error());
      }
    }
    Json rest = schema;
    rest.erase(key);
    std::vector<ExprId> choices;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string there = fmt::format("{}/{}/{}", where, key, i);
      if (Asserts(rest)) {
        KV_ASSIGN_OR_RETURN(const Json both, merger_.Merge(rest, list[i], there));
        choices.push_back(Synthesized(both, there));
      } else if (list[i] != branches[i]) {  // narrowed
        choices.push_back(Synthesized(list[i], there));
      } else {
        KV_ASSIGN_OR_RETURN(const ExprId choice, Compile(list[i], there));
        choices.push_back(choice);
      }
    }
    return b_.Choice(std::move(choices));
  }

  // enum and const: the values themselves, those that `type` allows.
  Result<ExprId> CompileValues(const Json& schema, const std::string& where) {
    for (const auto& [key, value] : schema.items()) {
      const bool known = key == "enum" || key == "const" || key == "type" || key == "nullable" ||
                         KeywordOf(key) == Keyword::kDescribes;
      if (!known && !merger_.LeftOut(where, fmt::format("'{}' beside enum or const", key)))
        return Fail("{}: '{}' beside enum or const is not supported", where, key);
    }
    Json values = Json::array();
    const auto fixed = schema.find("const"), list = schema.find("enum");
    if (list != schema.end()) {
      if (!list->is_array()) return Fail("{}: enum must be a list", where);
      values = *list;
      if (fixed != schema.end())
        std::erase_if(values.get_ref<Json::array_t&>(), [&](const Json& v) { return v != *fixed; });
    } else {
      values.push_back(*fixed);
    }
    KV_ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(schema, where));
    std::vector<ExprId> choices;
    for (const Json& value : values) {
      const bool fits =
          std::ranges::any_of(types, [&](const std::string& type) { return IsType(value, type); });
      if (fits) choices.push_back(rules_.Literal(value));
    }
    return b_.Choice(std::move(choices));
  }

  // From `type`, or else from the keywords; all where nothing is said.
  Result<std::vector<std::string>> TypesOf(const Json& schema, const std::string& where) const {
    std::vector<std::string> types;
    const auto add = [&](std::string_view type) {
      if (std::ranges::find(types, type) == types.end()) types.emplace_back(type);
    };
    if (const auto it = schema.find("type"); it != schema.end()) {
      const Json list = it->is_array() ? *it : Json::array({*it});
      for (const Json& type : list) {
        const bool known =
            type.is_string() &&
            std::ranges::find(kTypes, type.get_ref<const std::string&>()) != kTypes.end();
        if (!known) {
          return Fail(
              "{}: type {}: must be object, array, string, number, integer, boolean or "
              "null, or a list of those",
              where, type.dump());
        }
        add(type.get_ref<const std::string&>());
      }
    } else {
      for (const auto& [key, value] : schema.items()) {
        if (const std::string_view type = TypeOfKeyword(key); !type.empty()) add(type);
      }
      if (types.empty()) types.assign(kTypes.begin(), kTypes.end());
    }
    if (const auto it = schema.find("nullable"); it != schema.end()) {
      if (!it->is_boolean()) return Fail("{}: nullable must be true or false", where);
      if (*it == true) add("null");
    }
    if (std::ranges::find(types, "number") != types.end()) std::erase(types, "integer");
    return types;
  }

  Result<ExprId> CompileTypes(const Json& schema, const std::string& where) {
    KV_ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(schema, where));
    std::vector<ExprId> choices;
    for (const std::string& type : types) {
      Result<ExprId> choice = b_.Choice({});
      if (type == "object") {
        choice = CompileObject(schema, where);
      } else if (type == "array") {
        choice = CompileArray(schema, where);
      } else if (type == "string") {
        choice = CompileString(schema, where);
      } else if (type == "boolean") {
        choice = rules_.Boolean();
      } else if (type == "null") {
        choice = rules_.Null();
      } else {
        choice = CompileNumber(schema, type == "integer", where);
      }
      if (!choice) return choice;
      choices.push_back(*choice);
    }
    return choices.size() == 1 ? choices[0] : b_.Choice(std::move(choices));
  }

  // A count; `fallback` where the keyword is absent. Beyond any text's size is no limit.
  Result<int32_t> Count(const Json& schema, const char* key, int32_t fallback,
                        const std::string& where) const {
    const auto it = schema.find(key);
    if (it == schema.end()) return fallback;
    const auto value = DecimalOf(*it);
    if (!value || value->negative || !value->fraction.empty())
      return Fail("{}: {} must be a whole number, not {}", where, key, it->dump());
    return value->whole >= kUnbounded ? kUnbounded : static_cast<int32_t>(value->whole);
  }

  Result<ExprId> CompileString(const Json& schema, const std::string& where) {
    LengthBounds length;
    KV_ASSIGN_OR_RETURN(length.min, Count(schema, "minLength", 0, where));
    KV_ASSIGN_OR_RETURN(length.max, Count(schema, "maxLength", kUnbounded, where));
    const auto pattern = schema.find("pattern");
    auto format = schema.find("format");
    if (pattern != schema.end() && format != schema.end()) {
      if (!merger_.LeftOut(where, "'format' beside pattern"))
        return Fail("{}: pattern and format together are not supported", where);
      format = schema.end();
    }
    if (pattern == schema.end() && format == schema.end())
      return rules_.String(length.min, length.max);
    const Json& named = pattern != schema.end() ? *pattern : *format;
    if (!named.is_string())
      return Fail("{}: pattern and format must be strings, not {}", where, named.dump());
    const auto& text = named.get_ref<const std::string&>();
    return pattern != schema.end() ? CompilePattern(text, length, where)
                                   : CompileFormat(text, length, where);
  }

  Result<ExprId> CompilePattern(std::string_view regex, LengthBounds length,
                                const std::string& where) {
    auto chars = PatternChars(regex, length, rules_);
    if (!chars && merger_.loose()) {
      const auto alone = PatternChars(regex, {}, rules_);
      if (!alone) {
        merger_.LeftOut(where, "'pattern'");
        return rules_.String(length.min, length.max);
      }
      merger_.LeftOut(where, "'minLength' and 'maxLength' beside pattern");
      chars = alone;
    }
    if (!chars) return Fail("{}: {}", where, chars.error().message);
    return rules_.Quoted(*chars);
  }

  Result<ExprId> CompileFormat(std::string_view format, LengthBounds length,
                               const std::string& where) {
    const auto regex = PatternOfFormat(format);
    if (!regex) {
      if (merger_.LeftOut(where, "'format'")) return rules_.String(length.min, length.max);
      return Fail("{}: the format '{}' is not supported; those that are: {}", where, format,
                  KnownFormats());
    }
    if (!length.any() && !merger_.LeftOut(where, "'minLength' and 'maxLength' beside format"))
      return Fail("{}: minLength and maxLength beside a format are not supported", where);
    return CompilePattern(*regex, {}, where);
  }

  Result<ExprId> CompileNumber(const Json& schema, bool integer, const std::string& where) {
    NumberBounds bounds;
    for (const auto& [key, is_least, exclusive] :
         {std::tuple("minimum", true, false), std::tuple("exclusiveMinimum", true, true),
          std::tuple("maximum", false, false), std::tuple("exclusiveMaximum", false, true)}) {
      const auto it = schema.find(key);
      if (it == schema.end()) continue;
      const auto value = DecimalOf(*it);
      if (!value && it->is_number() && merger_.LeftOut(where, fmt::format("'{}'", key))) continue;
      if (!value) {
        return Fail("{}: {} must be a number of at most 18 digits before the point, not {}", where,
                    key, it->dump());
      }
      // The tighter one counts.
      std::optional<Bound>& bound = is_least ? bounds.least : bounds.most;
      const int order = bound ? Compare(*value, bound->value) * (is_least ? 1 : -1) : 1;
      if (order > 0 || (order == 0 && exclusive)) bound = Bound{*value, exclusive};
    }
    return integer ? IntegerBetween(bounds, rules_) : NumberBetween(bounds, rules_);
  }

  Result<ExprId> CompileArray(const Json& schema, const std::string& where) {
    KV_ASSIGN_OR_RETURN(const int32_t min, Count(schema, "minItems", 0, where));
    KV_ASSIGN_OR_RETURN(const int32_t max, Count(schema, "maxItems", kUnbounded, where));
    const auto unique = schema.find("uniqueItems");
    if (unique != schema.end() && *unique != false && !merger_.LeftOut(where, "'uniqueItems'"))
      return Fail("{}: uniqueItems is not supported", where);
    Json prefix = Json::array();
    Json items = true;
    for (const char* key : {"prefixItems", "items"}) {
      const auto it = schema.find(key);
      if (it == schema.end()) continue;
      if (!it->is_array() && std::string_view(key) == "prefixItems")
        return Fail("{}: prefixItems must be a list of schemas", where);
      (it->is_array() ? prefix : items) = *it;  // a list in `items`: the older drafts' prefixItems
    }
    KV_ASSIGN_OR_RETURN(const ExprId item, Compile(items, where + "/items"));
    if (prefix.empty()) return rules_.List('[', item, min, max, ']');

    const auto n = static_cast<int32_t>(prefix.size());
    // From the back: what can follow the first i items.
    ExprId rest = b_.Repeat(b_.Sequence({rules_.Comma(), item}), std::max(min - n, 0),
                            max == kUnbounded ? max : std::max(max - n, 0));
    for (int32_t i = n; i-- > 0;) {
      KV_ASSIGN_OR_RETURN(const ExprId one,
                          Compile(prefix[i], fmt::format("{}/prefixItems/{}", where, i)));
      const ExprId with =
          i == 0 ? b_.Sequence({one, rest}) : b_.Sequence({rules_.Comma(), one, rest});
      std::vector<ExprId> choices;
      if (i < max) choices.push_back(with);
      if (i >= min && i > 0) choices.push_back(b_.Bytes(""));
      rest = b_.Named(where + "/items", b_.Choice(std::move(choices)));
    }
    std::vector<ExprId> choices = {rules_.Enclosed('[', rest, ']')};
    if (min == 0) choices.push_back(rules_.List('[', item, 0, 0, ']'));
    return b_.Choice(std::move(choices));
  }

  struct Property {
    ExprId pair;
    bool required;
  };

  // The properties in their order, then those that only `required` names.
  Result<std::vector<Property>> Properties(const Json& schema, std::vector<std::string>& names,
                                           const std::string& where) {
    const Json empty = Json::object();
    const auto it = schema.find("properties");
    const Json& properties = it != schema.end() ? *it : empty;
    if (!properties.is_object()) return Fail("{}: properties must be an object", where);
    std::vector<std::string> required;
    if (const auto list = schema.find("required"); list != schema.end()) {
      const bool strings = list->is_array() && std::ranges::all_of(*list, [](const Json& name) {
                             return name.is_string();
                           });
      if (!strings) return Fail("{}: required must be a list of strings", where);
      for (const Json& name : *list) required.push_back(name);
    }
    std::vector<Property> out;
    const auto add = [&](const std::string& name, ExprId value) {
      const bool needed = std::ranges::find(required, name) != required.end();
      out.push_back({b_.Sequence({rules_.Key(name), value}), needed});
      names.push_back(name);
    };
    for (const auto& [name, value] : properties.items()) {
      KV_ASSIGN_OR_RETURN(const ExprId expr, Compile(value, where + "/properties/" + name));
      add(name, expr);
    }
    const auto extra = schema.find("additionalProperties");
    for (const std::string& name : required) {
      if (std::ranges::find(names, name) != names.end()) continue;
      KV_ASSIGN_OR_RETURN(const ExprId expr, Compile(extra != schema.end() ? *extra : Json(true),
                                                     where + "/additionalProperties"));
      add(name, expr);
    }
    return out;
  }

  Result<ExprId> CompileObject(const Json& schema, const std::string& where) {
    KV_ASSIGN_OR_RETURN(const int32_t min, Count(schema, "minProperties", 0, where));
    KV_ASSIGN_OR_RETURN(const int32_t max, Count(schema, "maxProperties", kUnbounded, where));
    std::vector<std::string> names;
    KV_ASSIGN_OR_RETURN(const std::vector<Property> properties, Properties(schema, names, where));
    const auto it = schema.find("additionalProperties");
    const Json others = it != schema.end() ? *it : Json(properties.empty());
    if (properties.empty() && others == true && min == 0 && max == kUnbounded)
      return rules_.Object();
    KV_ASSIGN_OR_RETURN(const ExprId value, Compile(others, where + "/additionalProperties"));
    const ExprId other = b_.Sequence({rules_.OtherKey(names), value});
    if (properties.empty()) return rules_.List('{', other, min, max, '}');

    const auto n = static_cast<int32_t>(properties.size());
    const auto n_required = static_cast<int32_t>(std::ranges::count_if(
        properties, [](const Property& property) { return property.required; }));
    const bool open = others != false;
    const bool counts =
        min > n_required || (max < n && max != kUnbounded) || (open && max != kUnbounded);
    if (counts && !merger_.LeftOut(where, "'minProperties' and 'maxProperties'")) {
      return Fail("{}: minProperties and maxProperties beside properties are not supported", where);
    }
    return CompileMembers(properties, open ? other : -1, where);
  }

  // first: what can follow the opening brace, from property i on; next: what can follow a member.
  ExprId CompileMembers(const std::vector<Property>& properties, ExprId other,
                        const std::string& where) {
    ExprId next = b_.Bytes(""), first = b_.Choice({});
    bool may_be_empty = true;
    if (other >= 0) {
      next = b_.Repeat(b_.Sequence({rules_.Comma(), other}), 0, kUnbounded);
      first = b_.Sequence({other, next});
    }
    for (size_t i = properties.size(); i-- > 0;) {
      const auto& [pair, required] = properties[i];
      std::vector<ExprId> firsts = {b_.Sequence({pair, next})};
      if (!required) firsts.push_back(first);
      may_be_empty = may_be_empty && !required;
      const ExprId member = b_.Sequence({rules_.Comma(), pair});
      next = b_.Named(where, b_.Sequence({required ? member : b_.Optional(member), next}));
      first = b_.Named(where, b_.Choice(std::move(firsts)));
    }
    std::vector<ExprId> choices = {rules_.Enclosed('{', first, '}')};
    if (may_be_empty) choices.push_back(rules_.List('{', b_.Choice({}), 0, 0, '}'));
    return b_.Choice(std::move(choices));
  }

  JsonRules& rules_;
  GrammarBuilder& b_;
  SchemaMerger merger_;
  std::map<std::string, RuleId> shared_;
  std::deque<Waiting> waiting_;
};

}  // namespace

Result<ExprId> AddJsonSchema(const Json& schema, JsonRules& rules,
                             std::vector<std::string>* left_out) {
  return SchemaCompiler(schema, rules, left_out).Run(schema);
}

Result<std::shared_ptr<const Grammar>> CompileJsonSchema(const Json& schema,
                                                         std::vector<std::string>* left_out) {
  GrammarBuilder builder;
  JsonRules rules(builder);
  auto body = AddJsonSchema(schema, rules, left_out);
  if (!body) return Fail("JSON schema: {}", body.error().message);
  const RuleId root = builder.Declare("#");
  builder.Define(root, *body);
  auto grammar = builder.Build(root);
  if (!grammar) return Fail("JSON schema: {}", grammar.error().message);
  return grammar;
}

Result<std::shared_ptr<const Grammar>> CompileJsonSchemaText(std::string_view text) {
  KV_ASSIGN_OR_RETURN(const Json schema, ParseJson(text, "JSON schema"));
  return CompileJsonSchema(schema);
}

std::shared_ptr<const Grammar> AnyJsonObject() {
  auto grammar = CompileJsonSchema(Json{{"type", "object"}});
  KV_CHECK(grammar.has_value());
  return *grammar;
}

}  // namespace kvasir::grammar
