// How far attention outputs under a spec are from those of `full` on the same tokens.
#pragma once

#include <vector>

#include "engine/forward.h"

namespace kvasir::eval {

// Outputs of a few tokens in every layer, in the order of the tokens.
class AttentionOutputs {
 public:
  explicit AttentionOutputs(int n_layers) : layers_(n_layers) {}
  AttentionProbe Recorder();  // lives no longer than this
  void Clear();
  const std::vector<float>& layer(int l) const { return layers_[l]; }

 private:
  std::vector<std::vector<float>> layers_;
};

// The relative error of each layer: |o - o_full| / |o_full|, both lengths over all tokens and
// heads, before the output product. Inputs of a layer differ too, so errors add up from layer to
// layer.
class AttentionError {
 public:
  explicit AttentionError(int n_layers) : layers_(n_layers) {}
  // Compares the outputs to come, in any number of calls, with those of `expected` from its start.
  AttentionProbe Comparer(const AttentionOutputs& expected);
  std::vector<double> ByLayer() const;

 private:
  struct Layer {
    double error = 0, length = 0;  // squared
    size_t at = 0;                 // within the expected outputs
  };
  std::vector<Layer> layers_;
};

}  // namespace kvasir::eval
