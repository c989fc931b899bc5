#include "jinja/heap.h"

#include <algorithm>

#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

constexpr int64_t kHeaderBytes = 96;  // a shared block with its header

int ItemsDepth(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

Status CheckDepth(int depth) {
  if (depth <= kMaxValueDepth) return {};
  return Fail("limit exceeded: lists and dicts nested deeper than {}", kMaxValueDepth);
}

}  // namespace

Status Heap::Step(int64_t n) {
  n_steps_ += n;
  if (n_steps_ <= limits_.max_steps) return {};
  return Fail("limit exceeded: more than {} steps (max_steps)", limits_.max_steps);
}

Status Heap::CountIteration() {
  if (++n_iterations_ <= limits_.max_iterations) return {};
  return Fail("limit exceeded: more than {} loop iterations (max_iterations)",
              limits_.max_iterations);
}

Status Heap::CountOutput(size_t n_bytes) {
  n_output_bytes_ += static_cast<int64_t>(n_bytes);
  if (n_output_bytes_ <= limits_.max_output_bytes) return {};
  return Fail("limit exceeded: more than {} bytes of output (max_output_bytes)",
              limits_.max_output_bytes);
}

Status Heap::Fits(Int n_bytes) const {
  if (n_bytes <= limits_.max_live_bytes - live_bytes_) return {};
  return Fail("limit exceeded: more than {} bytes of values (max_live_bytes)",
              limits_.max_live_bytes);
}

Result<Value> Heap::MakeText(std::string bytes, bool markup) {
  const auto n_bytes = static_cast<int64_t>(bytes.size()) + kHeaderBytes;
  KV_RETURN_IF_ERROR(Fits(n_bytes));
  KV_RETURN_IF_ERROR(Step(n_bytes >> 10));
  const int64_t length = CodePoints(bytes);
  return Value(
      std::make_shared<const Text>(Text{std::move(bytes), length, markup, Charge(this, n_bytes)}));
}

Result<Value> Heap::MakeList(std::vector<Value> items, Flavor flavor) {
  const auto n_items = static_cast<int64_t>(items.size());
  const int64_t n_bytes = n_items * static_cast<int64_t>(sizeof(Value)) + kHeaderBytes;
  KV_RETURN_IF_ERROR(Fits(n_bytes));
  KV_RETURN_IF_ERROR(Step(n_items));
  const int depth = ItemsDepth(items);
  KV_RETURN_IF_ERROR(CheckDepth(depth));
  return Value(std::make_shared<const List>(
      List{std::move(items), flavor, depth, {}, Charge(this, n_bytes)}));
}

Result<Value> Heap::MakeGenerator(std::vector<Value> items) {
  KV_ASSIGN_OR_RETURN(const Value list, MakeList(std::move(items)));
  KV_ASSIGN_OR_RETURN(Object * made, Keep(std::make_unique<Generator>(list.list_ref())));
  return Value(made);
}

Result<Value> Heap::MakeRange(std::vector<Value> items, std::string label) {
  const auto n_items = static_cast<int64_t>(items.size());
  const int64_t n_bytes = n_items * static_cast<int64_t>(sizeof(Value)) + kHeaderBytes;
  KV_RETURN_IF_ERROR(Fits(n_bytes));
  KV_RETURN_IF_ERROR(Step(n_items));
  return Value(std::make_shared<const List>(
      List{std::move(items), Flavor::kRange, 1, std::move(label), Charge(this, n_bytes)}));
}

Result<Value> Heap::MakeDict(Dict dict) {
  const auto n_entries = static_cast<int64_t>(dict.size());
  const int64_t n_bytes = n_entries * static_cast<int64_t>(sizeof(Dict::Entry) + 48) + kHeaderBytes;
  KV_RETURN_IF_ERROR(Fits(n_bytes));
  KV_RETURN_IF_ERROR(Step(n_entries));
  KV_RETURN_IF_ERROR(CheckDepth(dict.depth()));
  auto made = std::make_shared<Dict>(std::move(dict));
  made->charge_ = Charge(this, n_bytes);
  return Value(DictRef(std::move(made)));
}

Value Heap::MakeUndefined(std::string why) {
  const auto n_bytes = static_cast<int64_t>(why.size()) + kHeaderBytes;
  return Value::MakeUndefined(
      std::make_shared<const Text>(Text{std::move(why), 0, false, Charge(this, n_bytes)}));
}

}  // namespace kvasir::jinja
