#include "methods/registry.h"

#include <algorithm>
#include <array>

namespace kvasir {

extern const MethodInfo kFull;
extern const MethodInfo kRenumber;
extern const MethodInfo kSnapKv;
extern const MethodInfo kStreaming;

namespace {

constexpr std::array kMethods = {&kFull, &kRenumber, &kSnapKv, &kStreaming};  // sorted by name

Error UnknownMethod(std::string_view spec, std::string_view name) {
  std::vector<std::string_view> names;
  for (const MethodInfo* method : kMethods) names.push_back(method->name);
  const auto near = Nearest(name, names);
  return {fmt::format("--kv \"{}\": there is no method '{}'{}; `kvasir methods` lists them", spec,
                      name, near ? fmt::format(" (did you mean '{}'?)", *near) : "")};
}

}  // namespace

std::span<const MethodInfo* const> AllMethods() { return kMethods; }

const MethodInfo* FindMethod(std::string_view name) {
  const auto found = std::find_if(kMethods.begin(), kMethods.end(),
                                  [&](const MethodInfo* m) { return m->name == name; });
  return found == kMethods.end() ? nullptr : *found;
}

Result<std::shared_ptr<const Program>> Program::Build(std::string_view spec,
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
  std::string_view waiting;  // the outermost wrapper that has no base yet
  bool has_base = false;
  for (const SpecItem& item : items) {
    const MethodInfo* info = find(item.name);
    if (info == nullptr) return tl::unexpected<Error>(UnknownMethod(spec, item.name));
    KV_ASSIGN_OR_RETURN(const Params params, Params::Check(item, info->params));
    KV_ASSIGN_OR_RETURN(std::unique_ptr<Method> method, info->make(params));
    if (info->role == Role::kWrapper) {
      if (waiting.empty()) waiting = info->name;
      chain.wrappers.insert(chain.wrappers.begin(), std::move(method));
      continue;
    }
    if (has_base) {
      return Fail(
          "--kv \"{}\": two bases decide what stays ('{}' is the second); stack wrappers "
          "on one base, and run several specs by separating them with ';'",
          spec, item.name);
    }
    has_base = true;
    program->is_full_ = item.name == "full" && chain.wrappers.empty();
    chain.base = std::move(method);
    program->chains_.push_back(std::move(chain));
    chain = Chain{};
    waiting = {};
  }
  if (!waiting.empty()) {
    return Fail(
        "--kv \"{}\": '{}' changes the method after it, and none follows; write \"{} + "
        "streaming:budget=1024\"",
        spec, waiting, waiting);
  }
  return std::shared_ptr<const Program>(std::move(program));
}

Needs Program::needs(const ModelInfo& model) const {
  Needs all;
  const auto add = [&](const Method& method) {
    const Needs needs = method.needs(model);
    all.last_queries = std::max(all.last_queries, needs.last_queries);
    all.at_decode = all.at_decode || needs.at_decode;
  };
  for (const Chain& chain : chains_) {
    add(*chain.base);
    for (const auto& wrapper : chain.wrappers) add(*wrapper);
  }
  return all;
}

void Program::Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const {
  for (const Chain& chain : chains_) {
    if (at.moment == Moment::kDecode && !chain.base->needs(at.model).at_decode) continue;
    chain.base->Compress(at, ops, plan);
    for (const auto& wrapper : chain.wrappers) wrapper->Compress(at, ops, plan);
  }
}

}  // namespace kvasir
