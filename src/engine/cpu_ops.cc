#include "engine/cpu_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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
    case GroupBy::kNone:  // groups of one
      break;
  }
  return GroupReduce::kMean;
}

constexpr int64_t kNormRows = 128;  // values multiplied at a time

// Of each row of x the sum of its magnitudes, in the order of its columns, over `n_shares` is added
// to its number. Several rows at a time: a sum waits for what it was before.
void AddMagnitudes(MatView<const float> x, double n_shares, float* to) {
  constexpr int64_t kRows = 8;
  for (int64_t first = 0; first < x.shape[0]; first += kRows) {
    const int64_t n = std::min(kRows, x.shape[0] - first);
    const float* row[kRows];  // the last stands in for those that are not there
    for (int64_t r = 0; r < kRows; ++r) row[r] = x.row(first + std::min(r, n - 1));
    double sums[kRows] = {};
    for (int64_t c = 0; c < x.shape[1]; ++c) {
      for (int64_t r = 0; r < kRows; ++r) sums[r] += std::abs(row[r][c]);
    }
    for (int64_t r = 0; r < n; ++r) to[first + r] += static_cast<float>(sums[r] / n_shares);
  }
}

// Of each channel over vectors [][dim].
std::vector<float> MeanSquares(std::span<const float> vectors, int64_t dim) {
  std::vector<double> sum(dim);
  for (size_t i = 0; i < vectors.size(); ++i) sum[i % dim] += double{vectors[i]} * vectors[i];
  const auto n = static_cast<double>(vectors.size() / dim);
  std::vector<float> means(dim);
  for (int64_t c = 0; c < dim; ++c) means[c] = static_cast<float>(sum[c] / n);
  return means;
}

// The mean of the rotations of n positions: of each pair of channels a rotation and a shortening.
class MeanRotation {
 public:
  MeanRotation(const RopeTable& table, int32_t first, int64_t n) : table_(&table), first_(first) {
    for (double frequency : table.inv_freq) {
      double cos = 0, sin = 0;
      for (int64_t i = 0; i < n; ++i) {
        cos += std::cos(frequency * static_cast<double>(first + i));
        sin += std::sin(frequency * static_cast<double>(first + i));
      }
      const double factor = table.attention_factor / static_cast<double>(n);
      cos_.push_back(cos * factor);
      sin_.push_back(sin * factor);
    }
  }

  int32_t first() const { return first_; }
  // x: a vector whose elements are `stride` apart, rotated in place.
  void Apply(double* x, int64_t stride) const {
    const auto n_pairs = static_cast<int64_t>(cos_.size());
    for (int64_t i = 0; i < n_pairs; ++i) {
      double& a = x[(table_->neox ? i : 2 * i) * stride];
      double& b = x[(table_->neox ? i + n_pairs : 2 * i + 1) * stride];
      const double rotated = a * cos_[i] - b * sin_[i];
      b = a * sin_[i] + b * cos_[i];
      a = rotated;
    }
  }

 private:
  const RopeTable* table_;
  const int32_t first_;
  std::vector<double> cos_, sin_;  // [n_rot / 2]
};

}  // namespace

std::vector<std::vector<float>> MassBySlot(Forward& forward, std::span<const HeadCache> heads,
                                           int layer, const LastQueries& rows, int64_t first,
                                           int64_t n, std::span<const float> row_weight,
                                           GroupBy over_group) {
  const int64_t d = forward.config().head_dim, n_q = forward.config().n_q_heads;
  const int64_t group = n_q / static_cast<int64_t>(heads.size());
  const int64_t width = over_group == GroupBy::kNone ? 1 : group;  // query heads a job
  const int64_t n_jobs = n_q / width;
  std::vector<std::vector<float>> lse(n_jobs), by_slot(n_jobs), shifted(n_jobs);
  std::vector<std::vector<const float*>> run_queries(n_jobs);
  std::vector<TurnedKeys> turned(heads.size());
  std::vector<std::span<const RunRef>> runs;  // by KV head
  for (size_t h = 0; h < heads.size(); ++h) {
    runs.push_back(heads[h].AsRead(forward.rotator(layer), turned[h]));
  }
  std::vector<MassJob> jobs;
  for (int64_t j = 0; j < n_jobs; ++j) {
    const HeadCache& head = heads[j * width / group];
    for (int64_t r = first; r < first + n; ++r) {
      const float* row = rows.lse.data() + r * n_q + j * width;
      lse[j].insert(lse[j].end(), row, row + width);
    }
    by_slot[j].resize(head.n_slots());
    const float* q = rows.q.data() + first * n_q * d + j * width * d;
    run_queries[j] = forward.QueriesByRun(layer, head, q, n, n_q * d, shifted[j], width);
    jobs.push_back({.runs = runs[j * width / group],
                    .q = q,
                    .run_q = run_queries[j].empty() ? nullptr : run_queries[j].data(),
                    .q_order = rows.order.data() + first,
                    .lse = lse[j].data(),
                    .row_weight = row_weight.empty() ? nullptr : row_weight.data(),
                    .mass = by_slot[j].data(),
                    .n_rows = static_cast<int32_t>(n),
                    .group = static_cast<int32_t>(width),
                    .head_dim = static_cast<int32_t>(d),
                    .q_stride = n_q * d,
                    .mask = {},
                    .over_group = Reduction(over_group)});
  }
  kvasir::AttentionMass(forward.isa(), forward.logit_spec(), jobs, forward.pool(),
                        forward.attention_scratch());
  return by_slot;
}

std::shared_ptr<const Ops::Numbers> CpuOps::Once(const std::string& key,
                                                 const std::function<Numbers()>& compute) {
  return memo_ == nullptr ? Ops::Once(key, compute) : memo_->Once(key, compute);
}

std::vector<std::vector<float>> CpuOps::AttentionMass(const LayerView& at,
                                                      const ScoreRequest& request) {
  if (memo_ == nullptr) return ComputeMass(at, request);
  const std::string key =
      fmt::format("Ops::AttentionMass {} {} {}", request.last_rows,
                  static_cast<int>(request.over_group), fmt::join(request.row_weight, " "));
  return *memo_->Once(key, [&] { return ComputeMass(at, request); });
}

Ops::Numbers CpuOps::ComputeMass(const LayerView& at, const ScoreRequest& request) {
  const LastQueries* rows = state_->queries(at.layer);
  KV_CHECK(rows != nullptr && request.last_rows <= rows->n_rows());
  const int64_t first = rows->n_rows() - request.last_rows;
  LastQueries renewed;
  if (at.moment == Moment::kDecode && request.last_rows > 1) {
    // Rows of earlier steps were normalised over entries that may be gone by now.
    renewed = forward_->Renormalised(at.layer, at.heads, *rows);
    rows = &renewed;
  }
  const auto by_slot = MassBySlot(*forward_, at.heads, at.layer, *rows, first, request.last_rows,
                                  request.row_weight, request.over_group);
  std::vector<std::vector<float>> mass(by_slot.size());
  for (size_t i = 0; i < mass.size(); ++i) {
    const HeadCache& head = at.heads[i * at.heads.size() / mass.size()];
    mass[i].resize(head.size());
    head.Gather(by_slot[i].data(), mass[i].data());
  }
  return mass;
}

std::vector<float> CpuOps::OutputNorms(const LayerView& at, int kv_head) {
  const auto norms = Once(fmt::format("Ops::OutputNorms {}", kv_head),
                          [&] { return Numbers{ComputeOutputNorms(at, kv_head)}; });
  KV_CHECK(std::ssize((*norms)[0]) == at.heads[kv_head].size());
  return (*norms)[0];
}

// W_o of one query head after another as a matrix of its own: the product kernels then cost what
// the layer's own output projection costs.
std::vector<float> CpuOps::ComputeOutputNorms(const LayerView& at, int kv_head) {
  const ModelInfo& model = at.model;
  const int64_t d = model.head_dim, group = model.group(), n = at.heads[kv_head].size();
  const int64_t in_file = forward_->config().file_head_dim;  // the rest of a column stays 0
  const PackedMatrix& o = forward_->weights().layer(at.layer).o;
  const int64_t hidden = o.n_out();
  std::vector<float> row(o.n_in()), columns(group * hidden * d);
  for (int64_t r = 0; r < hidden; ++r) {
    UnpackRow(o, r, row.data());
    for (int64_t g = 0; g < group; ++g) {
      std::copy_n(row.data() + (kv_head * group + g) * in_file, in_file,
                  columns.data() + (g * hidden + r) * d);
    }
  }
  const std::vector<float> values = ReadPlane(at.heads[kv_head], PlaneKind::kValues);
  Activations x;
  WeightArena arena;
  std::vector<float> norms(n), out(std::min(n, kNormRows) * hidden);
  for (int64_t g = 0; g < group; ++g) {
    const auto* bytes = reinterpret_cast<const std::byte*>(columns.data() + g * hidden * d);
    const auto packed =
        PackWeights(forward_->isa(), {TensorType::kF32, hidden, d, bytes}, forward_->pool(), arena);
    KV_CHECK(packed.has_value());
    for (int64_t first = 0; first < n; first += kNormRows) {
      const int64_t rows = std::min(kNormRows, n - first);
      x.Set(Mat(values.data() + first * d, rows, d));
      const MatMulJob product{&*packed, Mat(out.data(), rows, hidden)};
      MatMul(x, {&product, 1}, forward_->pool());
      AddMagnitudes(Mat<const float>(out.data(), rows, hidden), static_cast<double>(group),
                    norms.data() + first);
    }
  }
  return norms;
}

std::vector<float> CpuOps::QueryEnergy(const LayerView& at, int kv_head, int64_t last_rows) {
  const LastQueries* rows = state_->queries(at.layer);
  KV_CHECK(rows != nullptr && last_rows > 0 && last_rows <= rows->n_rows());
  const int64_t width = int64_t{at.model.group()} * at.model.head_dim;
  std::vector<float> queries;
  for (int64_t r = rows->n_rows() - last_rows; r < rows->n_rows(); ++r) {
    const float* q = rows->q.data() + (r * at.heads.size() + kv_head) * width;
    queries.insert(queries.end(), q, q + width);
  }
  return MeanSquares(queries, at.model.head_dim);
}

std::vector<float> CpuOps::OutputEnergy(const LayerView& at, int kv_head, int64_t last_rows) {
  const LastQueries* rows = state_->queries(at.layer);
  KV_CHECK(rows != nullptr && last_rows > 0 && last_rows <= rows->n_rows());
  const std::vector<float> out =
      forward_->AttendAgain(at.layer, at.heads[kv_head], kv_head, *rows, rows->n_rows() - last_rows)
          .out;
  return MeanSquares(out, at.model.head_dim);
}

QueryMoments CpuOps::FutureQueries(const LayerView& at, int64_t n) {
  const QueryStats* stats = state_->stats(at.layer);
  KV_CHECK(stats != nullptr && n > 0);
  const int64_t d = at.model.head_dim, n_q = at.model.n_q_heads;
  QueryMoments moments{std::vector<double>(n_q * d), std::vector<double>(n_q * d * d)};
  if (stats->n == 0) return moments;
  const double count = static_cast<double>(stats->n);
  const double scale = forward_->logit_spec().scale;
  std::optional<MeanRotation> rotation;  // as a rule the same for all heads
  for (int64_t h = 0; h < n_q; ++h) {
    const double* sum = stats->sum.data() + h * d;
    const double* outer = stats->outer.data() + h * d * d;
    double* mean = moments.mean.data() + h * d;
    double* covariance = moments.covariance.data() + h * d * d;
    for (int64_t i = 0; i < d; ++i) mean[i] = sum[i] / count;
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t j = 0; j < d; ++j) {
        const double both = outer[std::min(i, j) * d + std::max(i, j)];
        covariance[i * d + j] = (both / count - mean[i] * mean[j]) * scale * scale;
      }
    }
    for (int64_t i = 0; i < d; ++i) mean[i] *= scale;
    const HeadCache& head = at.heads[h / at.model.group()];
    const int32_t next = head.PositionOf(static_cast<int32_t>(at.n_prompt + at.n_generated));
    if (!rotation || rotation->first() != next) {
      rotation.emplace(forward_->rope(at.layer), next, n);
    }
    rotation->Apply(mean, 1);
    for (int64_t i = 0; i < d; ++i) rotation->Apply(covariance + i * d, 1);  // rows: C R^T
    for (int64_t j = 0; j < d; ++j) rotation->Apply(covariance + j, d);      // columns: R C R^T
  }
  return moments;
}

}  // namespace kvasir
