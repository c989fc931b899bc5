// Weights of a decoder, repacked for the CPU path at hand. Loading gives the mapped file back to
// the system tensor by tensor, so weights are in memory once.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/source.h"

namespace kvasir {

// Norms are f32; an empty vector means that the architecture has no such norm or bias.
struct LayerWeights {
  std::vector<float> attn_norm, post_attn_norm, ffn_norm, post_ffn_norm;  // [hidden]
  std::vector<float> q_norm, k_norm;                                      // [file_head_dim]
  std::vector<float> q_bias, k_bias, v_bias, o_bias;
  std::vector<float> gate_bias, up_bias, down_bias;  // [ffn], [ffn], [hidden]
  PackedMatrix q, k, v;                              // [heads * head_dim, hidden]
  PackedMatrix o;                                    // [hidden, q_heads * file_head_dim]
  PackedMatrix gate, up;                             // [ffn, hidden]
  PackedMatrix down;                                 // [hidden, ffn]
};

class Weights {
 public:
  // Checks that every tensor is there with the shape that the config asks for, and that the file
  // has none besides: what is left out of a forward pass would make it silently wrong.
  static Result<Weights> Load(std::unique_ptr<ModelSource> source, const ModelConfig& config,
                              Isa isa, ThreadPool& pool);

  const LayerWeights& layer(int l) const { return layers_[l]; }
  const std::vector<float>& output_norm() const { return output_norm_; }  // [hidden]
  const PackedMatrix& head() const { return head_; }                      // [n_vocab, hidden]
  // The embedding of a token: [hidden]. REQUIRES: 0 <= id < n_vocab.
  void Embed(int32_t id, float* out) const;

  const ModelSource& source() const { return *source_; }
  bool is_f32() const { return is_f32_; }       // the file's matrices are F32
  int64_t n_bytes() const { return n_bytes_; }  // repacked matrices: what a decode step reads
  int64_t n_params() const { return n_params_; }

 private:
  std::unique_ptr<ModelSource> source_;
  WeightArena arena_;  // of all packed matrices
  std::vector<LayerWeights> layers_;
  std::vector<float> output_norm_;
  PackedMatrix head_;
  const TensorView* embedding_ = nullptr;  // null: tied, rows come from head_
  bool is_f32_ = false;
  int64_t n_bytes_ = 0, n_params_ = 0;
};

}  // namespace kvasir
