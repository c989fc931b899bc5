// map, select, reject, selectattr, rejectattr.
#include "jinja/attribute_path.h"
#include "jinja/builtin.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"

namespace kvasir::jinja {
namespace {

const Value* Named(const Call& call, std::string_view name) {
  for (const auto& [key, value] : call.named) {
    if (key == name) return &value;
  }
  return nullptr;
}

// The arguments after the first `n_used`, with `item` before them.
Arguments For(const Call& call, const Value& item, size_t n_used) {
  Arguments out;
  out.positional.push_back(item);
  out.positional.insert(out.positional.end(), call.rest.begin() + static_cast<int64_t>(n_used),
                        call.rest.end());
  out.named = call.named;
  return out;
}

Result<Value> MapAttribute(Call& call, const ListRef& list) {
  const Value* attribute = Named(call, "attribute");
  const Value* otherwise = Named(call, "default");
  for (const auto& [key, value] : call.named) {
    if (key != "attribute" && key != "default") {
      return Fail("Unexpected keyword argument '{}'", key);
    }
  }
  KV_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Parse(*attribute));
  std::vector<Value> out;
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(Value value, path.Get(call.in, item));
    if (value.is_undefined() && otherwise != nullptr && !otherwise->is_none()) value = *otherwise;
    out.push_back(std::move(value));
  }
  return call.heap.MakeGenerator(std::move(out));
}

Result<Value> Map(Call& call) {
  if (!call[0].Truth()) return call.heap.MakeGenerator({});  // also none, as in Jinja
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  if (call.rest.empty() && Named(call, "attribute") != nullptr) return MapAttribute(call, list);
  if (call.rest.empty()) return Fail("map requires a filter argument");
  if (!call.rest[0].is_string()) return Fail("map(): the filter's name must be a string");
  std::vector<Value> out;
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(Value value, call.in.CallFilter(call.rest[0].str(), For(call, item, 1)));
    out.push_back(std::move(value));
  }
  return call.heap.MakeGenerator(std::move(out));
}

Result<Value> SelectItems(Call& call, bool wanted, bool by_attribute) {
  if (!call[0].Truth()) return call.heap.MakeGenerator({});
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[0]));
  AttributePath path;
  size_t n_used = 0;
  if (by_attribute) {
    if (call.rest.empty()) return Fail("Missing parameter for attribute name");
    KV_ASSIGN_OR_RETURN(path, AttributePath::Parse(call.rest[n_used++]));
  }
  const bool has_test = call.rest.size() > n_used;
  if (has_test && !call.rest[n_used].is_string()) {
    return Fail("{}(): the test's name must be a string", call.name);
  }
  std::vector<Value> out;
  for (const Value& item : list->items) {
    KV_ASSIGN_OR_RETURN(const Value value, path.Get(call.in, item));
    bool passes = value.Truth();
    if (has_test) {
      KV_ASSIGN_OR_RETURN(passes,
                          call.in.CallTest(call.rest[n_used].str(), For(call, value, n_used + 1)));
    }
    if (passes == wanted) out.push_back(item);
  }
  return call.heap.MakeGenerator(std::move(out));
}

Result<Value> Select(Call& call) { return SelectItems(call, true, false); }
Result<Value> Reject(Call& call) { return SelectItems(call, false, false); }
Result<Value> SelectAttr(Call& call) { return SelectItems(call, true, true); }
Result<Value> RejectAttr(Call& call) { return SelectItems(call, false, true); }

constexpr Builtin kSelectionFilters[] = {
    {"map", "value *rest **named", Map},
    {"reject", "value *rest **named", Reject},
    {"rejectattr", "value *rest **named", RejectAttr},
    {"select", "value *rest **named", Select},
    {"selectattr", "value *rest **named", SelectAttr},
};

}  // namespace

std::span<const Builtin> SelectionFilters() { return kSelectionFilters; }

}  // namespace kvasir::jinja
