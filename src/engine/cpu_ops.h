// What methods may compute, on the CPU.
#pragma once

#include "engine/forward.h"
#include "engine/method_state.h"
#include "methods/method.h"

namespace kvasir {

// What rows [first, first + n) of some kept queries give each slot: [kv_heads][slots].
std::vector<std::vector<float>> MassBySlot(Forward& forward, std::span<const HeadCache> heads,
                                           int layer, const LastQueries& rows, int64_t first,
                                           int64_t n, std::span<const float> row_weight,
                                           GroupBy over_group);

// What sessions that hold the same entries of a layer need compute only once.
struct SharedNorms {
  std::vector<std::vector<float>> of;  // [kv_heads]: Ops::OutputNorms; empty: not computed yet
};

class CpuOps final : public Ops {
 public:
  CpuOps(Forward& forward, const MethodState& state, SharedNorms* shared = nullptr)
      : forward_(&forward), state_(&state), shared_(shared) {}

  std::vector<std::vector<float>> AttentionMass(const LayerView& at,
                                                const ScoreRequest& request) override;
  std::vector<float> OutputNorms(const LayerView& at, int kv_head) override;
  NearestEntries NearestKeys(const LayerView& at, int kv_head, std::span<const int32_t> from,
                             std::span<const int32_t> to) override;
  std::vector<float> QueryEnergy(const LayerView& at, int kv_head, int64_t last_rows) override;
  std::vector<float> OutputEnergy(const LayerView& at, int kv_head, int64_t last_rows) override;
  QueryMoments FutureQueries(const LayerView& at, int64_t n) override;

 private:
  std::vector<float> ComputeOutputNorms(const LayerView& at, int kv_head);

  Forward* forward_;
  const MethodState* state_;
  SharedNorms* shared_;  // null: nobody shares
};

}  // namespace kvasir
