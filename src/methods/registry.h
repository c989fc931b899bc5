// The table of all methods, and the program that a spec builds.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "methods/method.h"
#include "methods/spec.h"

namespace kvasir {

// A wrapper changes the next base (or codec) and only that; a base decides what stays; a pruner
// drops channels of what is left, and a codec stores it in fewer bits.
enum class Role : uint8_t { kBase, kWrapper, kCodec, kPruner };
std::string_view RoleName(Role role);  // "base"

// Among whom a wrapper shares out a base's budget.
enum class Shares : uint8_t { kNone, kHeads, kLayers };

struct MethodInfo {
  std::string_view name;
  Role role;
  std::string_view family;   // "evict", "positions", …
  std::string_view summary;  // one line
  std::string_view paper;    // "arXiv 2404.14469"
  std::string_view about;    // a paragraph: what it needs, saves, loses, when not to use it
  std::string_view example;
  std::span<const ParamInfo> params;
  Result<std::unique_ptr<Method>> (*make)(const Params&);
  bool scored = false;  // a base that writes scores and a budget; a wrapper that changes those
  // It decides what becomes of what goes: one a base. Such a wrapper acts last, wherever it stands.
  bool takes_evicted = false;
  Shares shares = Shares::kNone;
  bool of_codec = false;    // a wrapper of a codec
  bool encodes = false;     // a wrapper of a base that stores what the base would drop
  bool fixes_keys = false;  // keys that it has stored cannot be given other positions
  // Not a method but a name for a spec of others, which it chooses; `make` is null then.
  Result<std::string> (*stands_for)(const Params&) = nullptr;
  // It works on what is left of the cache, and so stands after the base.
  bool stores() const { return role == Role::kCodec || role == Role::kPruner || of_codec; }
};

std::span<const MethodInfo* const> AllMethods();  // sorted by name
const MethodInfo* FindMethod(std::string_view name);

// A checked spec: methods in the order in which they write the plan.
class Program {
 public:
  // `more` are methods of the caller's own, found before the built-in ones.
  static Result<std::shared_ptr<Program>> Build(std::string_view spec,
                                                std::span<const MethodInfo* const> more = {});
  // Gives the methods the model that they will serve and their side files.
  using SideFileLoader = std::function<Result<SideFile>(const SideFileWish&)>;
  Status Bind(const ModelInfo& model, const SideFileLoader& load);

  const std::string& spec() const { return spec_; }          // as written, trimmed
  const std::string& reads_as() const { return reads_as_; }  // without names for other specs
  bool is_full() const { return is_full_; }                  // nothing to do: the plain cache
  bool merges() const { return merges_; }                    // what goes is merged into what stays
  bool rewrites() const { return merges_ || encodes_ || !stores_.empty(); }  // bytes of what stays
  Needs needs(const ModelInfo& model) const;  // of all methods together
  // Writes the wishes of all methods that act at this moment.
  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const;
  // Likewise of those that store what is left: a plan of its own, after the first was executed.
  bool Stores(Moment moment) const;
  void Store(const LayerView& at, Ops& ops, LayerPlan& plan) const;

 private:
  friend class ProgramBuilder;
  Needs ChainNeeds(const ModelInfo& model) const;
  // A base and the wrappers that change it, in the order in which they write the plan.
  struct Chain {
    std::unique_ptr<Method> base;
    std::unique_ptr<Method> pruner;                 // of the keys that one of the wrappers encodes
    std::vector<std::unique_ptr<Method>> wrappers;  // the innermost first
    bool budgets_differ = false;                    // one of them shares the budget out
    double share = 0;                               // the base's budget, where it is a share
  };
  std::string spec_, reads_as_;
  std::vector<Chain> chains_;
  std::vector<std::unique_ptr<Method>> stores_;  // a codec, then what stands before it
  bool has_codec_ = false;
  bool is_full_ = false, merges_ = false, encodes_ = false;
};

}  // namespace kvasir
