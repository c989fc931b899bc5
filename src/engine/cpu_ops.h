// What methods may compute, on the CPU.
#pragma once

#include "engine/forward.h"
#include "engine/layer_memo.h"
#include "engine/method_state.h"
#include "methods/method.h"

namespace kvasir {

// What rows [first, first + n) of some kept queries give each slot: [kv_heads][slots].
std::vector<std::vector<float>> MassBySlot(Forward& forward, std::span<const HeadCache> heads,
                                           int layer, const LastQueries& rows, int64_t first,
                                           int64_t n, std::span<const float> row_weight,
                                           GroupBy over_group);

class CpuOps final : public Ops {
 public:
  // memo: of sequences that hold the same entries and queries of the layer; null: nobody shares.
  CpuOps(Forward& forward, const MethodState& state, LayerMemo* memo = nullptr)
      : forward_(&forward), state_(&state), memo_(memo) {}

  std::vector<std::vector<float>> AttentionMass(const LayerView& at,
                                                const ScoreRequest& request) override;
  std::vector<float> OutputNorms(const LayerView& at, int kv_head) override;
  NearestEntries NearestKeys(const LayerView& at, int kv_head, std::span<const int32_t> from,
                             std::span<const int32_t> to) override;
  std::vector<float> QueryEnergy(const LayerView& at, int kv_head, int64_t last_rows) override;
  std::vector<float> OutputEnergy(const LayerView& at, int kv_head, int64_t last_rows) override;
  QueryMoments FutureQueries(const LayerView& at, int64_t n) override;
  std::shared_ptr<const Numbers> Once(const std::string& key,
                                      const std::function<Numbers()>& compute) override;

 private:
  Numbers ComputeMass(const LayerView& at, const ScoreRequest& request);
  std::vector<float> ComputeOutputNorms(const LayerView& at, int kv_head);

  Forward* forward_;
  const MethodState* state_;
  LayerMemo* memo_;
};

}  // namespace kvasir
