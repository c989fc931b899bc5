// What most evictors have: parameters, and scores that are the same for every budget.
#pragma once

#include "methods/method.h"
#include "methods/spec.h"

namespace kvasir {

inline constexpr ParamInfo kBudgetParam = {"budget", ParamKind::kBudget, "1024", "",
                                           "entries a KV head keeps, or a share of the prompt"};

constexpr ParamInfo WhenParam(std::string_view fallback) {
  return {"when", ParamKind::kWord, fallback, "prompt|always",
          "act at the prompt's end only, or after each generated token too"};
}

// A count that the window would use up leaves a sliding window, whatever was asked for. A share may
// too, of a short prompt: then the newest stay.
inline Status CheckRoom(std::string_view method, const Budget& budget, int64_t window) {
  if (budget.share > 0 || budget.count > window) return {};
  return Fail(
      "--kv \"{}:budget={}\": a window of {} leaves no room for others; write {}", method,
      budget.count, window,
      budget.count > 1 ? fmt::format("window={} or less", budget.count - 1) : "budget=2 or more");
}

// Likewise first entries that were asked for; those of the default give way.
inline Status CheckSinks(std::string_view method, const Params& params) {
  const Budget budget = params.GetBudget("budget");
  const int64_t sinks = params.GetInt("sinks");
  if (!params.Given("sinks") || budget.share > 0 || budget.count > sinks) return {};
  return Fail(
      "--kv \"{}:budget={},sinks={}\": the first {} leave no room for others; write sinks={}{}",
      method, budget.count, sinks, sinks, budget.count - 1, budget.count > 1 ? " or less" : "");
}

// [kv_heads][entries]: score(head), which goes by the head's entries and what `key` says
// (Ops::Once).
template <class F>
std::shared_ptr<const Ops::Numbers> ScoresOnce(Ops& ops, const LayerView& at,
                                               const std::string& key, F&& score) {
  return ops.Once(key, [&] {
    Ops::Numbers scores;
    for (int h = 0; h < static_cast<int>(at.heads.size()); ++h) scores.push_back(score(h));
    return scores;
  });
}

}  // namespace kvasir
