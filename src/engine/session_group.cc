#include "engine/session_group.h"

#include <algorithm>
#include <chrono>

#include "engine/cpu_ops.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Everything that any of them needs. Query statistics have a start that members must agree on, and
// gates of its own make a member read alone; of attention mass the first rule is taken, and others
// are collected apart.
Needs Union(const Needs& a, const Needs& b) {
  Needs both = a;
  both.last_queries = std::max(a.last_queries, b.last_queries);
  both.at_decode = a.at_decode || b.at_decode;
  both.mass = a.mass || b.mass;
  both.query_max = a.query_max || b.query_max;
  if (!a.mass) both.mass_rule = b.mass_rule;
  if (b.gates != nullptr) both.gates = b.gates;
  both.query_stats_from = std::max(a.query_stats_from, b.query_stats_from);
  both.moves = a.moves || b.moves;
  return both;
}

}  // namespace

// The pass: a lead cache reads a layer, the members take it over, compress it, and it goes.
class GroupReader {
 public:
  GroupReader(LoadedModel& model, const SessionOptions& options, SessionGroup& group,
              const std::vector<size_t>& members, std::span<const int32_t> tokens)
      : model_(model), options_(options), group_(group), members_(members), tokens_(tokens) {
    Needs needs;
    for (const size_t m : members_) needs = Union(needs, member(m).spec().needs);
    collected_.emplace_back(needs, model_.info());
    rules_.push_back(needs.mass_rule);
    for (const size_t m : members_) {
      const Needs& own = member(m).spec().needs;
      if (!own.mass || std::find(rules_.begin(), rules_.end(), own.mass_rule) != rules_.end()) {
        continue;
      }
      collected_.emplace_back(Needs{.mass = true, .mass_rule = own.mass_rule}, model_.info());
      rules_.push_back(own.mass_rule);
    }
  }

  Status Run(const ProgressFn& progress) {
    const ModelConfig& config = model_.config();
    const auto n = static_cast<int64_t>(tokens_.size());
    // A copy of the pointer: the first member may fail and go, the pool must stay.
    const std::shared_ptr<PagePool> pool = member(members_[0]).pool_;
    KvCache lead = member(members_[0]).cache_.Empty(*pool);
    for (MethodState& state : collected_) state.StartPrompt(static_cast<int32_t>(n));
    for (const size_t m : members_) member(m).StartPrompt(n);
    Buffer rows;
    rows.Grow(static_cast<size_t>(n * config.hidden) * sizeof(float));
    const MatView<float> x = Mat(rows.as<float>(), n, config.hidden);
    Clock::time_point start = Clock::now();
    forward_.Embed(tokens_, x);
    for (int l = 0; l < config.n_layers; ++l) {
      KV_RETURN_IF_ERROR(ReadLayer(l, x, lead, progress));
      group_.forward_ms += MsSince(start);
      for (const size_t m : members_) TakeOver(m, l, lead);
      memo_ = {};
      for (HeadCache& head : lead.layer(l)) head.Clear();
      for (MethodState& state : collected_) state.EndLayer(l);
      start = Clock::now();
    }
    std::vector<float> logits(config.n_vocab);
    forward_.Logits(Mat<const float>(x.row(n - 1), 1, config.hidden),
                    Mat(logits.data(), 1, config.n_vocab));
    group_.forward_ms += MsSince(start);
    for (const size_t m : members_) {
      if (!group_.members[m].session) continue;
      member(m).Commit(tokens_);
      member(m).EndPrompt();
      member(m).logits() = logits;
    }
    if (progress) progress(n, n);
    return {};
  }

  static Sequence& SequenceOf(SessionImpl& session) { return *session.sequence_; }
  // Empty sequences take pages of one pool from now on: forks of the lead's share its pages.
  static void SharePool(Sequence& sequence, const Sequence& with) {
    sequence.cache_ = sequence.cache_.Empty(*with.pool_);
    sequence.pool_ = with.pool_;
  }

 private:
  Sequence& member(size_t m) { return SequenceOf(**group_.members[m].session); }

  Status ReadLayer(int l, MatView<float> x, KvCache& lead, const ProgressFn& progress) {
    const int64_t n = x.shape[0];
    for (int64_t first = 0; first < n; first += options_.chunk) {
      const int64_t done = (l * n + first) / model_.config().n_layers;
      if (progress && !progress(done, n)) return Fail("interrupted");
      const int64_t n_rows = std::min<int64_t>(options_.chunk, n - first);
      Segment segment{.cache = &lead,
                      .first_row = 0,
                      .n_rows = n_rows,
                      .first_order = static_cast<int32_t>(first)};
      collected_[0].Attach(segment);
      KV_RETURN_IF_ERROR(forward_.Run(l, l + 1, Mat(x.row(first), n_rows, x.shape[1], x.stride[0]),
                                      {&segment, 1}));
      const bool windowed = model_.config().layers[l].window > 0;
      for (size_t i = 1; i < collected_.size(); ++i) {
        collected_[i].CopyRows(collected_[0], l, n_rows);
      }
      for (MethodState& state : collected_) {
        const std::span<HeadCache> heads = windowed ? std::span<HeadCache>() : lead.layer(l);
        KV_RETURN_IF_ERROR(state.AddRows(forward_, heads, l, first + n_rows == n));
      }
    }
    return {};
  }

  void TakeOver(size_t m, int l, const KvCache& lead) {
    GroupMember& each = group_.members[m];
    if (!each.session) return;
    const Clock::time_point start = Clock::now();
    Sequence& sequence = member(m);
    sequence.cache_.ForkLayer(l, lead);
    const Needs& needs = sequence.spec().needs;
    const auto rule = std::find(rules_.begin(), rules_.end(), needs.mass_rule) - rules_.begin();
    sequence.state_.TakeLayer(collected_[0], l);
    if (needs.mass) sequence.state_.TakeMass(collected_[rule], l);
    const Status status = sequence.Compress(l, Moment::kPromptEnd, &memo_);
    sequence.state_.EndLayer(l);
    each.compress_ms += MsSince(start) + memo_.TakeSavedMs();
    if (!status) each.session = tl::unexpected<Error>(status.error());
  }

  LoadedModel& model_;
  const SessionOptions& options_;
  SessionGroup& group_;
  const std::vector<size_t>& members_;
  Forward& forward_ = member(members_[0]).forward();  // alike in all members
  const std::span<const int32_t> tokens_;
  // What the members' methods want collected: the first has all but the mass of further rules, of
  // which each has a state of its own.
  std::vector<MethodState> collected_;
  std::vector<MassRule> rules_;  // of collected_
  LayerMemo memo_;               // of the layer that was just read
};

Result<SessionGroup> ReadTogether(const std::shared_ptr<LoadedModel>& model,
                                  const SessionOptions& options, std::span<const std::string> specs,
                                  std::span<const int32_t> tokens, const ProgressFn& progress) {
  SessionGroup group;
  // Those whose query statistics start at one place (-1: they need none) read together. A limit of
  // memory is each session's own, which one pool for all of them could not keep.
  struct Pass {
    int32_t stats_from = -1;
    bool alone = false;
    std::vector<size_t> members;
  };
  std::vector<Pass> passes;
  for (size_t m = 0; m < specs.size(); ++m) {
    SessionOptions own = options;
    own.kv = specs[m];
    group.members.push_back({specs[m], SessionImpl::Open(model, own), 0});
    if (!group.members[m].session) continue;
    Sequence& sequence = GroupReader::SequenceOf(**group.members[m].session);
    KV_RETURN_IF_ERROR(sequence.CheckTokens(tokens));
    const Needs& needs = sequence.spec().needs;
    const int32_t from = needs.query_stats_from;
    const bool alone = needs.gates != nullptr || options.kv_memory > 0;
    auto pass = std::find_if(passes.begin(), passes.end(), [&](const Pass& p) {
      return !p.alone && (p.stats_from == from || p.stats_from < 0 || from < 0);
    });
    if (pass == passes.end() || alone) {
      pass = passes.insert(passes.end(), Pass{.alone = alone, .members = {}});
    } else {
      const GroupMember& first = group.members[pass->members[0]];
      GroupReader::SharePool(sequence, GroupReader::SequenceOf(**first.session));
    }
    pass->stats_from = std::max(pass->stats_from, from);
    pass->members.push_back(m);
  }
  for (const Pass& pass : passes) {
    KV_RETURN_IF_ERROR(GroupReader(*model, options, group, pass.members, tokens).Run(progress));
  }
  return group;
}

}  // namespace kvasir
