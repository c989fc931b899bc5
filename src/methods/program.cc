// A Program while it runs: what its methods need, and when they write their wishes.
#include <algorithm>

#include "methods/registry.h"

namespace kvasir {

Status Program::Bind(const ModelInfo& model, const SideFileLoader& load) {
  const auto bind = [&](Method& method) -> Status {
    const std::optional<SideFileWish> wish = method.side_file();
    if (!wish) return method.Bind(model, nullptr);
    KV_ASSIGN_OR_RETURN(const SideFile file, load(*wish));
    return method.Bind(model, &file);
  };
  Status status;
  for (Chain& chain : chains_) {
    status = bind(*chain.base);
    if (status && chain.pruner) status = bind(*chain.pruner);
    for (auto& wrapper : chain.wrappers) {
      if (status) status = bind(*wrapper);
    }
    if (!status) break;
  }
  for (auto& store : stores_) {
    if (status) status = bind(*store);
  }
  if (!status) return Fail("--kv \"{}\": {}", spec_, status.error().message);
  return {};
}

namespace {

void AddNeeds(const Needs& needs, Needs& all) {
  all.last_queries = std::max(all.last_queries, needs.last_queries);
  all.at_decode = all.at_decode || needs.at_decode;
  all.mass = all.mass || needs.mass;
  if (needs.mass) all.mass_rule = needs.mass_rule;
  all.query_max = all.query_max || needs.query_max;
  all.query_stats_from = std::max(all.query_stats_from, needs.query_stats_from);
  all.moves = all.moves || needs.moves;
  all.notes = all.notes || needs.notes;
  if (needs.gates != nullptr) all.gates = needs.gates;
}

}  // namespace

Needs Program::ChainNeeds(const ModelInfo& model) const {
  Needs all;
  for (const Chain& chain : chains_) {
    Needs needs = chain.base->needs(model);
    for (const auto& wrapper : chain.wrappers) AddNeeds(wrapper->needs(model), needs);
    if (chain.pruner) {
      Needs pruner = chain.pruner->needs(model);
      pruner.at_decode = needs.at_decode;
      AddNeeds(pruner, needs);
    }
    AddNeeds(needs, all);
  }
  return all;
}

// A codec acts after each token, but needs nothing collected for it; what stands before it may
// have to look at queries when the first entries are encoded.
Needs Program::needs(const ModelInfo& model) const {
  Needs all = ChainNeeds(model);
  for (const auto& store : stores_) {
    Needs needs = store->needs(model);
    needs.at_decode = has_codec_ && needs.at_decode;
    AddNeeds(needs, all);
  }
  return all;
}

bool Program::Stores(Moment moment) const {
  return !stores_.empty() && (moment == Moment::kPromptEnd || has_codec_);
}

void Program::Store(const LayerView& at, Ops& ops, LayerPlan& plan) const {
  LayerView view = at;
  view.codec_follows = has_codec_;
  for (const auto& store : stores_) store->Compress(view, ops, plan);
}

void Program::Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const {
  for (const Chain& chain : chains_) {
    bool acts = at.moment == Moment::kPromptEnd || chain.base->needs(at.model).at_decode;
    LayerView view = at;
    for (const auto& wrapper : chain.wrappers) {
      const std::optional<bool> says = wrapper->Acts(at);
      view.timed = view.timed || says;
      acts = says.value_or(acts);
    }
    if (!acts) continue;
    view.budgets_differ = chain.budgets_differ;
    view.shares_of = at.n_prompt;
    for (const auto& wrapper : chain.wrappers) {
      view.shares_of = wrapper->SharesOf(at).value_or(view.shares_of);
    }
    chain.base->Compress(view, ops, plan);
    const int64_t whole = Budget{.share = chain.share}.Of(view.shares_of);
    for (int h = 0; h < plan.n_heads() && chain.share > 0; ++h) {
      if (plan.budget(h) != whole) continue;  // none, or one that the base has made of it
      // By way of the share that goes, which is how kvpress counts: a half is rounded as there.
      plan.ExactBudget(h, (1 - (1 - chain.share)) * static_cast<double>(view.shares_of));
    }
    view.encoder_follows = chain.pruner != nullptr;
    if (chain.pruner) chain.pruner->Compress(view, ops, plan);
    for (const auto& wrapper : chain.wrappers) wrapper->Compress(view, ops, plan);
  }
}

}  // namespace kvasir
