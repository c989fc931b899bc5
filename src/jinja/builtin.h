// Builtins: filters, tests, methods and global functions, as tables of functions with their
// parameters. The piped value, or the object of a method, is the first parameter.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/heap.h"
#include "jinja/object.h"
#include "jinja/value.h"

namespace kvasir::jinja {

class Call;

struct Builtin {
  std::string_view name;
  // Names in order; "?" marks an optional one, "*" takes further positional arguments and "**"
  // further named ones: "s width? first? *rest **named".
  std::string_view parameters;
  Result<Value> (*run)(Call&);
};

// The arguments of one call of a builtin, bound to its parameters.
class Call {
 public:
  static Result<Value> Run(Interpreter& in, const Builtin& builtin, Arguments arguments);

  Interpreter& in;
  Heap& heap;
  std::string_view name;
  std::vector<Value> rest;                           // of "*"
  std::vector<std::pair<std::string, Value>> named;  // of "**"

  bool has(size_t i) const { return slots_[i].has_value(); }
  // REQUIRES: a required parameter, or has(i).
  const Value& operator[](size_t i) const { return *slots_[i]; }
  // Whether given and not none.
  bool given(size_t i) const { return has(i) && !(*this)[i].is_none(); }

  // Conversions of argument i, with the value if it is left out (none counts for Text and Integer).
  bool Flag(size_t i, bool otherwise = false) const;
  Result<Int> Integer(size_t i) const;
  Result<Int> Integer(size_t i, Int otherwise) const;
  Result<std::string_view> String(size_t i) const;  // must be a string
  Result<std::string_view> String(size_t i, std::string_view otherwise) const;
  // str() of anything but none of the containers' copies: what filters do with their input.
  Result<std::string> Str(size_t i) const;

  Result<Value> Text(std::string_view text) const { return heap.MakeText(std::string(text)); }

 private:
  Call(Interpreter& interpreter, Heap& h, std::string_view n) : in(interpreter), heap(h), name(n) {}
  Status Bind(std::string_view parameters, Arguments arguments);
  std::vector<std::optional<Value>> slots_;
  std::vector<std::string_view> names_;
};

// Null where there is none of that name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);
const Builtin* FindFunction(std::string_view name);  // global
// Methods of strings, lists, dicts and numbers. `supported` is false for a method that Python has
// and we do not: using it is an error rather than undefined.
struct MethodLookup {
  const Builtin* method = nullptr;
  bool supported = true;
};
MethodLookup FindMethod(const Value& object, std::string_view name);

// The tables, each in its own file.
std::span<const Builtin> TextFilters();
std::span<const Builtin> LayoutFilters();
std::span<const Builtin> SequenceFilters();
std::span<const Builtin> SelectionFilters();
std::span<const Builtin> ValueFilters();
std::span<const Builtin> Tests();
std::span<const Builtin> GlobalFunctions();
std::span<const Builtin> StringMethods();
std::span<const Builtin> StringSearchMethods();
std::span<const Builtin> SequenceMethods();
std::span<const Builtin> DictMethods();
std::span<const Builtin> NumberMethods();

}  // namespace kvasir::jinja
