// Checks a spec and builds its Program.
#include <algorithm>

#include "methods/registry.h"

namespace kvasir {
namespace {

Error UnknownMethod(std::string_view spec, std::string_view name) {
  std::vector<std::string_view> names;
  for (const MethodInfo* method : AllMethods()) names.push_back(method->name);
  const auto near = Nearest(name, names);
  return {fmt::format("--kv \"{}\": there is no method '{}'{}; `kvasir methods` lists them", spec,
                      name, near ? fmt::format(" (did you mean '{}'?)", *near) : "")};
}

// One method at most says what becomes of what goes, and what it has merged is not moved.
Status CheckEvicted(std::string_view spec, std::span<const MethodInfo* const> wrappers,
                    const MethodInfo& base) {
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
  if (takes == nullptr || moves == wrappers.end()) return {};
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
  ProgramBuilder(std::string_view spec, std::span<const MethodInfo* const> more)
      : spec_(spec), more_(more) {
    program_->spec_ = spec;
  }

  Status Add(const SpecItem& item) {
    const MethodInfo* info = Find(item.name);
    if (info == nullptr) return tl::unexpected<Error>(UnknownMethod(spec_, item.name));
    KV_ASSIGN_OR_RETURN(const Params params, Params::Check(item, info->params));
    KV_ASSIGN_OR_RETURN(std::unique_ptr<Method> method, info->make(params));
    if (info->role == Role::kPruner || info->role == Role::kCodec || info->of_codec) {
      return AddStore(info, std::move(method));
    }
    if (info->encodes && stores_.size() == 1 && stores_[0]->role == Role::kPruner) {
      chain_.pruner = std::move(program_->stores_[0]);
      program_->stores_.clear();
      stores_.clear();
    } else if (!stores_.empty()) {
      return Fail(
          "--kv \"{}\": '{}' works on what is left of the cache, so it stands after '{}', which "
          "decides what is left; write \"{} + {}\"",
          spec_, stores_.front()->name, info->name, info->example, stores_.front()->name);
    }
    return info->role == Role::kWrapper ? AddWrapper(info, std::move(method))
                                        : AddBase(info, std::move(method));
  }

  Result<std::shared_ptr<Program>> Done() {
    if (!wrappers_.empty()) {
      return Fail(
          "--kv \"{}\": '{}' changes the method after it, and none follows; write \"{} + "
          "streaming:budget=1024\"",
          spec_, wrappers_.front()->name, wrappers_.front()->name);
    }
    if (!stores_.empty() && stores_.back()->of_codec) {
      return Fail(
          "--kv \"{}\": '{}' changes the codec after it, and none follows; write \"{} + "
          "kivi:bits=2\"",
          spec_, stores_.back()->name, stores_.back()->name);
    }
    program_->is_full_ = program_->is_full_ && stores_.empty();
    KV_RETURN_IF_ERROR(CheckDecoding());
    KV_RETURN_IF_ERROR(CheckMoves());
    return std::move(program_);
  }

 private:
  const MethodInfo* Find(std::string_view name) const {
    for (const MethodInfo* info : more_) {
      if (info->name == name) return info;
    }
    return FindMethod(name);
  }
  Status AddWrapper(const MethodInfo* info, std::unique_ptr<Method> method);
  Status AddBase(const MethodInfo* info, std::unique_ptr<Method> method);
  Status AddStore(const MethodInfo* info, std::unique_ptr<Method> method);
  Status CheckDecoding() const;
  Status CheckMoves() const;

  std::string_view spec_;
  std::span<const MethodInfo* const> more_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
  Program::Chain chain_;
  std::vector<const MethodInfo*> wrappers_;  // that wait for their base, the outermost first
  std::vector<const MethodInfo*> stores_;    // in the order of the spec
  const MethodInfo* encoder_ = nullptr;      // who gives entries their final format
  bool has_base_ = false;
};

Status ProgramBuilder::AddWrapper(const MethodInfo* info, std::unique_ptr<Method> method) {
  if (std::count(wrappers_.begin(), wrappers_.end(), info) > 0) {
    return Fail("--kv \"{}\": '{}' is stacked twice on one method", spec_, info->name);
  }
  if (info->encodes && !wrappers_.empty()) {
    return Fail(
        "--kv \"{}\": '{}' stores what the methods after it would drop, so it stands before all "
        "of them; write \"{} + {} + …\"",
        spec_, info->name, info->name, wrappers_.front()->name);
  }
  if (info->encodes) encoder_ = info;
  wrappers_.push_back(info);
  const auto place = info->takes_evicted ? chain_.wrappers.end() : chain_.wrappers.begin();
  chain_.wrappers.insert(place, std::move(method));
  return {};
}

Status ProgramBuilder::AddBase(const MethodInfo* info, std::unique_ptr<Method> method) {
  if (has_base_) {
    return Fail(
        "--kv \"{}\": two bases decide what stays ('{}' is the second); stack wrappers "
        "on one base, and run several specs by separating them with ';'",
        spec_, info->name);
  }
  has_base_ = true;
  for (const MethodInfo* wrapper : wrappers_) {
    if (wrapper->scored && !info->scored) {
      return Fail(
          "--kv \"{}\": '{}' changes scores and budgets, and '{}' writes none; write "
          "\"{} + snapkv:budget=20%\", or another base that scores",
          spec_, wrapper->name, info->name, wrapper->name);
    }
  }
  KV_RETURN_IF_ERROR(CheckEvicted(spec_, wrappers_, *info));
  program_->merges_ = program_->merges_ || info->takes_evicted;
  for (const MethodInfo* wrapper : wrappers_) {
    program_->merges_ = program_->merges_ || wrapper->takes_evicted;
    program_->encodes_ = program_->encodes_ || wrapper->encodes;
  }
  wrappers_.clear();
  program_->is_full_ = info->name == "full" && chain_.wrappers.empty();
  chain_.base = std::move(method);
  program_->chains_.push_back(std::move(chain_));
  chain_ = {};
  return {};
}

Status ProgramBuilder::AddStore(const MethodInfo* info, std::unique_ptr<Method> method) {
  if (!wrappers_.empty()) {
    return Fail(
        "--kv \"{}\": '{}' changes a method that decides what stays, and '{}' is none; write "
        "\"{} + snapkv:budget=20% + {}\"",
        spec_, wrappers_.front()->name, info->name, wrappers_.front()->name, info->name);
  }
  if (info->role == Role::kCodec && encoder_ != nullptr) {
    return Fail("--kv \"{}\": '{}' and '{}' both say how entries are stored; leave one out", spec_,
                encoder_->name, info->name);
  }
  if (info->role == Role::kPruner && encoder_ != nullptr) {
    return Fail(
        "--kv \"{}\": '{}' drops channels of keys before they are encoded, so it stands before "
        "'{}'; write \"{} + {}{}\"",
        spec_, info->name, encoder_->name, info->name, encoder_->name,
        encoder_->role == Role::kWrapper ? " + …" : "");
  }
  for (const MethodInfo* before : stores_) {
    if (before == info) {
      return Fail("--kv \"{}\": '{}' is stacked twice", spec_, info->name);
    }
    if (before->fixes_keys && info->fixes_keys) {
      return Fail(
          "--kv \"{}\": '{}' and '{}' both choose among the channels of keys; put 'kivi', 'q8' or "
          "'q4' after one of them",
          spec_, before->name, info->name);
    }
  }
  if (info->role == Role::kCodec) {
    encoder_ = info;
    program_->has_codec_ = true;
  }
  stores_.push_back(info);
  program_->stores_.insert(program_->stores_.begin(), std::move(method));
  return {};
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
        spec_);
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
        spec_, store->name);
  }
  return {};
}

Result<std::shared_ptr<Program>> Program::Build(std::string_view spec,
                                                std::span<const MethodInfo* const> more) {
  ProgramBuilder builder(spec, more);
  KV_ASSIGN_OR_RETURN(const std::vector<SpecItem> items, ParseSpec(spec));
  for (const SpecItem& item : items) KV_RETURN_IF_ERROR(builder.Add(item));
  return builder.Done();
}

}  // namespace kvasir
