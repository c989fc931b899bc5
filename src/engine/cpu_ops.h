// What methods may compute, on the CPU.
#pragma once

#include "engine/forward.h"
#include "methods/method.h"

namespace kvasir {

class CpuOps final : public Ops {
 public:
  // `last` are the layer's last queries; null: no method asked for them.
  CpuOps(Forward& forward, const LastQueries* last) : forward_(&forward), last_(last) {}

  std::vector<std::vector<float>> AttentionMass(const LayerView& at,
                                                const ScoreRequest& request) override;

 private:
  Forward* forward_;
  const LastQueries* last_;
};

}  // namespace kvasir
