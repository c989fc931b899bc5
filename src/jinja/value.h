// Value: what a template computes with. Strings, lists and dicts never change once made (Jinja's
// immutable sandbox), so they are shared by reference count and cannot form cycles; this is the one
// place outside the cache where shared_ptr is right. Objects (namespaces, macros, loops...) can
// refer to each other; their owner is the render's Heap and values only point at them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kvasir::jinja {

// Python's integers, up to 127 bits: every integer JSON libraries give (also uint64) is exact, and
// arithmetic beyond is an error.
using Int = __int128;
inline constexpr Int kMaxInt = static_cast<Int>(~static_cast<unsigned __int128>(0) >> 1);
inline constexpr Int kMinInt = -kMaxInt - 1;

class Heap;
class Object;
class Value;
struct Text;
struct List;
class Dict;
using TextRef = std::shared_ptr<const Text>;
using ListRef = std::shared_ptr<const List>;
using DictRef = std::shared_ptr<const Dict>;

struct Undefined {
  TextRef why;  // the error if it is used, e.g. "'x' is undefined"; null: no message of its own
};
struct None {};

// Bytes counted against a heap while their owner lives; without heap (constants, context)
// uncounted.
class Charge {
 public:
  Charge() = default;
  Charge(Heap* heap, int64_t n_bytes);
  ~Charge();
  Charge(Charge&& other) noexcept
      : heap_(std::exchange(other.heap_, nullptr)), n_bytes_(other.n_bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(n_bytes_, other.n_bytes_);
    return *this;
  }

 private:
  Heap* heap_ = nullptr;
  int64_t n_bytes_ = 0;
};

class Value {
 public:
  Value() = default;  // undefined
  Value(const Value&) = default;
  Value(Value&&) = default;
  Value& operator=(const Value&) = default;
  Value& operator=(Value&&) = default;
  ~Value();  // out of line: GCC 12 sees uninitialised variants where it inlines this
  explicit Value(TextRef text) : v_(std::move(text)) {}
  explicit Value(ListRef list) : v_(std::move(list)) {}
  explicit Value(DictRef dict) : v_(std::move(dict)) {}
  explicit Value(Object* object) : v_(object) {}
  static Value MakeUndefined(TextRef why) { return Value(Storage(Undefined{std::move(why)})); }
  static Value MakeNone() { return Value(Storage(None{})); }
  static Value Bool(bool b) { return Value(Storage(b)); }
  static Value Integer(Int i) { return Value(Storage(i)); }
  static Value Float(double d) { return Value(Storage(d)); }
  static Value String(std::string bytes);  // uncounted: for constants and the context

  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_none() const { return std::holds_alternative<None>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<Int>(v_); }
  bool is_float() const { return std::holds_alternative<double>(v_); }
  bool is_string() const { return std::holds_alternative<TextRef>(v_); }
  bool is_list() const { return std::holds_alternative<ListRef>(v_); }  // of any flavor
  bool is_dict() const { return std::holds_alternative<DictRef>(v_); }
  bool is_object() const { return std::holds_alternative<Object*>(v_); }
  bool is_integral() const { return is_int() || is_bool(); }
  bool is_number() const { return is_integral() || is_float(); }

  // REQUIRES, for each: the kind.
  const Undefined& undefined() const { return std::get<Undefined>(v_); }
  bool boolean() const { return std::get<bool>(v_); }
  Int integer() const { return is_bool() ? Int{boolean()} : std::get<Int>(v_); }
  double number() const {
    return is_float() ? std::get<double>(v_) : static_cast<double>(integer());
  }
  const Text& text() const { return *std::get<TextRef>(v_); }
  std::string_view str() const;
  const List& list() const { return *std::get<ListRef>(v_); }
  const ListRef& list_ref() const { return std::get<ListRef>(v_); }
  const Dict& dict() const { return *std::get<DictRef>(v_); }
  Object* object() const { return std::get<Object*>(v_); }
  template <class T>
  T* As() const {  // null if not an object of that class
    return is_object() ? dynamic_cast<T*>(object()) : nullptr;
  }

  bool Truth() const;      // Python's bool()
  int depth() const;       // nesting of lists and dicts below, 0 for scalars
  const void* id() const;  // identity of what is shared; null for scalars

 private:
  using Storage =
      std::variant<Undefined, None, bool, Int, double, TextRef, ListRef, DictRef, Object*>;
  explicit Value(Storage v) : v_(std::move(v)) {}
  Storage v_;
};

struct Text {
  std::string bytes;    // UTF-8, valid
  int64_t length = 0;   // code points
  bool markup = false;  // marked safe: what is added to it gets HTML-escaped
  Charge charge;
};

// Everything with items in a row; the flavor decides printing, equality and what may be done with
// it.
enum class Flavor : uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems, kGroup };

struct List {
  std::vector<Value> items;
  Flavor flavor = Flavor::kList;
  int depth = 1;
  std::string label;  // how a range prints
  Charge charge;
};

// Keeps insertion order. Keys must have passed CheckKey.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  void Set(const Value& key, Value value);
  // As Set, where the caller knows that the key is not there yet.
  void Append(Value key, Value value);

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }

 private:
  friend class Heap;
  int64_t IndexOf(const Value& key, uint64_t hash) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<uint64_t, uint32_t> index_;  // by hash; filled from kIndexed entries on
  int depth_ = 1;
  Charge charge_;
};

// Whether the value can be a key; "unhashable type: 'list'" otherwise.
Status CheckKey(const Value& key);
// REQUIRES: CheckKey passed for both. 1, 1.0 and true are one key, as in Python.
bool SameKey(const Value& a, const Value& b);

// "str", "list", "NoneType"...: for messages.
std::string_view TypeName(const Value& value);
// The error that using an undefined value gives.
tl::unexpected<Error> FailUndefined(const Value& value);

}  // namespace kvasir::jinja
