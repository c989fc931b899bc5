#include "engine/cpu_ops.h"

#include <algorithm>

namespace kvasir {
namespace {

GroupReduce Reduction(GroupBy by) {
  switch (by) {
    case GroupBy::kMean:
      return GroupReduce::kMean;
    case GroupBy::kMax:
      return GroupReduce::kMax;
    case GroupBy::kSum:
      return GroupReduce::kSum;
  }
  return GroupReduce::kMean;
}

}  // namespace

std::vector<std::vector<float>> CpuOps::AttentionMass(const LayerView& at,
                                                      const ScoreRequest& request) {
  KV_CHECK(last_ != nullptr && request.last_rows <= last_->n_rows());
  const int64_t d = at.model.head_dim, group = at.model.group(), n_q = at.model.n_q_heads;
  const int64_t first = last_->n_rows() - request.last_rows;
  const size_t n_heads = at.heads.size();
  std::vector<std::vector<float>> lse(n_heads), by_slot(n_heads), shifted(n_heads);
  std::vector<std::vector<const float*>> run_queries(n_heads);
  std::vector<MassJob> jobs;
  for (size_t h = 0; h < n_heads; ++h) {
    for (int64_t r = first; r < last_->n_rows(); ++r) {
      const float* row = last_->lse.data() + r * n_q + static_cast<int64_t>(h) * group;
      lse[h].insert(lse[h].end(), row, row + group);
    }
    by_slot[h].resize(at.heads[h].n_slots());
    const float* q = last_->q.data() + first * n_q * d + static_cast<int64_t>(h) * group * d;
    run_queries[h] =
        forward_->QueriesByRun(at.layer, at.heads[h], q, request.last_rows, n_q * d, shifted[h]);
    jobs.push_back({.runs = at.heads[h].runs(),
                    .q = q,
                    .run_q = run_queries[h].empty() ? nullptr : run_queries[h].data(),
                    .q_order = last_->order.data() + first,
                    .lse = lse[h].data(),
                    .row_weight = request.row_weight.empty() ? nullptr : request.row_weight.data(),
                    .mass = by_slot[h].data(),
                    .n_rows = static_cast<int32_t>(request.last_rows),
                    .group = static_cast<int32_t>(group),
                    .head_dim = static_cast<int32_t>(d),
                    .q_stride = n_q * d,
                    .mask = {},
                    .over_group = Reduction(request.over_group)});
  }
  kvasir::AttentionMass(forward_->isa(), forward_->logit_spec(), jobs, forward_->pool(),
                        forward_->attention_scratch());
  std::vector<std::vector<float>> mass(n_heads);
  for (size_t h = 0; h < n_heads; ++h) {
    mass[h].resize(at.heads[h].size());
    at.heads[h].Gather(by_slot[h].data(), mass[h].data());
  }
  return mass;
}

}  // namespace kvasir
