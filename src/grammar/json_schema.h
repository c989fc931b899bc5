// JSON schemas (the parts of draft 2020-12 that structured output uses) as grammars: each text of
// the grammar is JSON that the schema accepts.
//
// The other way round a grammar is narrower than its schema: keys come in the order of
// `properties`, white space is bounded, an object with `properties` has others only where
// `additionalProperties` asks for them, and a schema without `type` but with keywords of one type
// means that type.
//
// Read: type (one or several), enum, const, properties, required, additionalProperties,
// minProperties and maxProperties, items, prefixItems, minItems, maxItems, minLength, maxLength,
// pattern, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum, anyOf, oneOf (where the
// branches exclude each other), allOf, $ref within the document, $defs. What only describes (title,
// description, default, examples, …) is passed over. Anything else is an error that names it, or,
// where `left_out` is given, is left out and told there (some of it, where there is much).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

// Bounded in size, depth and members of an object.
Result<Json> ParseJson(std::string_view text, std::string_view name);

Result<std::shared_ptr<const Grammar>> CompileJsonSchema(
    const Json& schema, std::vector<std::string>* left_out = nullptr);
Result<std::shared_ptr<const Grammar>> CompileJsonSchemaText(std::string_view text);
// Any JSON object.
std::shared_ptr<const Grammar> AnyJsonObject();

// For grammars of which a schema is a part: the schema's values as an expression.
Result<ExprId> AddJsonSchema(const Json& schema, JsonRules& rules,
                             std::vector<std::string>* left_out = nullptr);

}  // namespace kvasir::grammar
