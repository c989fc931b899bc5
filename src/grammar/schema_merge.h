// SchemaMerger: schemas of one document put together: references, allOf, and what oneOf asks of its
// branches. Not for use outside of the schema compiler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "grammar/json_rules.h"

namespace kvasir::grammar {

// What a keyword is to us.
enum class Keyword : uint8_t { kAsserts, kDescribes, kUnsupported };
Keyword KeywordOf(std::string_view name);
// Whether the schema says anything about values, beside the keyword `except`.
bool Asserts(const Json& schema, std::string_view except = {});

class SchemaMerger {
 public:
  explicit SchemaMerger(const Json& document, std::vector<std::string>* left_out = nullptr)
      : document_(document), left_out_(left_out) {}

  // What a grammar cannot hold to is left out and told; otherwise it is an error.
  bool loose() const { return left_out_ != nullptr; }
  // Tells of it; false: it is an error.
  bool LeftOut(const std::string& where, std::string_view what);
  // REQUIRES: loose.
  Json WithoutUnsupported(Json schema, const std::string& where);

  // The schema at "#/a/b".
  Result<const Json*> Find(std::string_view pointer, const std::string& where) const;
  // Without $ref and allOf at its top: what they say is in it.
  Result<Json> Flatten(const Json& schema, const std::string& where);
  // A schema for what satisfies both. Bounded work; an error where it cannot be written down.
  Result<Json> Merge(const Json& a, const Json& b, const std::string& where);
  // Branches of a oneOf that exclude each other; narrowed where a property tells them apart: it
  // must then be there.
  Result<std::vector<Json>> Exclusive(const Json& branches, const std::string& where);

 private:
  Status Spend(const Json& schema, const std::string& where);
  Status SpendOnPair(const Json& a, const Json& b, const std::string& where);
  Status MergeKeyword(Json& into, const std::string& key, const Json& value,
                      const std::string& where);
  Status MergeProperties(Json& into, const Json& other);

  const Json& document_;
  std::vector<std::string>* const left_out_;
  int64_t work_ = 0;
  int depth_ = 0;
};

}  // namespace kvasir::grammar
