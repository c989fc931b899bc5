// What methods see of queries: the last ones, their attention once more, sums and largest values.
#include <algorithm>
#include <cmath>

#include "engine/forward.h"

namespace kvasir {

void Forward::KeepLastQueries(int l, const Segment& segment, int64_t n_rows) const {
  LastQueries& last = (*segment.last)[l];
  const int64_t group = config_->group();
  for (int64_t r = segment.first_row; r < segment.first_row + segment.n_rows; ++r) {
    if (orders_[r] < last.first_order) continue;
    last.order.push_back(orders_[r]);
    const float* q = q_.as<float>() + r * q_width();
    last.q.insert(last.q.end(), q, q + q_width());
    for (int h = 0; h < config_->n_kv_heads; ++h) {
      const float* lse = lse_.as<float>() + (h * n_rows + segment.first_row) * group +
                         (r - segment.first_row) * group;
      last.lse.insert(last.lse.end(), lse, lse + group);
    }
  }
}

Forward::Outputs Forward::AttendAgain(int layer, const HeadCache& head, int64_t kv_head,
                                      const LastQueries& rows, int64_t first) {
  const int64_t d = config_->head_dim, group = config_->group(), n = rows.n_rows() - first;
  Outputs outputs{std::vector<float>(n * group * d), std::vector<float>(n * group)};
  std::vector<float> mapped;
  TurnedKeys turned;
  const float* q = rows.q.data() + first * q_width() + kv_head * group * d;
  const auto run_queries = QueriesByRun(layer, head, q, n, q_width(), mapped, group);
  const AttendJob job{.runs = head.AsRead(rotator(layer), turned),
                      .q = q,
                      .run_q = run_queries.empty() ? nullptr : run_queries.data(),
                      .q_order = rows.order.data() + first,
                      .out = outputs.out.data(),
                      .lse = outputs.lse.data(),
                      .n_rows = static_cast<int32_t>(n),
                      .group = static_cast<int32_t>(group),
                      .head_dim = static_cast<int32_t>(d),
                      .q_stride = q_width(),
                      .out_stride = group * d,
                      .mask = {}};
  kvasir::Attend(isa_, logit_spec(), {&job, 1}, *pool_, attention_scratch_);
  return outputs;
}

LastQueries Forward::Renormalised(int layer, std::span<const HeadCache> heads,
                                  const LastQueries& rows) {
  const int64_t group = config_->group();
  LastQueries renewed = rows;
  for (size_t h = 0; h < heads.size(); ++h) {
    const Outputs outputs = AttendAgain(layer, heads[h], static_cast<int64_t>(h), rows, 0);
    for (int64_t r = 0; r < rows.n_rows(); ++r) {
      std::copy_n(outputs.lse.data() + r * group, group,
                  renewed.lse.data() + r * config_->n_q_heads + static_cast<int64_t>(h) * group);
    }
  }
  return renewed;
}

// Of the queries before rotation.
void Forward::AddQueryStats(int l, const Segment& segment) const {
  QueryStats& stats = (*segment.stats)[l];
  const int64_t d = config_->head_dim, n_q = config_->n_q_heads;
  const int64_t skip = std::max<int64_t>(0, stats.first_order - segment.first_order);
  const int64_t n = segment.n_rows - skip;
  if (n <= 0) return;
  stats.n += n;
  stats.sum.resize(n_q * d);
  stats.outer.resize(n_q * d * d);
  const std::vector<float>& weight = weights_->layer(l).q_norm;
  pool_->For(n_q, [&](int64_t h, int) {
    std::vector<float> rows(n * d);
    const float* q = q_.as<float>() + (segment.first_row + skip) * q_width() + h * d;
    for (int64_t r = 0; r < n; ++r) std::copy_n(q + r * q_width(), d, rows.data() + r * d);
    NormHeads(rows.data(), n, weight);
    stats.Add(h, d, rows.data(), n, d);
  });
}

void Forward::AddQueryMax(int l, const Segment& segment) const {
  const int64_t d = config_->head_dim, group = config_->group();
  for (int h = 0; h < config_->n_kv_heads; ++h) {
    std::vector<float>& most = (*segment.query_max)[l * config_->n_kv_heads + h];
    most.resize(d);
    for (int64_t r = segment.first_row; r < segment.first_row + segment.n_rows; ++r) {
      const float* q = q_.as<float>() + r * q_width() + h * group * d;
      for (int64_t i = 0; i < group * d; ++i) most[i % d] = std::max(most[i % d], std::abs(q[i]));
    }
  }
}

}  // namespace kvasir
