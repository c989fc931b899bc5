#include "engine/method_state.h"

#include <algorithm>

#include "engine/cpu_ops.h"

namespace kvasir {
namespace {

// Rows whose mass is added up at a time: blocks begin at multiples of this order, however the
// prompt is cut into chunks, so chunks change no bit.
constexpr int32_t kMassBlock = 64;

template <class T>
void EraseFront(std::vector<T>& x, int64_t n) {
  x.erase(x.begin(), x.begin() + n);
}

}  // namespace

MethodState::MethodState(const Needs& needs, const ModelInfo& model)
    : needs_(needs), model_(model) {
  const size_t n_heads = static_cast<size_t>(model.n_layers) * model.n_kv_heads;
  if (needs.last_queries > 0 || needs.mass) queries_.resize(model.n_layers);
  if (needs.mass) {
    n_added_.resize(model.n_layers);
    sums_.resize(n_heads);
    mass_.resize(n_heads);
  }
  if (needs.query_stats_from >= 0) stats_.resize(model.n_layers);
  if (needs.query_max) query_max_.resize(n_heads);
}

void MethodState::StartPrompt(int32_t end) {
  for (LastQueries& rows : queries_) {
    rows.Clear();
    rows.first_order = needs_.mass ? 0 : end - needs_.last_queries;
  }
  std::fill(n_added_.begin(), n_added_.end(), 0);
  for (QueryStats& stats : stats_) stats = {.first_order = needs_.query_stats_from};
  for (std::vector<float>& most : query_max_) most.clear();
}

void MethodState::EndPrompt() {
  for (LastQueries& rows : queries_) {
    if (!generating_too()) rows = {};
    rows.first_order = 0;
  }
  for (QueryStats& stats : stats_) stats = {};
  for (std::vector<float>& most : query_max_) most = {};
}

void MethodState::Clear() {
  for (LastQueries& rows : queries_) rows = {};
  std::fill(n_added_.begin(), n_added_.end(), 0);
  for (std::vector<double>& sums : sums_) sums = {};
  for (std::vector<float>& mass : mass_) mass = {};
  for (QueryStats& stats : stats_) stats = {};
  for (std::vector<float>& most : query_max_) most = {};
}

void MethodState::Attach(Segment& segment) {
  const int64_t end = segment.first_order + segment.n_rows;
  if (!queries_.empty() && end > queries_[0].first_order) segment.last = &queries_;
  if (!stats_.empty()) segment.stats = &stats_;
  if (!query_max_.empty()) segment.query_max = &query_max_;
}

void MethodState::AddRows(Forward& forward, std::span<const HeadCache> heads, int layer, bool all) {
  if (queries_.empty()) return;
  LastQueries& rows = queries_[layer];
  if (heads.empty()) {  // a layer that methods do not look at
    rows.Clear();
    return;
  }
  int64_t n_done = rows.n_rows();
  if (needs_.mass) {
    int64_t& added = n_added_[layer];
    while (added < rows.n_rows()) {
      const int64_t to_end = kMassBlock - rows.order[added] % kMassBlock;
      const int64_t n = std::min(to_end, rows.n_rows() - added);
      if (n < to_end && !all) break;
      const auto block = MassBySlot(forward, heads, layer, rows, added, n, {}, GroupBy::kMean);
      for (size_t h = 0; h < heads.size(); ++h) {
        std::vector<double>& sums = sums_[layer * heads.size() + h];
        sums.resize(block[h].size());
        for (size_t s = 0; s < sums.size(); ++s) sums[s] += block[h][s];
      }
      added += n;
    }
    n_done = added;
  }
  const int64_t n_old = std::min(n_done, rows.n_rows() - needs_.last_queries);
  // Moving what stays costs more than a few rows that are held too long.
  if (n_old > needs_.last_queries) {
    const int64_t q_width = int64_t{model_.n_q_heads} * model_.head_dim;
    EraseFront(rows.order, n_old);
    EraseFront(rows.q, n_old * q_width);
    EraseFront(rows.lse, n_old * model_.n_q_heads);
    if (needs_.mass) n_added_[layer] -= n_old;
  }
  if (!needs_.mass || !all) return;
  for (size_t h = 0; h < heads.size(); ++h) {
    std::vector<double>& sums = sums_[layer * heads.size() + h];
    std::vector<float>& mass = mass_[layer * heads.size() + h];
    sums.resize(heads[h].n_slots());
    const std::vector<float> by_slot(sums.begin(), sums.end());
    std::vector<float> gained(heads[h].size());
    heads[h].Gather(by_slot.data(), gained.data());
    mass.resize(gained.size());
    for (size_t i = 0; i < mass.size(); ++i) mass[i] += gained[i];
    sums.clear();
  }
}

void MethodState::Keep(int layer, int head, const std::optional<std::vector<int32_t>>& kept) {
  if (!needs_.mass || !kept) return;
  std::vector<float>& mass = mass_[layer * model_.n_kv_heads + head];
  for (size_t i = 0; i < kept->size(); ++i) mass[i] = mass[(*kept)[i]];
  mass.resize(kept->size());
}

void MethodState::EndLayer(int layer) {
  if (!queries_.empty() && !generating_too()) queries_[layer] = {};
}

void MethodState::Truncate(const KvCache& cache, int32_t n) {
  for (LastQueries& rows : queries_) {
    const auto end = std::lower_bound(rows.order.begin(), rows.order.end(), n);
    const auto left = static_cast<size_t>(end - rows.order.begin());
    rows.order.resize(left);
    rows.q.resize(left * model_.n_q_heads * model_.head_dim);
    rows.lse.resize(left * model_.n_q_heads);
  }
  for (size_t l = 0; l < n_added_.size(); ++l) {
    n_added_[l] = std::min(n_added_[l], queries_[l].n_rows());
  }
  for (size_t i = 0; i < mass_.size(); ++i) {
    const auto head = static_cast<int>(i % model_.n_kv_heads);
    const int64_t size = cache.layer(static_cast<int>(i / model_.n_kv_heads))[head].size();
    if (static_cast<int64_t>(mass_[i].size()) > size) mass_[i].resize(size);
    sums_[i].clear();
  }
}

const LastQueries* MethodState::queries(int layer) const {
  return queries_.empty() ? nullptr : &queries_[layer];
}

int64_t MethodState::n_last_queries(int layer) const {
  return queries_.empty() ? 0 : std::min<int64_t>(needs_.last_queries, queries_[layer].n_rows());
}

std::span<const std::vector<float>> MethodState::query_max(int layer) const {
  if (query_max_.empty()) return {};
  return std::span(query_max_)
      .subspan(static_cast<size_t>(layer) * model_.n_kv_heads, model_.n_kv_heads);
}

std::span<const std::vector<float>> MethodState::mass(int layer) const {
  if (mass_.empty()) return {};
  return std::span(mass_).subspan(static_cast<size_t>(layer) * model_.n_kv_heads,
                                  model_.n_kv_heads);
}

void MethodState::Write(FileWriter& file) const {
  if (generating_too()) {
    for (const LastQueries& rows : queries_) {
      file.Values(std::span<const int32_t>(rows.order));
      file.Values(std::span<const float>(rows.q));
      file.Values(std::span<const float>(rows.lse));
    }
  }
  file.Values(std::span<const int64_t>(n_added_));
  for (const std::vector<float>& mass : mass_) file.Values(std::span<const float>(mass));
}

Status MethodState::Read(ByteReader& file, const KvCache& cache, int64_t n_tokens) {
  MethodState read(needs_, model_);
  const int64_t width = int64_t{model_.n_q_heads} * model_.head_dim;
  for (LastQueries& rows : read.queries_) {
    if (!generating_too()) break;
    rows.order = file.Values<int32_t>(n_tokens);
    rows.q = file.Values<float>(n_tokens * width);
    rows.lse = file.Values<float>(n_tokens * model_.n_q_heads);
    const int64_t n = rows.n_rows();
    const bool ascends = std::adjacent_find(rows.order.begin(), rows.order.end(),
                                            std::greater_equal<>()) == rows.order.end();
    if (!ascends || (n > 0 && (rows.order[0] < 0 || rows.order.back() >= n_tokens)) ||
        static_cast<int64_t>(rows.q.size()) != n * width ||
        static_cast<int64_t>(rows.lse.size()) != n * model_.n_q_heads) {
      return Fail("the queries that its methods keep are damaged");
    }
  }
  read.n_added_ = file.Values<int64_t>(model_.n_layers);
  bool good = read.n_added_.size() == n_added_.size();
  for (size_t l = 0; l < read.n_added_.size() && good; ++l) {
    good = read.n_added_[l] >= 0 && read.n_added_[l] <= read.queries_[l].n_rows();
  }
  for (size_t i = 0; i < read.mass_.size() && good; ++i) {
    const auto head = static_cast<int>(i % model_.n_kv_heads);
    const int64_t size = cache.layer(static_cast<int>(i / model_.n_kv_heads))[head].size();
    read.mass_[i] = file.Values<float>(n_tokens);
    good = static_cast<int64_t>(read.mass_[i].size()) <= size;
  }
  if (!good || !file.ok()) return Fail("the sums that its methods keep are damaged");
  *this = std::move(read);
  return {};
}

}  // namespace kvasir
