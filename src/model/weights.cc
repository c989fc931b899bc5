#include "model/weights.h"

namespace kvasir {
namespace {

// Takes tensors out of a source, checked and repacked.
class Loader {
 public:
  Loader(const ModelSource& source, Isa isa, ThreadPool& pool, WeightArena& arena)
      : source_(source), isa_(isa), pool_(pool), arena_(arena) {}

  void SetLayer(int l) { prefix_ = fmt::format("blk.{}.", l); }

  // A vector of n values; where it is optional and missing, an empty one.
  Status Vector(std::string_view name, int64_t n, bool optional, std::vector<float>& out) const {
    const std::string full = prefix_ + std::string(name);
    const TensorView* tensor = source_.Find(full);
    if (tensor == nullptr && optional) return {};
    KV_ASSIGN_OR_RETURN(tensor, source_.Tensor(full));
    if (tensor->n_values() != n) {
      return Fail("{}: tensor {} has {} values, {} are needed", source_.path(), full,
                  tensor->n_values(), n);
    }
    out.resize(n);
    return Dequantize(tensor->type, tensor->data, n, out.data());
  }

  // Rows [first, first + n_rows) of a matrix of `total` rows.
  Status Rows(std::string_view name, int64_t total, int64_t first, int64_t n_rows, int64_t n_cols,
              PackedMatrix& out) const {
    const std::string full = prefix_ + std::string(name);
    KV_ASSIGN_OR_RETURN(const TensorView* tensor, source_.Tensor(full));
    if (tensor->rank != 2 || tensor->n_rows() != total || tensor->n_cols() != n_cols) {
      return Fail("{}: tensor {} is {} x {}, {} x {} is needed", source_.path(), full,
                  tensor->n_rows(), tensor->n_cols(), total, n_cols);
    }
    WeightRef ref = tensor->weights();
    const auto row_bytes = static_cast<int64_t>(tensor->n_bytes) / total;
    ref.data += first * row_bytes;
    ref.n_rows = n_rows;
    auto packed = PackWeights(isa_, ref, pool_, arena_);
    if (!packed) return Fail("{}: tensor {}: {}", source_.path(), full, packed.error().message);
    out = std::move(*packed);
    if (first + n_rows == total) source_.Release(*tensor);
    return {};
  }
  Status Matrix(std::string_view name, int64_t n_rows, int64_t n_cols, PackedMatrix& out) const {
    return Rows(name, n_rows, 0, n_rows, n_cols, out);
  }
  bool Has(std::string_view name) const {
    return source_.Find(prefix_ + std::string(name)) != nullptr;
  }

 private:
  const ModelSource& source_;
  const Isa isa_;
  ThreadPool& pool_;
  WeightArena& arena_;
  std::string prefix_;
};

Status LoadLayer(const Loader& load, const ModelConfig& config, LayerWeights& w) {
  const int64_t hidden = config.hidden, ffn = config.ffn;
  const int64_t n_q = int64_t{config.n_q_heads} * config.head_dim;
  const int64_t n_kv = int64_t{config.n_kv_heads} * config.head_dim;
  KV_RETURN_IF_ERROR(load.Vector("attn_norm.weight", hidden, false, w.attn_norm));
  KV_RETURN_IF_ERROR(load.Vector("ffn_norm.weight", hidden, false, w.ffn_norm));
  KV_RETURN_IF_ERROR(load.Vector("post_attention_norm.weight", hidden, true, w.post_attn_norm));
  KV_RETURN_IF_ERROR(load.Vector("post_ffw_norm.weight", hidden, true, w.post_ffn_norm));
  KV_RETURN_IF_ERROR(load.Vector("attn_q_norm.weight", config.head_dim, true, w.q_norm));
  KV_RETURN_IF_ERROR(load.Vector("attn_k_norm.weight", config.head_dim, true, w.k_norm));
  KV_RETURN_IF_ERROR(load.Vector("attn_q.bias", n_q, true, w.q_bias));
  KV_RETURN_IF_ERROR(load.Vector("attn_k.bias", n_kv, true, w.k_bias));
  KV_RETURN_IF_ERROR(load.Vector("attn_v.bias", n_kv, true, w.v_bias));
  KV_RETURN_IF_ERROR(load.Vector("attn_output.bias", hidden, true, w.o_bias));
  if (load.Has("attn_qkv.weight")) {
    const int64_t total = n_q + 2 * n_kv;
    KV_RETURN_IF_ERROR(load.Rows("attn_qkv.weight", total, 0, n_q, hidden, w.q));
    KV_RETURN_IF_ERROR(load.Rows("attn_qkv.weight", total, n_q, n_kv, hidden, w.k));
    KV_RETURN_IF_ERROR(load.Rows("attn_qkv.weight", total, n_q + n_kv, n_kv, hidden, w.v));
  } else {
    KV_RETURN_IF_ERROR(load.Matrix("attn_q.weight", n_q, hidden, w.q));
    KV_RETURN_IF_ERROR(load.Matrix("attn_k.weight", n_kv, hidden, w.k));
    KV_RETURN_IF_ERROR(load.Matrix("attn_v.weight", n_kv, hidden, w.v));
  }
  KV_RETURN_IF_ERROR(load.Matrix("attn_output.weight", hidden, n_q, w.o));
  if (load.Has("ffn_gate.weight")) {
    KV_RETURN_IF_ERROR(load.Matrix("ffn_gate.weight", ffn, hidden, w.gate));
    KV_RETURN_IF_ERROR(load.Matrix("ffn_up.weight", ffn, hidden, w.up));
  } else {  // gate and up in one tensor, the gate first
    KV_RETURN_IF_ERROR(load.Rows("ffn_up.weight", 2 * ffn, 0, ffn, hidden, w.gate));
    KV_RETURN_IF_ERROR(load.Rows("ffn_up.weight", 2 * ffn, ffn, ffn, hidden, w.up));
  }
  return load.Matrix("ffn_down.weight", hidden, ffn, w.down);
}

int64_t BytesOf(const LayerWeights& w) {
  int64_t n = 0;
  for (const PackedMatrix* m : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) {
    n += static_cast<int64_t>(m->n_bytes());
  }
  return n;
}

}  // namespace

Result<Weights> Weights::Load(std::unique_ptr<ModelSource> source, const ModelConfig& config,
                              Isa isa, ThreadPool& pool) {
  Weights weights;
  Loader load(*source, isa, pool, weights.arena_);
  KV_RETURN_IF_ERROR(load.Vector("output_norm.weight", config.hidden, false, weights.output_norm_));
  KV_ASSIGN_OR_RETURN(const TensorView* embedding, source->Tensor("token_embd.weight"));
  if (embedding->rank != 2 || embedding->n_cols() != config.hidden) {
    return Fail("{}: tensor token_embd.weight is {} x {}, {} columns are needed", source->path(),
                embedding->n_rows(), embedding->n_cols(), config.hidden);
  }
  const bool tied = source->Find("output.weight") == nullptr;
  KV_RETURN_IF_ERROR(load.Matrix(tied ? "token_embd.weight" : "output.weight", config.n_vocab,
                                 config.hidden, weights.head_));
  weights.embedding_ = tied ? nullptr : embedding;
  weights.layers_.resize(config.n_layers);
  weights.n_bytes_ = static_cast<int64_t>(weights.head_.n_bytes());
  for (int l = 0; l < config.n_layers; ++l) {
    load.SetLayer(l);
    KV_RETURN_IF_ERROR(LoadLayer(load, config, weights.layers_[l]));
    weights.n_bytes_ += BytesOf(weights.layers_[l]);
  }
  for (const TensorView& tensor : source->tensors()) weights.n_params_ += tensor.n_values();
  const TensorView* probe = source->Find("blk.0.ffn_down.weight");
  weights.is_f32_ = probe != nullptr && probe->type == TensorType::kF32;
  weights.source_ = std::move(source);
  return weights;
}

void Weights::Embed(int32_t id, float* out) const {
  if (embedding_ == nullptr) {
    UnpackRow(head_, id, out);
    return;
  }
  const int64_t row_bytes = static_cast<int64_t>(embedding_->n_bytes) / embedding_->n_rows();
  KV_CHECK(
      Dequantize(embedding_->type, embedding_->data + id * row_bytes, embedding_->n_cols(), out)
          .has_value());
}

}  // namespace kvasir
