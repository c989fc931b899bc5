// Forward: rows of hidden states through some layers of a model. Both orders of prefill, decode and
// batches of several sequences are short loops over Run. One call at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "engine/query_stats.h"
#include "engine/rope_cache.h"
#include "engine/token_gates.h"
#include "kernels/attention.h"
#include "model/config.h"
#include "model/weights.h"

namespace kvasir {

// Floats [rows, cols] in a buffer that grows as needed.
inline MatView<float> Grow(Buffer& buffer, int64_t rows, int64_t cols) {
  buffer.Grow(static_cast<size_t>(rows * cols) * sizeof(float));
  return Mat(buffer.as<float>(), rows, cols);
}

// Post-RoPE queries of the last rows of a prompt in one layer, for score requests.
struct LastQueries {
  int32_t first_order = 0;     // rows of this order and later are kept
  std::vector<int32_t> order;  // [rows]
  std::vector<float> q;        // [rows][q_heads * head_dim]
  std::vector<float> lse;      // [rows][q_heads]
  int64_t n_rows() const { return static_cast<int64_t>(order.size()); }
  void Clear() {
    order.clear();
    q.clear();
    lse.clear();
  }
};

// Rows of one sequence within a batch: tokens of consecutive order.
struct Segment {
  KvCache* cache = nullptr;
  int64_t first_row = 0, n_rows = 0;         // in the batch's x
  int32_t first_order = 0;                   // place in the text of the first row
  std::vector<LastQueries>* last = nullptr;  // [layers]; null: not wanted
  std::vector<QueryStats>* stats = nullptr;  // [layers]; likewise
  GateRows* gates = nullptr;                 // likewise
  // [layers * kv_heads][head_dim], likewise: largest magnitudes of the rotated queries' channels.
  std::vector<std::vector<float>>* query_max = nullptr;
};

// A layer's attention outputs, before the output product: [rows, q_heads * head_dim].
using AttentionProbe = std::function<void(int layer, MatView<const float> outputs)>;

class Forward {
 public:
  // ropes: of the config, those of texts of the length that it is for.
  Forward(const ModelConfig& config, const std::vector<RopeTable>& ropes, const Weights& weights,
          Isa isa, ThreadPool& pool);

  // Hidden states of tokens: x [ids, hidden].
  void Embed(std::span<const int32_t> ids, MatView<float> x);
  // Layers [first, end): x [rows, hidden] is replaced, the rows' keys and values are appended.
  // After an error (no memory for pages) some heads hold the new entries: the caller rolls back.
  Status Run(int first_layer, int end_layer, MatView<float> x, std::span<const Segment> segments);
  // Called after the attention of every layer, until another is set; empty: nothing is called.
  void SetProbe(AttentionProbe probe) { probe_ = std::move(probe); }
  // The last norm, before the head.
  void OutputNorm(MatView<const float> x, MatView<float> out) {
    Norm(x, weights_->output_norm(), out);
  }
  // Logits of rows of final hidden states: [rows, n_vocab].
  void Logits(MatView<const float> x, MatView<float> logits);

  const ModelConfig& config() const { return *config_; }
  const KeyRotator& rotator(int layer) const { return movers_[config_->layers[layer].rope]; }
  // Queries as each run of a head must see them: rotated back by the run's shift, then mapped as
  // its keys are. Empty where no run needs either. q [rows][n_heads * head_dim], q_stride apart;
  // `out` holds the copies.
  std::vector<const float*> QueriesByRun(int layer, const HeadCache& head, const float* q,
                                         int64_t n_rows, int64_t q_stride, std::vector<float>& out,
                                         int64_t n_heads) const;
  // What rows from `first` on get from a KV head as it is now.
  struct Outputs {
    std::vector<float> out;  // [rows][group][head_dim]
    std::vector<float> lse;  // [rows][group]
  };
  Outputs AttendAgain(int layer, const HeadCache& head, int64_t kv_head, const LastQueries& rows,
                      int64_t first);
  // Rows whose log-sum-exps are taken anew, over what the heads hold now.
  LastQueries Renormalised(int layer, std::span<const HeadCache> heads, const LastQueries& rows);
  const Weights& weights() const { return *weights_; }
  const RopeTable& rope(int layer) const { return rope_[config_->layers[layer].rope].table(); }
  Isa isa() const { return isa_; }
  ThreadPool& pool() { return *pool_; }
  AttentionScratch& attention_scratch() { return attention_scratch_; }
  // For callers that gather the segments of a Run: a decode step allocates nothing.
  std::vector<Segment>& segment_scratch() { return segment_scratch_; }
  LogitSpec logit_spec() const { return {config_->attention_scale, config_->attention_softcap}; }

 private:
  Status Attention(int l, MatView<float> x, std::span<const Segment> segments);
  void Mlp(int l, MatView<float> x);
  void RotateRows(int l, int64_t n_rows, std::span<const Segment> segments);
  Status Append(int l, std::span<const Segment> segments);
  void Attend(int l, int64_t n_rows, std::span<const Segment> segments);
  void AddQueryStats(int l, const Segment& segment) const;
  void AddQueryMax(int l, const Segment& segment) const;
  void KeepLastQueries(int l, const Segment& segment, int64_t n_rows) const;
  MatView<const float> WithoutPadding(int64_t n_rows);
  // The RMS norm of each of n heads [n, head_dim], in place; no weights: none.
  void NormHeads(float* heads, int64_t n, std::span<const float> weight) const;
  void Norm(MatView<const float> x, std::span<const float> weight, MatView<float> out);
  // x += post_norm(y W^T + bias)
  void AddProduct(const PackedMatrix& weights, MatView<const float> y, std::span<const float> bias,
                  std::span<const float> post_norm, MatView<float> x);

  int64_t q_width() const { return int64_t{config_->n_q_heads} * config_->head_dim; }
  int64_t kv_width() const { return int64_t{config_->n_kv_heads} * config_->head_dim; }

  const ModelConfig* config_;
  const Weights* weights_;
  Isa isa_;
  ThreadPool* pool_;
  std::vector<RopeCache> rope_;   // one a table
  std::vector<KeyMover> movers_;  // likewise, over these
  AttentionScratch attention_scratch_;
  std::vector<Segment> segment_scratch_;
  AttentionProbe probe_;
  Activations activations_;
  Buffer normed_, q_, k_, v_, attended_, gate_, up_, lse_, product_;
  std::vector<int32_t> orders_;  // of the batch's rows
  // By job: attention's, and what QueriesByRun and HeadCache::AsRead gave and hold for it.
  std::vector<AttendJob> jobs_;
  std::vector<std::vector<const float*>> run_queries_;
  std::vector<std::vector<float>> mapped_queries_;
  std::vector<TurnedKeys> turned_;
  std::vector<std::vector<SlotRange>> slots_;  // by segment and KV head
};

// While it lives, a model's attention outputs go to a probe.
class ProbeGuard {
 public:
  ProbeGuard(Forward& forward, AttentionProbe probe) : forward_(forward) {
    forward_.SetProbe(std::move(probe));
  }
  ~ProbeGuard() { forward_.SetProbe({}); }
  ProbeGuard(const ProbeGuard&) = delete;
  ProbeGuard& operator=(const ProbeGuard&) = delete;

 private:
  Forward& forward_;
};

}  // namespace kvasir
