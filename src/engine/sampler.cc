// The order of the filters is that of Hugging Face and vLLM: bias and penalties, temperature,
// top-k, top-p, min-p. Only as much is sorted as the filters look at.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "kvasir/kvasir.h"

namespace kvasir {
namespace {

constexpr size_t kPenaltyWindow = 64;  // tokens of the history that the repeat penalty looks at

using Candidate = std::pair<float, int32_t>;  // logit (then weight), id

uint64_t SplitMix64(uint64_t& x) {
  uint64_t z = (x += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t RotateLeft(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

// xoroshiro128+ (Blackman and Vigna); its high 53 bits as a number in [0, 1).
double NextUniform(uint64_t state[2]) {
  const uint64_t s0 = state[0], sum = state[0] + state[1], s1 = state[0] ^ state[1];
  state[0] = RotateLeft(s0, 24) ^ s1 ^ (s1 << 16);
  state[1] = RotateLeft(s1, 37);
  return static_cast<double>(sum >> 11) * 0x1.0p-53;
}

// The most likely id, the lower of equals; NaN never wins. First the value, in lanes that the
// compiler makes vectors of: one comparison a step that depends on the last one takes ten times as
// long, which every answer of a batch would wait for.
int32_t ArgMax(std::span<const float> logits) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(kLowest);
  const size_t whole = logits.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      lanes[k] = logits[i + k] > lanes[k] ? logits[i + k] : lanes[k];
    }
  }
  float highest = *std::max_element(lanes.begin(), lanes.end());
  for (const float logit : logits.subspan(whole)) highest = logit > highest ? logit : highest;
  if (highest == kLowest) return 0;
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), highest) - logits.begin());
}

// The most likely first; of equals the lower id, so that greedy decoding is the same everywhere.
bool MoreLikely(const Candidate& a, const Candidate& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

void PenaliseRepeats(std::vector<Candidate>& candidates, std::span<const int32_t> history,
                     float penalty) {
  std::vector<int32_t> recent(history.end() - std::min(history.size(), kPenaltyWindow),
                              history.end());
  std::sort(recent.begin(), recent.end());
  recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
  for (int32_t id : recent) {
    if (id < 0 || static_cast<size_t>(id) >= candidates.size()) continue;
    float& logit = candidates[id].first;
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
}

// OpenAI's: a constant for tokens that the answer has, and a part for each time.
void PenalisePresence(std::vector<Candidate>& candidates, std::span<const int32_t> generated,
                      const SamplingOptions& options) {
  std::unordered_map<int32_t, int64_t> counts;
  for (int32_t id : generated) ++counts[id];
  for (const auto& [id, count] : counts) {
    if (id < 0 || static_cast<size_t>(id) >= candidates.size()) continue;
    candidates[id].first -=
        options.presence_penalty + options.frequency_penalty * static_cast<float>(count);
  }
}

void AddBias(std::vector<Candidate>& candidates, std::span<const std::pair<int32_t, float>> bias) {
  for (const auto& [id, value] : bias) {
    if (id >= 0 && static_cast<size_t>(id) < candidates.size()) candidates[id].first += value;
  }
}

// Cuts to the fewest most likely candidates whose weights reach top_p of all.
void CutToNucleus(std::vector<Candidate>& candidates, double top_p) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.first;
  const double wanted = top_p * total;
  double reached = 0;
  size_t sorted = 0, kept = 0;
  while (kept < candidates.size()) {
    if (kept == sorted) {  // most distributions are decided by the first few
      sorted = std::min(candidates.size(), std::max<size_t>(64, 4 * sorted));
      std::partial_sort(candidates.begin() + kept, candidates.begin() + sorted, candidates.end(),
                        MoreLikely);
    }
    reached += candidates[kept++].first;
    if (reached >= wanted) break;
  }
  candidates.resize(kept);
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options) : options_(options) {
  uint64_t x = options.seed;
  state_[0] = SplitMix64(x);
  state_[1] = SplitMix64(x);
}

int32_t Sampler::Sample(std::span<const float> logits, std::span<const int32_t> history,
                        size_t n_generated) {
  const bool counts = options_.presence_penalty != 0 || options_.frequency_penalty != 0;
  const bool as_they_are = options_.repeat_penalty == 1 && !counts && options_.logit_bias.empty();
  if (options_.temperature <= 0 && as_they_are) return ArgMax(logits);
  candidates_.clear();
  candidates_.reserve(logits.size());
  for (size_t id = 0; id < logits.size(); ++id) {
    const float logit = logits[id];
    candidates_.emplace_back(std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit,
                             static_cast<int32_t>(id));
  }
  if (candidates_.empty()) return 0;
  AddBias(candidates_, options_.logit_bias);
  if (counts) PenalisePresence(candidates_, history.last(n_generated), options_);
  if (options_.repeat_penalty != 1) PenaliseRepeats(candidates_, history, options_.repeat_penalty);
  const Candidate best = *std::min_element(candidates_.begin(), candidates_.end(), MoreLikely);
  if (options_.temperature <= 0 || !std::isfinite(best.first)) return best.second;

  const size_t top_k = static_cast<size_t>(std::max(options_.top_k, 0));
  if (top_k > 0 && top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + top_k, candidates_.end(),
                     MoreLikely);
    candidates_.resize(top_k);
  }
  // Weights relative to the most likely one; min-p is then a plain threshold.
  for (Candidate& c : candidates_)
    c.first = std::exp((c.first - best.first) / options_.temperature);
  if (options_.top_p < 1) CutToNucleus(candidates_, options_.top_p);
  if (options_.min_p > 0) {
    std::erase_if(candidates_, [&](const Candidate& c) { return c.first < options_.min_p; });
  }
  double total = 0;
  for (const Candidate& c : candidates_) total += c.first;
  double left = NextUniform(state_) * total;
  for (const Candidate& c : candidates_) {
    left -= c.first;
    if (left < 0) return c.second;
  }
  return best.second;  // rounding left a crumb, or a filter emptied the list
}

}  // namespace kvasir
