#include "model/weights.h"

#include <algorithm>
#include <array>
#include <set>

namespace kvasir {
namespace {

// What a file may have besides the tensors that Loader takes: read elsewhere (src/model/rope.cc),
// or constants that some converters write and the config says as well.
bool IsReadElsewhere(std::string_view name) {
  constexpr std::array kNames = {"rope_freqs.weight", "rope_factors_long.weight",
                                 "rope_factors_short.weight"};
  return std::ranges::find(kNames, name) != kNames.end() ||
         name.ends_with(".attn_rot_embd.weight") || name.ends_with("rotary_emb.inv_freq");
}

// The rows of queries, keys and values as the config's heads have them: each head's rows, then rows
// of zeros. Blocks of every type are 0 where all their bytes are.
struct HeadPadding {
  int64_t in_file = 0, wanted = 0;  // rows a head

  // Rows of `row_size` elements each; empty where nothing is to be done.
  template <class T>
  std::vector<std::remove_const_t<T>> Of(std::span<T> rows, int64_t row_size) const {
    if (in_file == wanted) return {};
    const int64_t from = in_file * row_size, to = wanted * row_size;
    const int64_t n_heads = std::ssize(rows) / from;
    std::vector<std::remove_const_t<T>> out(n_heads * to);
    for (int64_t h = 0; h < n_heads; ++h) {
      std::copy_n(rows.data() + h * from, from, out.data() + h * to);
    }
    return out;
  }
};

// Takes tensors out of a source, checked and repacked.
class Loader {
 public:
  Loader(const ModelSource& source, Isa isa, ThreadPool& pool, WeightArena& arena)
      : source_(source), isa_(isa), pool_(pool), arena_(arena) {}

  void SetLayer(int l) { prefix_ = fmt::format("blk.{}.", l); }

  // A vector of n values; where it is optional and missing, an empty one.
  Status Vector(std::string_view name, int64_t n, bool optional, std::vector<float>& out) {
    return VectorPart(name, n, 0, n, optional, out);
  }
  // Values [first, first + n) of a vector of `total`.
  Status VectorPart(std::string_view name, int64_t total, int64_t first, int64_t n, bool optional,
                    std::vector<float>& out) {
    const std::string full = prefix_ + std::string(name);
    const TensorView* tensor = source_.Find(full);
    if (tensor == nullptr && optional) return {};
    KV_ASSIGN_OR_RETURN(tensor, source_.Tensor(full));
    if (tensor->n_values() != total) {
      return Fail("{}: tensor {} has {} values, {} are needed", source_.path(), full,
                  tensor->n_values(), total);
    }
    taken_.insert(tensor);
    std::vector<float> all(total);
    KV_RETURN_IF_ERROR(Dequantize(tensor->type, tensor->data, total, all.data()));
    out.assign(all.begin() + first, all.begin() + first + n);
    return {};
  }

  // Rows [first, first + n_rows) of a matrix of `total` rows, as padding has them.
  Status Rows(std::string_view name, int64_t total, int64_t first, int64_t n_rows, int64_t n_cols,
              PackedMatrix& out, HeadPadding padding = {}) {
    const std::string full = prefix_ + std::string(name);
    KV_ASSIGN_OR_RETURN(const TensorView* tensor, source_.Tensor(full));
    if (tensor->rank != 2 || tensor->n_rows() != total || tensor->n_cols() != n_cols) {
      return Fail("{}: tensor {} is {} x {}, {} x {} is needed", source_.path(), full,
                  tensor->n_rows(), tensor->n_cols(), total, n_cols);
    }
    taken_.insert(tensor);
    WeightRef ref = tensor->weights();
    const auto row_bytes = static_cast<int64_t>(tensor->n_bytes) / total;
    ref.data += first * row_bytes;
    ref.n_rows = n_rows;
    const std::vector<std::byte> padded =
        padding.Of(std::span(ref.data, static_cast<size_t>(n_rows * row_bytes)), row_bytes);
    if (!padded.empty()) {
      ref.data = padded.data();
      ref.n_rows = static_cast<int64_t>(padded.size()) / row_bytes;
    }
    auto packed = PackWeights(isa_, ref, pool_, arena_);
    if (!packed) return Fail("{}: tensor {}: {}", source_.path(), full, packed.error().message);
    out = std::move(*packed);
    if (first + n_rows == total) source_.Release(*tensor);
    return {};
  }
  Status Matrix(std::string_view name, int64_t n_rows, int64_t n_cols, PackedMatrix& out) {
    return Rows(name, n_rows, 0, n_rows, n_cols, out);
  }
  bool Has(std::string_view name) const {
    return source_.Find(prefix_ + std::string(name)) != nullptr;
  }
  void Taken(const TensorView* tensor) { taken_.insert(tensor); }
  Status CheckAllTaken(std::string_view architecture) const {
    for (const TensorView& tensor : source_.tensors()) {
      if (taken_.contains(&tensor) || IsReadElsewhere(tensor.name)) continue;
      return Fail(
          "{}: tensor {} has no place in the architecture '{}' as kvasir computes it; without it "
          "the model's answers would be wrong",
          source_.path(), tensor.name, architecture);
    }
    return {};
  }

 private:
  const ModelSource& source_;
  const Isa isa_;
  ThreadPool& pool_;
  WeightArena& arena_;
  std::string prefix_;
  std::set<const TensorView*> taken_;
};

Status LoadAttention(Loader& load, const ModelConfig& config, LayerWeights& w) {
  const int64_t hidden = config.hidden;
  const HeadPadding padding{config.file_head_dim, config.head_dim};
  const int64_t n_q = int64_t{config.n_q_heads} * config.file_head_dim;
  const int64_t n_kv = int64_t{config.n_kv_heads} * config.file_head_dim;
  struct Part {
    const char* name;
    int64_t first, n;
    PackedMatrix* weight;
    std::vector<float>* bias;
  };
  const Part parts[] = {{"attn_q", 0, n_q, &w.q, &w.q_bias},
                        {"attn_k", n_q, n_kv, &w.k, &w.k_bias},
                        {"attn_v", n_q + n_kv, n_kv, &w.v, &w.v_bias}};
  const int64_t total = n_q + 2 * n_kv;
  const bool fused = load.Has("attn_qkv.weight");
  for (const auto& [name, first, n, weight, bias] : parts) {
    if (fused) {
      KV_RETURN_IF_ERROR(load.Rows("attn_qkv.weight", total, first, n, hidden, *weight, padding));
      KV_RETURN_IF_ERROR(load.VectorPart("attn_qkv.bias", total, first, n, true, *bias));
    } else {
      KV_RETURN_IF_ERROR(
          load.Rows(fmt::format("{}.weight", name), n, 0, n, hidden, *weight, padding));
      KV_RETURN_IF_ERROR(load.Vector(fmt::format("{}.bias", name), n, true, *bias));
    }
    std::vector<float> padded = padding.Of(std::span<const float>(*bias), 1);
    if (!padded.empty()) *bias = std::move(padded);
  }
  KV_RETURN_IF_ERROR(load.Vector("attn_q_norm.weight", config.file_head_dim, true, w.q_norm));
  KV_RETURN_IF_ERROR(load.Vector("attn_k_norm.weight", config.file_head_dim, true, w.k_norm));
  KV_RETURN_IF_ERROR(load.Matrix("attn_output.weight", hidden, n_q, w.o));
  return load.Vector("attn_output.bias", hidden, true, w.o_bias);
}

Status LoadMlp(Loader& load, const ModelConfig& config, LayerWeights& w) {
  const int64_t hidden = config.hidden, ffn = config.ffn;
  if (load.Has("ffn_gate.weight")) {
    KV_RETURN_IF_ERROR(load.Matrix("ffn_gate.weight", ffn, hidden, w.gate));
    KV_RETURN_IF_ERROR(load.Matrix("ffn_up.weight", ffn, hidden, w.up));
    KV_RETURN_IF_ERROR(load.Vector("ffn_gate.bias", ffn, true, w.gate_bias));
    KV_RETURN_IF_ERROR(load.Vector("ffn_up.bias", ffn, true, w.up_bias));
  } else {  // gate and up in one tensor, the gate first
    KV_RETURN_IF_ERROR(load.Rows("ffn_up.weight", 2 * ffn, 0, ffn, hidden, w.gate));
    KV_RETURN_IF_ERROR(load.Rows("ffn_up.weight", 2 * ffn, ffn, ffn, hidden, w.up));
    KV_RETURN_IF_ERROR(load.VectorPart("ffn_up.bias", 2 * ffn, 0, ffn, true, w.gate_bias));
    KV_RETURN_IF_ERROR(load.VectorPart("ffn_up.bias", 2 * ffn, ffn, ffn, true, w.up_bias));
  }
  KV_RETURN_IF_ERROR(load.Matrix("ffn_down.weight", hidden, ffn, w.down));
  return load.Vector("ffn_down.bias", hidden, true, w.down_bias);
}

Status LoadLayer(Loader& load, const ModelConfig& config, LayerWeights& w) {
  const int64_t hidden = config.hidden;
  KV_RETURN_IF_ERROR(load.Vector("attn_norm.weight", hidden, false, w.attn_norm));
  KV_RETURN_IF_ERROR(load.Vector("ffn_norm.weight", hidden, false, w.ffn_norm));
  KV_RETURN_IF_ERROR(load.Vector("post_attention_norm.weight", hidden, true, w.post_attn_norm));
  KV_RETURN_IF_ERROR(load.Vector("post_ffw_norm.weight", hidden, true, w.post_ffn_norm));
  KV_RETURN_IF_ERROR(LoadAttention(load, config, w));
  return LoadMlp(load, config, w);
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
  load.Taken(embedding);
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
  KV_RETURN_IF_ERROR(load.CheckAllTaken(config.architecture));
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
