#include "jinja/builtin.h"

#include <algorithm>
#include <array>

#include "jinja/interpreter.h"
#include "jinja/print.h"

namespace kvasir::jinja {
namespace {

const Builtin* FindIn(std::span<const Builtin> table, std::string_view name) {
  const auto at = std::find_if(table.begin(), table.end(),
                               [&](const Builtin& builtin) { return builtin.name == name; });
  return at == table.end() ? nullptr : &*at;
}

const Builtin* FindInAll(std::initializer_list<std::span<const Builtin>> tables,
                         std::string_view name) {
  for (const std::span<const Builtin> table : tables) {
    if (const Builtin* found = FindIn(table, name)) return found;
  }
  return nullptr;
}

// What Python's types have beyond our tables: using them is an error, not undefined.
constexpr std::string_view kMissingOfString[] = {"encode", "maketrans", "translate"};
constexpr std::string_view kMissingOfDict[] = {"fromkeys"};
constexpr std::string_view kMissingOfNumber[] = {
    "to_bytes", "from_bytes", "as_integer_ratio", "conjugate",  "fromhex", "hex", "bit_count",
    "real",     "imag",       "numerator",        "denominator"};
constexpr std::string_view kMissingOfView[] = {"isdisjoint", "mapping"};

}  // namespace

const Builtin* FindFilter(std::string_view name) {
  return FindInAll(
      {TextFilters(), LayoutFilters(), SequenceFilters(), SelectionFilters(), ValueFilters()},
      name);
}

const Builtin* FindTest(std::string_view name) { return FindIn(Tests(), name); }

const Builtin* FindFunction(std::string_view name) { return FindIn(GlobalFunctions(), name); }

MethodLookup FindMethod(const Value& object, std::string_view name) {
  const auto missing = [&](const auto& names) -> MethodLookup {
    const bool known = std::find(std::begin(names), std::end(names), name) != std::end(names);
    return {nullptr, !known};
  };
  if (object.is_string()) {
    const Builtin* found = FindInAll({StringMethods(), StringSearchMethods()}, name);
    return found ? MethodLookup{found} : missing(kMissingOfString);
  }
  if (object.is_dict()) {
    const Builtin* found = FindIn(DictMethods(), name);
    return found ? MethodLookup{found} : missing(kMissingOfDict);
  }
  if (object.is_number()) {
    const Builtin* found = FindIn(NumberMethods(), name);
    return found ? MethodLookup{found} : missing(kMissingOfNumber);
  }
  if (!object.is_list()) return {};
  switch (object.list().flavor) {
    case Flavor::kList:
      return {FindIn(SequenceMethods(), name)};
    case Flavor::kTuple:
    case Flavor::kGroup:
    case Flavor::kRange:
      return {name == "copy" ? nullptr : FindIn(SequenceMethods(), name)};
    default:
      return missing(kMissingOfView);
  }
}

Status Call::Bind(std::string_view parameters, Arguments arguments) {
  size_t n_positional = 0, n_required = 0;
  bool takes_rest = false, takes_named = false;
  while (!parameters.empty()) {
    const size_t space = std::min(parameters.find(' '), parameters.size());
    std::string_view word = parameters.substr(0, space);
    parameters.remove_prefix(std::min(space + 1, parameters.size()));
    if (word.substr(0, 2) == "**") {
      takes_named = true;
    } else if (word[0] == '*') {
      takes_rest = true;
    } else {
      if (word.back() == '?') {
        word.remove_suffix(1);
      } else {
        n_required = names_.size() + 1;
      }
      names_.push_back(word);
    }
  }
  slots_.resize(names_.size());
  for (Value& value : arguments.positional) {
    if (n_positional < slots_.size()) {
      slots_[n_positional++] = std::move(value);
    } else if (takes_rest) {
      rest.push_back(std::move(value));
    } else {
      return Fail("{}() takes at most {} arguments ({} given)", name, slots_.size(),
                  arguments.positional.size());
    }
  }
  for (auto& [key, value] : arguments.named) {
    const auto at = std::find(names_.begin(), names_.end(), key);
    const auto slot = static_cast<size_t>(at - names_.begin());
    if (at != names_.end() && !slots_[slot]) {
      slots_[slot] = std::move(value);
    } else if (at != names_.end()) {
      return Fail("{}() got multiple values for argument '{}'", name, key);
    } else if (takes_named) {
      named.emplace_back(std::move(key), std::move(value));
    } else {
      return Fail("{}() got an unexpected keyword argument '{}'", name, key);
    }
  }
  for (size_t i = 0; i < n_required; ++i) {
    if (!slots_[i]) return Fail("{}() missing required argument '{}'", name, names_[i]);
  }
  return {};
}

Result<Value> Call::Run(Interpreter& in, const Builtin& builtin, Arguments arguments) {
  KV_RETURN_IF_ERROR(in.heap().Step());
  Call call(in, in.heap(), builtin.name);
  KV_RETURN_IF_ERROR(call.Bind(builtin.parameters, std::move(arguments)));
  return builtin.run(call);
}

bool Call::Flag(size_t i, bool otherwise) const { return has(i) ? (*this)[i].Truth() : otherwise; }

Result<Int> Call::Integer(size_t i) const {
  const Value& value = (*this)[i];
  if (value.is_undefined()) return FailUndefined(value);
  if (value.is_integral()) return value.integer();
  return Fail("{}(): '{}' must be an integer, not '{}'", name, names_[i], TypeName(value));
}

Result<Int> Call::Integer(size_t i, Int otherwise) const {
  return given(i) ? Integer(i) : Result<Int>(otherwise);
}

Result<std::string_view> Call::String(size_t i) const {
  const Value& value = (*this)[i];
  if (value.is_undefined()) return FailUndefined(value);
  if (value.is_string()) return value.str();
  return Fail("{}(): '{}' must be a string, not '{}'", name, names_[i], TypeName(value));
}

Result<std::string_view> Call::String(size_t i, std::string_view otherwise) const {
  return given(i) ? String(i) : Result<std::string_view>(otherwise);
}

Result<std::string> Call::Str(size_t i) const { return jinja::Str(heap, (*this)[i]); }

}  // namespace kvasir::jinja
