#include "methods/registry.h"

#include <algorithm>
#include <array>

namespace kvasir {

extern const MethodInfo kAdaKv;
extern const MethodInfo kChunkKv;
extern const MethodInfo kCriticalKv;
extern const MethodInfo kCur;
extern const MethodInfo kDecode;
extern const MethodInfo kExpected;
extern const MethodInfo kFinch;
extern const MethodInfo kFull;
extern const MethodInfo kH2o;
extern const MethodInfo kKeyDiff;
extern const MethodInfo kKeyformer;
extern const MethodInfo kKnorm;
extern const MethodInfo kKvMerger;
extern const MethodInfo kLagKv;
extern const MethodInfo kMerge;
extern const MethodInfo kProtect;
extern const MethodInfo kPyramidKv;
extern const MethodInfo kRKv;
extern const MethodInfo kRazor;
extern const MethodInfo kRenumber;
extern const MethodInfo kSimLayer;
extern const MethodInfo kSnapKv;
extern const MethodInfo kStreaming;
extern const MethodInfo kTova;
extern const MethodInfo kTrimKv;
extern const MethodInfo kWindowKv;

namespace {

constexpr std::array kMethods = {  // sorted by name
    &kAdaKv,  &kChunkKv,   &kCriticalKv, &kCur,       &kDecode,   &kExpected, &kFinch,
    &kFull,   &kH2o,       &kKeyDiff,    &kKeyformer, &kKnorm,    &kKvMerger, &kLagKv,
    &kMerge,  &kProtect,   &kPyramidKv,  &kRazor,     &kRenumber, &kRKv,      &kSimLayer,
    &kSnapKv, &kStreaming, &kTova,       &kTrimKv,    &kWindowKv};

Error UnknownMethod(std::string_view spec, std::string_view name) {
  std::vector<std::string_view> names;
  for (const MethodInfo* method : kMethods) names.push_back(method->name);
  const auto near = Nearest(name, names);
  return {fmt::format("--kv \"{}\": there is no method '{}'{}; `kvasir methods` lists them", spec,
                      name, near ? fmt::format(" (did you mean '{}'?)", *near) : "")};
}

// One method at most says what becomes of what goes, and what it has merged is not moved.
Status CheckEvicted(std::string_view spec, std::span<const MethodInfo* const> wrappers,
                    const MethodInfo& base) {
  const MethodInfo* takes = base.takes_evicted ? &base : nullptr;
  for (const MethodInfo* wrapper : wrappers) {
    if (!wrapper->takes_evicted) continue;
    if (takes != nullptr) {
      return Fail(
          "--kv \"{}\": '{}' and '{}' both decide what becomes of what is evicted; leave one out",
          spec, wrapper->name, takes->name);
    }
    takes = wrapper;
  }
  const auto moves = std::find_if(wrappers.begin(), wrappers.end(),
                                  [](const MethodInfo* w) { return w->family == "positions"; });
  if (takes == nullptr || moves == wrappers.end()) return {};
  return Fail(
      "--kv \"{}\": '{}' moves keys to new positions, and the means that '{}' makes have none of "
      "their own; leave one out",
      spec, (*moves)->name, takes->name);
}

}  // namespace

std::span<const MethodInfo* const> AllMethods() { return kMethods; }

const MethodInfo* FindMethod(std::string_view name) {
  const auto found = std::find_if(kMethods.begin(), kMethods.end(),
                                  [&](const MethodInfo* m) { return m->name == name; });
  return found == kMethods.end() ? nullptr : *found;
}

Result<std::shared_ptr<Program>> Program::Build(std::string_view spec,
                                                std::span<const MethodInfo* const> more) {
  const auto find = [&](std::string_view name) {
    for (const MethodInfo* info : more) {
      if (info->name == name) return info;
    }
    return FindMethod(name);
  };
  auto program = std::make_shared<Program>();
  program->spec_ = spec;
  KV_ASSIGN_OR_RETURN(const std::vector<SpecItem> items, ParseSpec(spec));
  Chain chain;
  std::vector<const MethodInfo*> wrapped;  // the wrappers that wait for their base
  std::string_view waiting;                // the outermost wrapper that has no base yet
  bool has_base = false;
  for (const SpecItem& item : items) {
    const MethodInfo* info = find(item.name);
    if (info == nullptr) return tl::unexpected<Error>(UnknownMethod(spec, item.name));
    KV_ASSIGN_OR_RETURN(const Params params, Params::Check(item, info->params));
    KV_ASSIGN_OR_RETURN(std::unique_ptr<Method> method, info->make(params));
    if (info->role == Role::kWrapper) {
      if (std::count(wrapped.begin(), wrapped.end(), info) > 0) {
        return Fail("--kv \"{}\": '{}' is stacked twice on one method", spec, info->name);
      }
      wrapped.push_back(info);
      if (waiting.empty()) waiting = info->name;
      const auto place = info->takes_evicted ? chain.wrappers.end() : chain.wrappers.begin();
      chain.wrappers.insert(place, std::move(method));
      continue;
    }
    if (has_base) {
      return Fail(
          "--kv \"{}\": two bases decide what stays ('{}' is the second); stack wrappers "
          "on one base, and run several specs by separating them with ';'",
          spec, item.name);
    }
    has_base = true;
    for (const MethodInfo* wrapper : wrapped) {
      if (wrapper->scored && !info->scored) {
        return Fail(
            "--kv \"{}\": '{}' changes scores and budgets, and '{}' writes none; write "
            "\"{} + snapkv:budget=20%\", or another base that scores",
            spec, wrapper->name, info->name, wrapper->name);
      }
    }
    KV_RETURN_IF_ERROR(CheckEvicted(spec, wrapped, *info));
    wrapped.clear();
    program->is_full_ = item.name == "full" && chain.wrappers.empty();
    chain.base = std::move(method);
    program->chains_.push_back(std::move(chain));
    KV_RETURN_IF_ERROR(program->CheckDecoding());
    chain = Chain{};
    waiting = {};
  }
  if (!waiting.empty()) {
    return Fail(
        "--kv \"{}\": '{}' changes the method after it, and none follows; write \"{} + "
        "streaming:budget=1024\"",
        spec, waiting, waiting);
  }
  return program;
}

Status Program::Bind(const ModelInfo& model, const SideFileLoader& load) {
  const auto bind = [&](Method& method) -> Status {
    const std::optional<SideFileWish> wish = method.side_file();
    if (!wish) return method.Bind(model, nullptr);
    KV_ASSIGN_OR_RETURN(const SideFile file, load(*wish));
    return method.Bind(model, &file);
  };
  for (Chain& chain : chains_) {
    Status status = bind(*chain.base);
    for (auto& wrapper : chain.wrappers) {
      if (status) status = bind(*wrapper);
    }
    if (!status) return Fail("--kv \"{}\": {}", spec_, status.error().message);
  }
  return {};
}

Needs Program::needs(const ModelInfo& model) const {
  Needs all;
  const auto add = [&](const Method& method) {
    const Needs needs = method.needs(model);
    all.last_queries = std::max(all.last_queries, needs.last_queries);
    all.at_decode = all.at_decode || needs.at_decode;
    all.mass = all.mass || needs.mass;
    if (needs.mass) all.mass_rule = needs.mass_rule;
    all.query_stats_from = std::max(all.query_stats_from, needs.query_stats_from);
    all.moves = all.moves || needs.moves;
    all.notes = all.notes || needs.notes;
    if (needs.gates != nullptr) all.gates = needs.gates;
  };
  for (const Chain& chain : chains_) {
    add(*chain.base);
    for (const auto& wrapper : chain.wrappers) add(*wrapper);
  }
  return all;
}

// What acts while generating can need what only a prompt gives.
Status Program::CheckDecoding() const {
  const Needs all = needs(ModelInfo{.n_q_heads = 1, .n_kv_heads = 1});
  if (!all.at_decode) return {};
  if (all.query_stats_from >= 0) {
    return Fail(
        "--kv \"{}\": it looks at the queries of a whole prompt, so it cannot act while "
        "generating; leave 'decode' out",
        spec_);
  }
  if (all.moves && all.last_queries > 1) {
    return Fail(
        "--kv \"{}\": queries of earlier steps do not fit keys whose positions have "
        "changed since; leave out what renumbers, or use a base that looks at the last "
        "query alone (tova) or at none (keydiff)",
        spec_);
  }
  return {};
}

void Program::Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const {
  for (const Chain& chain : chains_) {
    bool acts = at.moment == Moment::kPromptEnd || chain.base->needs(at.model).at_decode;
    for (const auto& wrapper : chain.wrappers) acts = wrapper->Acts(at).value_or(acts);
    if (!acts) continue;
    chain.base->Compress(at, ops, plan);
    for (const auto& wrapper : chain.wrappers) wrapper->Compress(at, ops, plan);
  }
}

}  // namespace kvasir
