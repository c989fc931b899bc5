#include "engine/own_mass.h"

#include "kernels/attention_own.h"

namespace kvasir {
namespace {

// The inverse of HeadCache::Gather; 0 where nothing lives.
std::vector<float> Scatter(const HeadCache& head, std::span<const float> entries) {
  std::vector<float> by_slot(head.n_slots());
  size_t entry = 0;
  float* slots = by_slot.data();
  for (const RunRef& run : head.runs()) {
    for (const PageRef& page : std::span(run.pages, run.n_pages)) {
      for (uint64_t live = page.live; live != 0; live &= live - 1) {
        slots[__builtin_ctzll(live)] = entries[entry++];
      }
      slots += kPageEntries;
    }
  }
  return by_slot;
}

}  // namespace

std::span<const std::vector<float>> TokenNoise(const MassRule& rule,
                                               std::span<const HeadCache> heads, int layer,
                                               std::span<std::vector<float>> columns) {
  const NoiseKey key{rule.seed, static_cast<uint32_t>(layer)};
  const auto mine = columns.subspan(layer * heads.size(), heads.size());
  for (size_t h = 0; h < heads.size(); ++h) {
    const std::vector<int32_t> orders = heads[h].Orders();
    for (size_t i = mine[h].size(); i < orders.size(); ++i) {
      mine[h].push_back(GumbelAt(key, static_cast<int32_t>(h), orders[i]));
    }
  }
  return mine;
}

std::vector<std::vector<std::vector<float>>> OwnMassBySlot(
    Forward& forward, std::span<const HeadCache> heads, int layer, const LastQueries& rows,
    std::span<const RowBlock> blocks, const MassRule& rule, float tau,
    std::span<const std::vector<float>> token_noise) {
  const int64_t d = forward.config().head_dim, n_q = forward.config().n_q_heads;
  const int64_t group = n_q / static_cast<int64_t>(heads.size());
  std::vector<std::vector<std::vector<float>>> mass(blocks.size());
  std::vector<std::vector<float>> noise(heads.size()), shifted(blocks.size() * heads.size());
  std::vector<std::vector<const float*>> run_queries(shifted.size());
  std::vector<ElementNoise> draws(heads.size());
  std::vector<TurnedKeys> turned(heads.size());
  std::vector<std::span<const RunRef>> runs;
  for (size_t h = 0; h < heads.size(); ++h) {
    runs.push_back(heads[h].AsRead(forward.rotator(layer), turned[h]));
    if (!token_noise.empty()) noise[h] = Scatter(heads[h], token_noise[h]);
    draws[h] = {.key = {rule.seed, static_cast<uint32_t>(layer)},
                .first_head = static_cast<int32_t>(h * group),
                .one_a_group = rule.shared_in_group};
  }
  std::vector<OwnMassJob> jobs;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const auto [first, n] = blocks[b];
    mass[b].resize(heads.size());
    for (size_t h = 0; h < heads.size(); ++h) {
      const float* q = rows.q.data() + first * n_q * d + static_cast<int64_t>(h) * group * d;
      std::vector<const float*>& by_run = run_queries[b * heads.size() + h];
      by_run = forward.QueriesByRun(layer, heads[h], q, n, n_q * d, shifted[b * heads.size() + h],
                                    group);
      mass[b][h].resize(heads[h].n_slots());
      jobs.push_back({.runs = runs[h],
                      .q = q,
                      .run_q = by_run.empty() ? nullptr : by_run.data(),
                      .q_order = rows.order.data() + first,
                      .mass = mass[b][h].data(),
                      .n_rows = static_cast<int32_t>(n),
                      .group = static_cast<int32_t>(group),
                      .head_dim = static_cast<int32_t>(d),
                      .q_stride = n_q * d,
                      .mask = {},
                      .tau = tau,
                      .token_noise = noise[h].empty() ? nullptr : noise[h].data(),
                      .element_noise = rule.noise == NoiseKind::kElement ? &draws[h] : nullptr});
    }
  }
  OwnSoftmaxMass(forward.isa(), forward.logit_spec(), jobs, forward.pool(),
                 forward.attention_scratch());
  return mass;
}

}  // namespace kvasir
