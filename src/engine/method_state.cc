#include "engine/method_state.h"

#include <algorithm>
#include <cmath>

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
    if (needs.mass_rule.noise == NoiseKind::kToken) noise_.resize(n_heads);
  }
  if (needs.query_stats_from >= 0) stats_.resize(model.n_layers);
  if (needs.gates != nullptr) {
    gate_rows_ = {std::make_shared<PackedGates>(*needs.gates),
                  std::vector<std::vector<float>>(model.n_layers)};
    gates_.resize(n_heads);
  }
  if (needs.notes) notes_.resize(model.n_layers);
  if (needs.query_max) query_max_.resize(n_heads);
}

void MethodState::StartPrompt(int32_t end) {
  in_prompt_ = true;
  for (LastQueries& rows : queries_) {
    rows.Clear();
    rows.first_order = needs_.mass ? 0 : end - needs_.last_queries;
  }
  std::fill(n_added_.begin(), n_added_.end(), 0);
  for (QueryStats& stats : stats_) stats = {.first_order = needs_.query_stats_from};
  for (std::vector<float>& most : query_max_) most.clear();
}

void MethodState::EndPrompt() {
  in_prompt_ = false;
  for (LastQueries& rows : queries_) {
    if (!generating_too()) rows = {};
    rows.first_order = 0;
  }
  for (QueryStats& stats : stats_) {
    if (!stats_too()) stats = {};
  }
  for (std::vector<int32_t>& notes : notes_) notes = {};
  for (std::vector<float>& most : query_max_) {
    if (!needs_.at_decode) most = {};
  }
}

void MethodState::Clear() {
  for (LastQueries& rows : queries_) rows = {};
  std::fill(n_added_.begin(), n_added_.end(), 0);
  for (std::vector<double>& sums : sums_) sums = {};
  for (std::vector<float>& mass : mass_) mass = {};
  for (std::vector<float>& noise : noise_) noise = {};
  for (std::vector<float>& gates : gates_) gates = {};
  n_steps_ = 0;
  for (QueryStats& stats : stats_) stats = {};
  for (std::vector<float>& most : query_max_) most = {};
}

void MethodState::Attach(Segment& segment) {
  const int64_t end = segment.first_order + segment.n_rows;
  if (!queries_.empty() && end > queries_[0].first_order) segment.last = &queries_;
  if (!stats_.empty()) segment.stats = &stats_;
  if (needs_.gates != nullptr) segment.gates = &gate_rows_;
  if (!query_max_.empty() && in_prompt_) segment.query_max = &query_max_;
}

Status MethodState::AddRows(Forward& forward, std::span<const HeadCache> heads, int layer,
                            bool all) {
  if (needs_.gates != nullptr) {
    std::vector<float>& z = gate_rows_.rows[layer];  // [rows][kv_heads]
    if (!std::all_of(z.begin(), z.end(), [](float x) { return std::isfinite(x); })) {
      z.clear();
      return Fail(
          "the gates of layer {} give numbers that are not finite: the weights in their side file "
          "are too large for this text; train them anew, or use a method without gates",
          layer);
    }
    for (size_t i = 0; i < z.size() && !heads.empty(); ++i) {
      gates_[layer * heads.size() + i % heads.size()].push_back(z[i]);
    }
    z.clear();
  }
  if (queries_.empty()) return {};
  LastQueries& rows = queries_[layer];
  if (heads.empty()) {  // a layer that methods do not look at
    rows.Clear();
    return {};
  }
  if (needs_.mass) AddMass(forward, heads, layer, all);
  DropRows(layer, needs_.mass ? n_added_[layer] : rows.n_rows());
  return {};
}

// Adds the mass of whole blocks of rows; `all`: of what is left too, and entries get what they
// gained.
void MethodState::AddMass(Forward& forward, std::span<const HeadCache> heads, int layer, bool all) {
  const LastQueries& rows = queries_[layer];
  int64_t& added = n_added_[layer];
  std::vector<RowBlock> blocks;
  while (added < rows.n_rows()) {
    const int64_t to_end = kMassBlock - rows.order[added] % kMassBlock;
    const int64_t n = std::min(to_end, rows.n_rows() - added);
    if (n < to_end && !all) break;
    blocks.push_back({added, n});
    added += n;
  }
  const auto add = [&](const std::vector<std::vector<float>>& block) {
    for (size_t h = 0; h < heads.size(); ++h) {
      std::vector<double>& sums = sums_[layer * heads.size() + h];
      sums.resize(block[h].size());
      for (size_t s = 0; s < sums.size(); ++s) sums[s] += block[h][s];
    }
  };
  if (needs_.mass_rule.own()) {
    const MassRule& rule = needs_.mass_rule;
    std::span<const std::vector<float>> noise;
    if (rule.noise == NoiseKind::kToken) noise = TokenNoise(rule, heads, layer, noise_);
    const float tau = rule.Tau(in_prompt_ ? n_steps_ : n_steps_ + 1);
    for (const auto& block : OwnMassBySlot(forward, heads, layer, rows, blocks, rule, tau, noise)) {
      add(block);
    }
  } else {
    for (const RowBlock& block : blocks) {
      add(MassBySlot(forward, heads, layer, rows, block.first, block.n, {}, GroupBy::kMean));
    }
  }
  if (!all) return;
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

// Of the first n_done rows of a layer, all but the last that a method may still ask for go.
void MethodState::DropRows(int layer, int64_t n_done) {
  LastQueries& rows = queries_[layer];
  const int64_t n_old = std::min(n_done, rows.n_rows() - needs_.last_queries);
  // Moving what stays costs more than a few rows that are held too long.
  if (n_old <= needs_.last_queries) return;
  const int64_t q_width = int64_t{model_.n_q_heads} * model_.head_dim;
  EraseFront(rows.order, n_old);
  EraseFront(rows.q, n_old * q_width);
  EraseFront(rows.lse, n_old * model_.n_q_heads);
  if (needs_.mass) n_added_[layer] -= n_old;
}

void MethodState::Keep(int layer, int head, const std::optional<std::vector<int32_t>>& kept) {
  if (!kept) return;
  for (std::vector<std::vector<float>>* columns : {&mass_, &noise_, &gates_}) {
    if (columns->empty()) continue;
    std::vector<float>& column = (*columns)[layer * model_.n_kv_heads + head];
    for (size_t i = 0; i < kept->size(); ++i) column[i] = column[(*kept)[i]];
    column.resize(kept->size());
  }
}

void MethodState::CopyRows(const MethodState& other, int layer, int64_t n) {
  LastQueries& rows = queries_[layer];
  const LastQueries& from = other.queries_[layer];
  const int64_t q_width = int64_t{model_.n_q_heads} * model_.head_dim;
  rows.order.insert(rows.order.end(), from.order.end() - n, from.order.end());
  rows.q.insert(rows.q.end(), from.q.end() - n * q_width, from.q.end());
  rows.lse.insert(rows.lse.end(), from.lse.end() - n * model_.n_q_heads, from.lse.end());
}

void MethodState::TakeLayer(const MethodState& other, int layer) {
  if (!stats_.empty()) stats_[layer] = other.stats_[layer];
  for (int h = 0; needs_.query_max && h < model_.n_kv_heads; ++h) {
    const size_t at = static_cast<size_t>(layer) * model_.n_kv_heads + h;
    query_max_[at] = other.query_max_[at];
  }
  TakeColumn(gates_, other.gates_, layer);
  if (queries_.empty()) return;
  LastQueries& rows = queries_[layer];
  const LastQueries& from = other.queries_[layer];
  const int64_t n = std::min<int64_t>(needs_.last_queries, from.n_rows());
  const int64_t q_width = int64_t{model_.n_q_heads} * model_.head_dim;
  rows.order.assign(from.order.end() - n, from.order.end());
  rows.q.assign(from.q.end() - n * q_width, from.q.end());
  rows.lse.assign(from.lse.end() - n * model_.n_q_heads, from.lse.end());
  if (needs_.mass) n_added_[layer] = n;
}

void MethodState::TakeMass(const MethodState& other, int layer) {
  TakeColumn(mass_, other.mass_, layer);
  TakeColumn(noise_, other.noise_, layer);
}

void MethodState::TakeColumn(std::vector<std::vector<float>>& mine,
                             const std::vector<std::vector<float>>& theirs, int layer) const {
  const size_t first = static_cast<size_t>(layer) * model_.n_kv_heads;
  for (int h = 0; !mine.empty() && h < model_.n_kv_heads; ++h) mine[first + h] = theirs[first + h];
}

void MethodState::Merge(int layer, int head, const MergeSets& sets) {
  if (!needs_.mass) return;
  std::vector<float>& mass = mass_[layer * model_.n_kv_heads + head];
  for (int64_t set = 0; set < sets.n_sets(); ++set) {
    float sum = 0;
    for (int32_t m = sets.begin[set]; m < sets.begin[set + 1]; ++m) sum += mass[sets.members[m]];
    mass[sets.into[set]] = sum;
  }
}

void MethodState::EndLayer(int layer) {
  if (queries_.empty() || generating_too()) return;
  queries_[layer] = {};
  if (needs_.mass) n_added_[layer] = 0;
}

void MethodState::Truncate(const KvCache& cache, int32_t n, int64_t n_steps) {
  n_steps_ = std::max<int64_t>(0, n_steps_ - n_steps);
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
  for (std::vector<double>& sums : sums_) sums.clear();
  for (std::vector<std::vector<float>>* columns : {&mass_, &noise_, &gates_}) {
    for (size_t i = 0; i < columns->size(); ++i) {
      const auto head = static_cast<int>(i % model_.n_kv_heads);
      const int64_t size = cache.layer(static_cast<int>(i / model_.n_kv_heads))[head].size();
      std::vector<float>& column = (*columns)[i];
      if (static_cast<int64_t>(column.size()) > size) column.resize(size);
    }
  }
  for (std::vector<float>& z : gate_rows_.rows) z.clear();  // of a step that failed
}

const LastQueries* MethodState::queries(int layer) const {
  return queries_.empty() ? nullptr : &queries_[layer];
}

int64_t MethodState::n_last_queries(int layer) const {
  return queries_.empty() ? 0 : std::min<int64_t>(needs_.last_queries, queries_[layer].n_rows());
}

std::span<const std::vector<float>> MethodState::Column(
    const std::vector<std::vector<float>>& column, int layer) const {
  if (column.empty()) return {};
  return std::span(column).subspan(static_cast<size_t>(layer) * model_.n_kv_heads,
                                   model_.n_kv_heads);
}

void MethodState::Write(ByteWriter& file) const {
  if (generating_too()) {
    for (const LastQueries& rows : queries_) {
      file.Values(std::span<const int32_t>(rows.order));
      file.Values(std::span<const float>(rows.q));
      file.Values(std::span<const float>(rows.lse));
    }
  }
  for (const QueryStats& stats : stats_) {
    if (!stats_too()) break;
    file.Value(stats.n);
    file.Values(std::span<const double>(stats.sum));
    file.Values(std::span<const double>(stats.outer));
  }
  file.Values(std::span<const int64_t>(n_added_));
  for (const std::vector<float>& mass : mass_) file.Values(std::span<const float>(mass));
  if (needs_.mass_rule.own()) file.Value(n_steps_);  // noise is drawn again
  for (const std::vector<float>& gates : gates_) file.Values(std::span<const float>(gates));
  for (const std::vector<float>& most : query_max_) file.Values(std::span<const float>(most));
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
  for (QueryStats& stats : read.stats_) {
    if (!stats_too()) break;
    stats.first_order = needs_.query_stats_from;
    stats.n = file.Value<int64_t>();
    stats.sum = file.Values<double>(width);
    stats.outer = file.Values<double>(width * model_.head_dim);
    const bool some = stats.n > 0;
    if (stats.n < 0 || static_cast<int64_t>(stats.sum.size()) != (some ? width : 0) ||
        static_cast<int64_t>(stats.outer.size()) != (some ? width * model_.head_dim : 0)) {
      return Fail("the means of queries that its methods keep are damaged");
    }
  }
  read.n_added_ = file.Values<int64_t>(model_.n_layers);
  bool good = read.n_added_.size() == n_added_.size();
  for (size_t l = 0; l < read.n_added_.size() && good; ++l) {
    good = read.n_added_[l] >= 0 && read.n_added_[l] <= read.queries_[l].n_rows();
  }
  const auto read_column = [&](std::vector<std::vector<float>>& column) {
    for (size_t i = 0; i < column.size() && good; ++i) {
      const auto head = static_cast<int>(i % model_.n_kv_heads);
      const int64_t size = cache.layer(static_cast<int>(i / model_.n_kv_heads))[head].size();
      column[i] = file.Values<float>(n_tokens);
      good = static_cast<int64_t>(column[i].size()) <= size;
    }
  };
  read_column(read.mass_);
  if (needs_.mass_rule.own()) read.n_steps_ = file.Value<int64_t>();
  good = good && read.n_steps_ >= 0;
  read_column(read.gates_);
  for (std::vector<float>& most : read.query_max_) {
    most = file.Values<float>(model_.head_dim);
    good = good && (most.empty() || std::ssize(most) == model_.head_dim);
  }
  if (!good || !file.ok()) return Fail("the sums that its methods keep are damaged");
  *this = std::move(read);
  return {};
}

}  // namespace kvasir
