#include "jinja/value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "jinja/heap.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

constexpr size_t kIndexed = 12;      // smaller dicts are searched entry by entry
constexpr size_t kMaxKeyItems = 16;  // of a tuple used as key

bool IsTuple(const Value& value) {
  return value.is_list() &&
         (value.list().flavor == Flavor::kTuple || value.list().flavor == Flavor::kGroup);
}

uint64_t HashKey(const Value& key) {
  if (key.is_string()) return std::hash<std::string_view>()(key.str());
  if (key.is_number()) return std::hash<double>()(key.number());
  if (key.is_list()) {
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (const Value& item : key.list().items) hash = hash * 1000003u ^ HashKey(item);
    return hash;
  }
  return std::hash<const void*>()(key.id());
}

}  // namespace

Charge::Charge(Heap* heap, int64_t n_bytes) : heap_(heap), n_bytes_(n_bytes) {
  heap_->live_bytes_ += n_bytes_;
}

Charge::~Charge() {
  if (heap_ != nullptr) heap_->live_bytes_ -= n_bytes_;
}

Value::~Value() = default;

Value Value::String(std::string bytes) {
  const int64_t length = CodePoints(bytes);
  return Value(std::make_shared<const Text>(Text{std::move(bytes), length, false, Charge()}));
}

std::string_view Value::str() const { return text().bytes; }

bool Value::Truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_integral()) return integer() != 0;
  if (is_float()) return number() != 0;
  if (is_string()) return !str().empty();
  if (is_list()) return !list().items.empty();
  if (is_dict()) return dict().size() > 0;
  return true;
}

int Value::depth() const {
  if (is_list()) return list().depth;
  if (is_dict()) return dict().depth();
  return 0;
}

const void* Value::id() const {
  if (is_string()) return &text();
  if (is_list()) return &list();
  if (is_dict()) return &dict();
  if (is_object()) return object();
  return nullptr;
}

int64_t Dict::IndexOf(const Value& key, uint64_t hash) const {
  if (entries_.size() < kIndexed) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (SameKey(entries_[i].first, key)) return static_cast<int64_t>(i);
    }
    return -1;
  }
  const auto [first, last] = index_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    if (SameKey(entries_[at->second].first, key)) return at->second;
  }
  return -1;
}

const Value* Dict::Find(const Value& key) const {
  const int64_t i = IndexOf(key, HashKey(key));
  return i < 0 ? nullptr : &entries_[static_cast<size_t>(i)].second;
}

const Value* Dict::Find(std::string_view key) const {
  const auto matches = [&](const Value& k) { return k.is_string() && k.str() == key; };
  if (entries_.size() < kIndexed) {
    for (const Entry& entry : entries_) {
      if (matches(entry.first)) return &entry.second;
    }
    return nullptr;
  }
  const auto [first, last] = index_.equal_range(std::hash<std::string_view>()(key));
  for (auto at = first; at != last; ++at) {
    if (matches(entries_[at->second].first)) return &entries_[at->second].second;
  }
  return nullptr;
}

void Dict::Set(const Value& key, Value value) {
  const int64_t i = IndexOf(key, HashKey(key));
  if (i < 0) return Append(key, std::move(value));
  depth_ = std::max(depth_, value.depth() + 1);
  entries_[static_cast<size_t>(i)].second = std::move(value);
}

void Dict::Append(Value key, Value value) {
  depth_ = std::max({depth_, value.depth() + 1, key.depth() + 1});
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() < kIndexed) return;
  const auto add = [&](size_t i) {
    index_.emplace(HashKey(entries_[i].first), static_cast<uint32_t>(i));
  };
  if (entries_.size() == kIndexed) {
    for (size_t i = 0; i + 1 < kIndexed; ++i) add(i);
  }
  add(entries_.size() - 1);
}

Status CheckKey(const Value& key) {
  if (key.is_dict() || (key.is_list() && !IsTuple(key) && key.list().flavor != Flavor::kRange)) {
    return Fail("unhashable type: '{}'", TypeName(key));
  }
  if (key.is_list()) {
    if (key.list().items.size() > kMaxKeyItems || key.depth() > 2) {
      return Fail("a key that is a tuple may have at most {} items and one level of tuples in it",
                  kMaxKeyItems);
    }
    for (const Value& item : key.list().items) KV_RETURN_IF_ERROR(CheckKey(item));
  }
  return {};
}

bool SameKey(const Value& a, const Value& b) {
  if (a.is_string() || b.is_string()) {
    return a.is_string() && b.is_string() && a.str() == b.str();
  }
  if (a.is_number() || b.is_number()) {
    if (!a.is_number() || !b.is_number()) return false;
    return a.is_integral() && b.is_integral() ? a.integer() == b.integer()
                                              : a.number() == b.number();
  }
  if (a.is_list() && b.is_list()) {
    return std::equal(a.list().items.begin(), a.list().items.end(), b.list().items.begin(),
                      b.list().items.end(), SameKey);
  }
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  return a.id() == b.id();
}

std::string_view TypeName(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_int()) return "int";
  if (value.is_float()) return "float";
  if (value.is_string()) return value.text().markup ? "Markup" : "str";
  if (value.is_dict()) return "dict";
  if (value.is_object()) return value.object()->type_name();
  switch (value.list().flavor) {
    case Flavor::kList:
      return "list";
    case Flavor::kTuple:
      return "tuple";
    case Flavor::kRange:
      return "range";
    case Flavor::kKeys:
      return "dict_keys";
    case Flavor::kValues:
      return "dict_values";
    case Flavor::kItems:
      return "dict_items";
    case Flavor::kGroup:
      return "_GroupTuple";
  }
  return "object";
}

tl::unexpected<Error> FailUndefined(const Value& value) {
  const TextRef& why = value.undefined().why;
  return Fail("{}", why ? why->bytes : "a value is undefined");
}

}  // namespace kvasir::jinja
