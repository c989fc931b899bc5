// Floors: how fast a model could run on this machine if nothing but bytes or arithmetic took time.
#pragma once

#include <cstdint>
#include <map>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kvasir/kvasir.h"
#include "model/config.h"

namespace kvasir::cli {

class Floors {
 public:
  // Measures once.
  Floors(const ModelConfig& config, const ModelFacts& facts);
  // Measures again; the better figure counts.
  void Measure();

  // A step of decoding, of all sequences together.
  struct DecodeStep {
    int64_t batch = 1;                   // sequences, a token each
    double read_bytes = 0, entries = 0;  // weights and caches; of the caches, all heads
  };
  // Tokens a second of all sequences, by the slower of two: the bandwidth of reading these bytes
  // over and over, as decoding does (a large cache of the CPU may hold them; measured again each
  // time, the best counts), and the arithmetic.
  double DecodeTokS(const DecodeStep& step);
  // Products of the weights at the 8-bit peak (f32 where the weights are F32), attention at f32's.
  double PrefillTokS(int64_t n_tokens) const;

 private:
  double WeightOpsAToken() const;  // without the logits

  const ModelConfig* config_;
  const bool f32_weights_;
  const Isa isa_;
  ThreadPool pool_;                    // of the same size as the model's
  std::map<int64_t, double> bytes_s_;  // by size
  double float_ops_s_ = 0, weight_ops_s_ = 0;
};

}  // namespace kvasir::cli
