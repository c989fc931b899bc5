#include "server/kv_counts.h"

#include <algorithm>

#include "methods/registry.h"

namespace kvasir::server {
namespace {

constexpr size_t kMostPolicies = 64;  // clients choose specs: what they write must not pile up

// {"adakv+snapkv", "budget"} of "adakv:floor=20% + snapkv:budget=300"; where no method of a spec
// evicts, it was a window of the model's layers.
std::pair<std::string, std::string> PolicyOf(const KvReport& kv) {
  const auto items = ParseSpec(kv.reads_as.empty() ? kv.spec : kv.reads_as);
  if (!items) return {"other", "budget"};
  std::string names;
  bool evicts = false;
  for (const SpecItem& item : *items) {
    names += (names.empty() ? "" : "+") + item.name;
    const MethodInfo* info = FindMethod(item.name);
    evicts = evicts || (info != nullptr && info->role == Role::kBase && item.name != "full");
  }
  return {names, evicts ? "budget" : "window"};
}

}  // namespace

void KvCounts::Add(const BatchOutcome& outcome) {
  const KvReport& kv = outcome.kv;
  std::pair<std::string, std::string> key = PolicyOf(kv);
  const std::lock_guard lock(mutex_);
  if (outcome.slot >= 0) slots_[outcome.slot] = {.bytes = kv.bytes, .by_codec = kv.by_codec};
  if (outcome.n_evicted == 0) return;
  if (evicted_.size() >= kMostPolicies && !evicted_.contains(key)) key.first = "other";
  evicted_[key] += outcome.n_evicted;
  ++compactions_;
}

KvFigures KvCounts::Figures(std::span<const SlotFacts> slots, int64_t used_bytes,
                            int64_t n_heads) const {
  const std::lock_guard lock(mutex_);
  KvFigures figures{.evicted_entries = evicted_,
                    .compactions = compactions_,
                    .tokens = {{"running", 0}, {"idle", 0}},
                    .n_heads = n_heads};
  int64_t known = 0, untold = 0;
  for (const SlotFacts& slot : slots) {
    figures.tokens[slot.busy ? "running" : "idle"] += slot.n_tokens;
    const auto told = slots_.find(slot.id);
    // A slot that was erased, restored or shortened since holds something else.
    if (slot.busy || told == slots_.end() || told->second.bytes != slot.kv_bytes) {
      untold += slot.kv_bytes;
      continue;
    }
    for (const auto& [codec, bytes] : told->second.by_codec) {
      figures.bytes_by_codec[codec] += bytes;
      known += bytes;
    }
  }
  // Pages also serve embeddings; slots count beside pages what describes them.
  figures.bytes_by_codec[kChanging] = std::max(untold, used_bytes - known);
  return figures;
}

}  // namespace kvasir::server
