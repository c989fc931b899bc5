// The text after --kv: methods with parameters, stacked with '+'; see docs/methods.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct SpecItem {
  std::string name;
  std::vector<std::pair<std::string, std::string>> params;  // as written
};

// "a:k=v,k2=v2 + b". Syntax only; an error points at the place.
Result<std::vector<SpecItem>> ParseSpec(std::string_view text);
// "name:key=value,key=value", which ParseSpec reads as this item.
std::string ItemText(const SpecItem& item);
// "spec; spec; spec"
Result<std::vector<std::string>> SplitSpecs(std::string_view text);

// How many entries a method may keep: a count, or a share of the prompt.
struct Budget {
  int64_t count = 0;
  double share = 0;  // > 0: a share; truncated to whole entries, at least 1
  int64_t Of(int64_t n) const;
};

enum class ParamKind : uint8_t { kBudget, kInteger, kNumber, kWord, kFlag, kText };

// A parameter that a method takes.
struct ParamInfo {
  std::string_view name;
  ParamKind kind;
  std::string_view fallback;  // as one would write it; empty: must be given; "auto": the method
                              // finds it, and `auto` may be written whatever the kind
  std::string_view range;     // "1..128", "odd 1..63", "avg|max": checked
  std::string_view help;
};

// Parameters of one item, checked against what its method takes: unknown, doubled, missing, not a
// number or out of range is an error naming the item, the parameter and what would be right.
class Params {
 public:
  static Result<Params> Check(const SpecItem& item, std::span<const ParamInfo> infos);
  Budget GetBudget(std::string_view name) const;
  int64_t GetInt(std::string_view name) const;
  double GetNumber(std::string_view name) const;
  std::string_view GetWord(std::string_view name) const;
  bool GetFlag(std::string_view name) const;
  std::string_view GetText(std::string_view name) const { return GetWord(name); }
  bool Given(std::string_view name) const;  // written, not the default
  // An error where one of these was written, since `why` it would count for nothing.
  Status Without(std::initializer_list<std::string_view> names, std::string_view why) const;
  bool Auto(std::string_view name) const { return GetWord(name) == "auto"; }

 private:
  struct Value {
    std::string text;
    Budget budget;
    double number = 0;
    bool given = false;
  };
  std::string method_;
  std::map<std::string, Value, std::less<>> values_;
};

// The candidate nearest to a mistyped word, if one is near; capitals are no mistake.
std::optional<std::string_view> Nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

}  // namespace kvasir
