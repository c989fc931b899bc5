// Method: one policy from the literature. A method is one file with one class in an anonymous
// namespace and one line in registry.cc. It says what it needs; the engine gives it views of a
// layer at set moments; it writes wishes into the layer's plan. The object is immutable and serves
// all sequences and threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/plan.h"
#include "methods/side_file.h"

namespace kvasir {

struct ModelInfo {
  int n_layers = 0, n_q_heads = 0, n_kv_heads = 0, head_dim = 0, hidden = 0;
  std::span<const int> full_layers = {};  // without a sliding window, ascending; empty: all
  int group() const { return n_q_heads / n_kv_heads; }  // query heads a KV head
};

// Which softmax Needs::mass adds up: of (logit + noise) / tau over what a query sees. Without noise
// and with tau 1 it is the one that attention took.
enum class NoiseKind : uint8_t {
  kNone,
  kToken,    // one Gumbel draw for a layer, KV head and token
  kElement,  // one for each query and query head as well
};
struct MassRule {
  NoiseKind noise = NoiseKind::kNone;
  bool shared_in_group = false;  // kElement: one draw for a KV head's group
  uint32_t seed = 0;
  float tau_first = 1, tau_last = 1, tau_step = 0;  // of the prompt; at most; a generated token
  bool own() const { return noise != NoiseKind::kNone || tau_first != 1 || tau_last != 1; }
  float Tau(int64_t n_steps) const {
    return std::min(tau_last, tau_first + tau_step * static_cast<float>(n_steps));
  }
  bool operator==(const MassRule&) const = default;
};

// Numbers that a small network beside a layer's projections gives each token, one a KV head:
// weight2 act(weight1 x + bias1) + bias2, x the layer's normed input, act the model's activation.
struct TokenGate {
  int64_t width = 0;
  std::vector<float> weight1 = {}, bias1 = {};  // [width][hidden], [width]
  std::vector<float> weight2 = {}, bias2 = {};  // [kv_heads][width], [kv_heads]
};

// What a method must be given; what no active method needs is never computed or kept.
struct Needs {
  int last_queries = 0;           // post-RoPE queries of the last rows (of the prompt; with
                                  // at_decode of what is generated too)
  bool at_decode = false;         // Compress after each generated token too
  bool mass = false;              // LayerView::mass
  MassRule mass_rule = {};        // what it adds up
  bool query_max = false;         // LayerView::query_max
  int32_t query_stats_from = -1;  // Ops::FutureQueries, of tokens of this order and later; -1: none
  bool moves = false;             // positions of what is kept change
  bool notes = false;             // LayerView::notes
  const std::vector<TokenGate>* gates = nullptr;  // [layers], of the method's own: LayerView::gates
};

enum class Moment : uint8_t {
  kPromptEnd,  // a layer has attended over the whole prompt
  kDecode,     // a token was generated
};

// One layer of one sequence. All heads hold the tokens fed so far.
struct LayerView {
  const ModelInfo& model;
  int layer = 0;
  Moment moment = Moment::kPromptEnd;
  int64_t n_prompt = 0;                   // tokens read at the last prompt's end
  int64_t shares_of = 0;                  // tokens that budgets are shares of: as a rule n_prompt
  std::span<const int32_t> turns = {};    // orders at which a prompt began or ended, 0 left out
  bool first_prompt = true;               // false in a further turn
  int64_t n_generated = 0;                // tokens since the last prompt's end, this one included
  std::span<const HeadCache> heads = {};  // [kv_heads]
  int64_t n_last_queries = 0;             // rows that a score request can look at
  // [kv_heads][head_dim]: the largest magnitude of each channel of the prompt's queries, over the
  // query heads of the group.
  std::span<const std::vector<float>> query_max = {};
  // To what stands before: a codec, which has written its wishes, or a wrapper that encodes what
  // goes and has not written them yet.
  bool codec_follows = false, encoder_follows = false;
  // [kv_heads][entries]: attention that an entry has got from all queries, mean over the group.
  std::span<const std::vector<float>> mass = {};
  std::span<const std::vector<float>> gates = {};  // [kv_heads][entries] outputs of Needs::gates
  // [layers]: what a method writes for later layers of this moment, where layers share a choice.
  std::span<std::vector<int32_t>> notes = {};

  bool timed = false;           // a wrapper says when to act
  bool budgets_differ = false;  // wrappers give layers or heads budgets of their own

  // True where `keep` entries a head are no limit: nothing to do then. While generating a base lets
  // `slack` more gather before it cuts again, unless a wrapper says when.
  bool Fits(int64_t keep, int64_t slack = 0) const {
    if (moment == Moment::kPromptEnd || timed) slack = 0;
    if (budgets_differ) {  // sizes say nothing about `keep`: what gathers is counted in tokens
      const bool waits = moment == Moment::kDecode && n_generated % (slack + 1) != 0;
      return n_prompt + n_generated <= keep || waits;
    }
    return std::all_of(heads.begin(), heads.end(),
                       [&](const HeadCache& head) { return head.size() <= keep + slack; });
  }
};

// Over the query heads of a KV head; kNone: each for itself.
enum class GroupBy : uint8_t { kMean, kMax, kSum, kNone };

// Attention mass: sum over rows of the softmax weight that a query gave each entry. The softmax of
// a row runs over all entries it sees, in f32, on post-RoPE keys and queries.
struct ScoreRequest {
  int64_t last_rows = 0;                   // the last rows of the prompt
  std::span<const float> row_weight = {};  // [last_rows]; empty: 1
  GroupBy over_group = GroupBy::kMean;
};

// Mean and covariance, over the prompt's tokens, of the queries as they will be at the positions
// after it (averaged over those), times the scale of the logits.
struct QueryMoments {
  std::vector<double> mean;        // [q_heads][head_dim]
  std::vector<double> covariance;  // [q_heads][head_dim][head_dim]
};

// For some entries of a head the nearest of others.
struct NearestEntries {
  std::vector<int32_t> entry;  // [from] one of `to`; of equals the earliest
  std::vector<float> cosine;   // [from] of the two keys; 0 where one is zero
};

// Operations that run where the data is.
class Ops {
 public:
  virtual ~Ops() = default;
  // [kv_heads][entries]; [q_heads][entries] where the group is not reduced
  virtual std::vector<std::vector<float>> AttentionMass(const LayerView& at,
                                                        const ScoreRequest& request) = 0;
  // What an entry's value weighs after the output projection: mean over the group of
  // ||W_o,h v||_1. [entries]
  virtual std::vector<float> OutputNorms(const LayerView& at, int kv_head) = 0;
  // By the cosine of keys. REQUIRES: `to` is not empty.
  virtual NearestEntries NearestKeys(const LayerView& at, int kv_head,
                                     std::span<const int32_t> from, std::span<const int32_t> to);
  // Mean over the last rows and over the group of the squared query: [head_dim].
  virtual std::vector<float> QueryEnergy(const LayerView& at, int kv_head, int64_t last_rows) = 0;
  // Mean over the last rows and over the group of the square of what attention gave the query, over
  // the entries that are there now: [head_dim].
  virtual std::vector<float> OutputEnergy(const LayerView& at, int kv_head, int64_t last_rows) = 0;
  // Queries of the n positions after the text, in the frame of a KV head's positions.
  virtual QueryMoments FutureQueries(const LayerView& at, int64_t n) = 0;
  // What compute() returns, which may depend on the layer's view and on what `key` says alone: the
  // method's name and every setting that matters (a budget, as a rule, does not). Sequences that
  // read a prompt together then have it computed once.
  using Numbers = std::vector<std::vector<float>>;  // [kv_heads][entries], as a rule
  virtual std::shared_ptr<const Numbers> Once([[maybe_unused]] const std::string& key,
                                              const std::function<Numbers()>& compute) {
    return std::make_shared<const Numbers>(compute());
  }
};

// All keys or values of a head: [entries][head_dim].
inline std::vector<float> ReadPlane(const HeadCache& head, PlaneKind kind) {
  std::vector<float> x(head.size() * head.format().head_dim);
  head.Read(kind, 0, head.size(), x.data());
  return x;
}

// 1-D pooling over neighbours, stride 1, same length. Mean pads with zeros and always divides by
// `kernel`; max ignores what is outside. kernel is odd.
enum class PoolKind : uint8_t { kMean, kMax };
std::vector<float> Pool1d(std::span<const float> x, int kernel, PoolKind kind);

class Method {
 public:
  virtual ~Method() = default;
  virtual Needs needs(const ModelInfo&) const { return {}; }
  // The side file that it cannot work without.
  virtual std::optional<SideFileWish> side_file() const { return std::nullopt; }
  // Before the first token: the model it will serve and the file it asked for (else null). What
  // does not fit is an error. Explanations of a spec, which know no model, leave this out.
  virtual Status Bind(const ModelInfo&, const SideFile*) { return {}; }
  // A wrapper that decides when its base acts; nullopt: as the base says.
  virtual std::optional<bool> Acts(const LayerView&) const { return std::nullopt; }
  // A wrapper that decides what its base's budget is a share of; nullopt: of the prompt.
  virtual std::optional<int64_t> SharesOf(const LayerView&) const { return std::nullopt; }
  // After a layer's last prompt row, and after each generated token where needs() asks for it.
  virtual void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const = 0;
};

}  // namespace kvasir
