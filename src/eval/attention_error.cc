#include "eval/attention_error.h"

#include <cmath>

namespace kvasir::eval {

AttentionProbe AttentionOutputs::Recorder() {
  return [this](int layer, MatView<const float> outputs) {
    std::vector<float>& all = layers_[layer];
    for (int64_t r = 0; r < outputs.shape[0]; ++r) {
      all.insert(all.end(), outputs.row(r), outputs.row(r) + outputs.shape[1]);
    }
  };
}

void AttentionOutputs::Clear() {
  for (std::vector<float>& layer : layers_) layer.clear();
}

AttentionProbe AttentionError::Comparer(const AttentionOutputs& expected) {
  for (Layer& layer : layers_) layer.at = 0;
  return [this, &expected](int l, MatView<const float> outputs) {
    Layer& layer = layers_[l];
    const std::vector<float>& right = expected.layer(l);
    for (int64_t r = 0; r < outputs.shape[0]; ++r) {
      const float* row = outputs.row(r);
      KV_CHECK(layer.at + outputs.shape[1] <= right.size());
      for (int64_t i = 0; i < outputs.shape[1]; ++i) {
        const double wanted = right[layer.at++], error = row[i] - wanted;
        layer.error += error * error;
        layer.length += wanted * wanted;
      }
    }
  };
}

std::vector<double> AttentionError::ByLayer() const {
  std::vector<double> errors;
  for (const Layer& layer : layers_) {
    errors.push_back(layer.length > 0 ? std::sqrt(layer.error / layer.length) : 0);
  }
  return errors;
}

}  // namespace kvasir::eval
