// Checks a spec and builds its Program.
#include <algorithm>

#include "methods/reads_as.h"
#include "methods/recipe.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr std::string_view kBudgetName = "budget";  // of every base that has one

Error UnknownMethod(std::string_view spec, std::string_view name) {
  std::vector<std::string_view> names;
  for (const MethodInfo* method : AllMethods()) names.push_back(method->name);
  const auto near = Nearest(name, names);
  return {fmt::format("--kv \"{}\": there is no method '{}'{}; `kvasir methods` lists them", spec,
                      name, near ? fmt::format(" (did you mean '{}'?)", *near) : "")};
}

// One method at most says what becomes of what goes, and what it has merged is not moved: by a
// wrapper, or by the base itself.
Status CheckEvicted(std::string_view spec, std::span<const MethodInfo* const> wrappers,
                    const MethodInfo& base, bool base_moves) {
  const MethodInfo* takes = base.takes_evicted ? &base : nullptr;
  for (const MethodInfo* wrapper : wrappers) {
    if (!wrapper->takes_evicted && !wrapper->encodes) continue;
    if (takes != nullptr) {
      return Fail(
          "--kv \"{}\": '{}' and '{}' both decide what becomes of what is evicted; leave one out",
          spec, wrapper->name, takes->name);
    }
    takes = wrapper;
  }
  const auto moves = std::find_if(wrappers.begin(), wrappers.end(),
                                  [](const MethodInfo* w) { return w->family == "positions"; });
  if (takes == nullptr) return {};
  if (moves == wrappers.end()) {
    if (!base_moves || takes->encodes) return {};  // what drops nothing leaves no gaps to close
    return Fail(
        "--kv \"{}\": '{}' moves keys to new positions, and the means that '{}' makes have none of "
        "their own; leave out what renumbers",
        spec, base.name, takes->name);
  }
  if (takes->encodes) {
    return Fail(
        "--kv \"{}\": '{}' closes the gaps that eviction leaves, and '{}' keeps every entry; leave "
        "one out",
        spec, (*moves)->name, takes->name);
  }
  return Fail(
      "--kv \"{}\": '{}' moves keys to new positions, and the means that '{}' makes have none of "
      "their own; leave one out",
      spec, (*moves)->name, takes->name);
}

}  // namespace

// Reads the items of a spec from left to right: wrappers and their base; then a pruner, wrappers of
// the codec, the codec.
class ProgramBuilder {
 public:
  // teaches: an error names a spec that is right; those of attempts to find it need not.
  ProgramBuilder(std::string_view spec, std::span<const MethodInfo* const> more, bool teaches)
      : spec_(spec), shown_(spec), more_(more), teaches_(teaches) {}

  Result<std::shared_ptr<Program>> Build() {
    KV_ASSIGN_OR_RETURN(const std::string reads_as, ReadsAs(spec_, more_));
    KV_ASSIGN_OR_RETURN(items_, ParseSpec(reads_as));
    // Errors show both: what is wrong may be in what was written out.
    if (reads_as != spec_) shown_ = fmt::format("{}\" = \"{}", spec_, reads_as);
    for (const SpecItem& item : items_) KV_RETURN_IF_ERROR(Add(item));
    program_->spec_ = spec_;
    program_->reads_as_ = reads_as;
    return Done();
  }

 private:
  const MethodInfo* Find(std::string_view name) const;
  Status Add(const SpecItem& item);
  Status AddWrapper(const MethodInfo* info, std::unique_ptr<Method> method);
  Status AddBase(const MethodInfo* info, std::unique_ptr<Method> method, double share);
  Status AddStore(const MethodInfo* info, std::unique_ptr<Method> method);
  Status CheckStore(const MethodInfo* info) const;
  Result<std::shared_ptr<Program>> Done();
  Status CheckDecoding() const;
  Status CheckMoves() const;
  // What is wrong, and the nearest spec that is right.
  template <class... Args>
  tl::unexpected<Error> Refuse(fmt::format_string<Args...> what, Args&&... args) const {
    return Fail("--kv \"{}\": {}; {}", shown_, fmt::format(what, std::forward<Args>(args)...),
                teaches_ ? Recipe() : "");
  }
  std::string Recipe() const;

  std::string_view spec_;
  std::string shown_;  // in errors
  std::span<const MethodInfo* const> more_;
  const bool teaches_;
  std::vector<SpecItem> items_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
  Program::Chain chain_;
  std::vector<const MethodInfo*> wrappers_;  // that wait for their base, the outermost first
  std::vector<const MethodInfo*> stores_;    // in the order of the spec
  const MethodInfo* encoder_ = nullptr;      // who gives entries their final format
  bool has_base_ = false;
};

const MethodInfo* ProgramBuilder::Find(std::string_view name) const {
  for (const MethodInfo* info : more_) {
    if (info->name == name) return info;
  }
  return FindMethod(name);
}

std::string ProgramBuilder::Recipe() const {
  std::vector<PlacedItem> items;
  for (const SpecItem& item : items_) items.push_back({item, Find(item.name)});
  const bool known =
      std::all_of(items.begin(), items.end(), [](const PlacedItem& each) { return each.method; });
  if (known) {
    for (const std::string& recipe : Recipes(items)) {
      if (ProgramBuilder(recipe, more_, false).Build()) return fmt::format("write \"{}\"", recipe);
    }
  }
  return "leave one out";
}

Status ProgramBuilder::Add(const SpecItem& item) {
  const MethodInfo* info = Find(item.name);
  if (info == nullptr) return tl::unexpected<Error>(UnknownMethod(shown_, item.name));
  KV_ASSIGN_OR_RETURN(const Params params, Params::Check(item, info->params));
  KV_ASSIGN_OR_RETURN(std::unique_ptr<Method> method, info->make(params));
  if (info->stores()) return AddStore(info, std::move(method));
  if (info->encodes && stores_.size() == 1 && stores_[0]->role == Role::kPruner) {
    chain_.pruner = std::move(program_->stores_[0]);
    program_->stores_.clear();
    stores_.clear();
  } else if (!stores_.empty()) {
    return Refuse(
        "'{}' works on what is left of the cache, so it stands after '{}', which decides what is "
        "left",
        stores_.front()->name, info->name);
  }
  if (info->role == Role::kWrapper) return AddWrapper(info, std::move(method));
  const bool has_budget =
      std::any_of(info->params.begin(), info->params.end(),
                  [](const ParamInfo& param) { return param.name == kBudgetName; });
  return AddBase(info, std::move(method), has_budget ? params.GetBudget(kBudgetName).share : 0);
}

Status ProgramBuilder::AddWrapper(const MethodInfo* info, std::unique_ptr<Method> method) {
  if (std::count(wrappers_.begin(), wrappers_.end(), info) > 0) {
    return Fail("--kv \"{}\": '{}' is stacked twice on one method", shown_, info->name);
  }
  if (info->encodes && !wrappers_.empty()) {
    return Refuse(
        "'{}' stores what the methods after it would drop, so it stands before all of them",
        info->name);
  }
  const auto of_layers = std::find_if(wrappers_.begin(), wrappers_.end(), [](const MethodInfo* w) {
    return w->shares == Shares::kLayers;
  });
  if (info->shares == Shares::kHeads && of_layers != wrappers_.end()) {
    return Refuse("'{}' shares out among heads what '{}' gives their layer, so it stands before it",
                  info->name, (*of_layers)->name);
  }
  if (info->encodes) encoder_ = info;
  chain_.budgets_differ = chain_.budgets_differ || info->shares != Shares::kNone;
  wrappers_.push_back(info);
  const auto place = info->takes_evicted ? chain_.wrappers.end() : chain_.wrappers.begin();
  chain_.wrappers.insert(place, std::move(method));
  return {};
}

Status ProgramBuilder::AddBase(const MethodInfo* info, std::unique_ptr<Method> method,
                               double share) {
  if (has_base_) {
    return Fail(
        "--kv \"{}\": two bases decide what stays ('{}' is the second); stack wrappers "
        "on one base, and run several specs by separating them with ';'",
        shown_, info->name);
  }
  has_base_ = true;
  for (const MethodInfo* wrapper : wrappers_) {
    if (wrapper->scored && !info->scored) {
      return Refuse("'{}' changes scores and budgets, and '{}' writes none", wrapper->name,
                    info->name);
    }
  }
  const bool moves = method->needs(ModelInfo{.n_q_heads = 1, .n_kv_heads = 1}).moves;
  KV_RETURN_IF_ERROR(CheckEvicted(shown_, wrappers_, *info, moves));
  program_->merges_ = program_->merges_ || info->takes_evicted;
  for (const MethodInfo* wrapper : wrappers_) {
    program_->merges_ = program_->merges_ || wrapper->takes_evicted;
    program_->encodes_ = program_->encodes_ || wrapper->encodes;
  }
  wrappers_.clear();
  program_->is_full_ = info->name == "full" && chain_.wrappers.empty();
  chain_.base = std::move(method);
  chain_.share = share;
  program_->chains_.push_back(std::move(chain_));
  chain_ = {};
  return {};
}

Status ProgramBuilder::CheckStore(const MethodInfo* info) const {
  if (!wrappers_.empty()) {
    return Refuse("'{}' changes a method that decides what stays, and '{}' is none",
                  wrappers_.front()->name, info->name);
  }
  if (info->role == Role::kCodec && encoder_ != nullptr) {
    return Fail("--kv \"{}\": '{}' and '{}' both say how entries are stored; leave one out", shown_,
                encoder_->name, info->name);
  }
  if (info->role == Role::kPruner && encoder_ != nullptr) {
    return Refuse("'{}' drops channels of keys before they are encoded, so it stands before '{}'",
                  info->name, encoder_->name);
  }
  for (const MethodInfo* before : stores_) {
    if (before == info) return Fail("--kv \"{}\": '{}' is stacked twice", shown_, info->name);
    if (before->fixes_keys && info->fixes_keys) {
      return Fail(
          "--kv \"{}\": '{}' and '{}' both choose among the channels of keys; leave one out",
          shown_, before->name, info->name);
    }
  }
  return {};
}

Status ProgramBuilder::AddStore(const MethodInfo* info, std::unique_ptr<Method> method) {
  KV_RETURN_IF_ERROR(CheckStore(info));
  if (info->role == Role::kCodec) {
    encoder_ = info;
    program_->has_codec_ = true;
  }
  stores_.push_back(info);
  program_->stores_.insert(program_->stores_.begin(), std::move(method));
  return {};
}

Result<std::shared_ptr<Program>> ProgramBuilder::Done() {
  if (!wrappers_.empty()) {
    return Refuse("'{}' changes the method after it, and none follows", wrappers_.front()->name);
  }
  if (!stores_.empty() && stores_.back()->of_codec) {
    return Refuse("'{}' changes the codec after it, and none follows", stores_.back()->name);
  }
  program_->is_full_ = program_->is_full_ && stores_.empty();
  KV_RETURN_IF_ERROR(CheckDecoding());
  KV_RETURN_IF_ERROR(CheckMoves());
  return std::move(program_);
}

// What acts while generating can need queries that no longer fit.
Status ProgramBuilder::CheckDecoding() const {
  const Needs all = program_->ChainNeeds(ModelInfo{.n_q_heads = 1, .n_kv_heads = 1});
  if (!all.at_decode) return {};
  if (all.moves && all.last_queries > 1) {
    return Fail(
        "--kv \"{}\": queries of earlier steps do not fit keys whose positions have "
        "changed since; leave out what renumbers, or use a base that looks at the last "
        "query alone (tova) or at none (keydiff)",
        shown_);
  }
  return {};
}

Status ProgramBuilder::CheckMoves() const {
  if (!program_->ChainNeeds(ModelInfo{.n_q_heads = 1, .n_kv_heads = 1}).moves) return {};
  for (const MethodInfo* store : stores_) {
    if (!store->fixes_keys) continue;
    return Fail(
        "--kv \"{}\": '{}' drops or mixes channels of keys, which cannot be given other positions "
        "afterwards, and positions move again in every turn; leave out what renumbers, or use "
        "kivi, q8 or q4 alone after it",
        shown_, store->name);
  }
  return {};
}

Result<std::shared_ptr<Program>> Program::Build(std::string_view spec,
                                                std::span<const MethodInfo* const> more) {
  return ProgramBuilder(spec, more, true).Build();
}

}  // namespace kvasir
