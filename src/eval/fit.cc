#include "eval/fit.h"

#include <algorithm>

namespace kvasir::eval {
namespace {

Result<int64_t> SearchSize(Workshop& workshop, int64_t room, const Sizing& sizing,
                           const BuildFn& build) {
  const int64_t probe = sizing.probe > 0 ? sizing.probe : sizing.step;
  KV_ASSIGN_OR_RETURN(const Sample first, build(probe, 0));
  KV_ASSIGN_OR_RETURN(const int64_t n_first, workshop.PromptTokens(first));
  const double a_unit = std::max(1e-3, static_cast<double>(n_first) / static_cast<double>(probe));
  int64_t low = sizing.step, best = sizing.step;
  int64_t most = std::max(
      static_cast<int64_t>(sizing.headroom * static_cast<double>(room) / a_unit), 2 * sizing.step);
  for (int64_t n_at_most = 0;;) {
    int64_t n_best = 0;
    for (int64_t high = most; low <= high;) {
      const int64_t middle = low + (high - low) / 2;
      KV_ASSIGN_OR_RETURN(const Sample sample, build(middle, 0));
      KV_ASSIGN_OR_RETURN(const int64_t n_tokens, workshop.PromptTokens(sample));
      if (n_tokens <= room) {
        best = middle;
        n_best = n_tokens;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    // Differs from RULER, which stops here: where the frame around a small first sample makes its
    // units look long, the largest size of its range is far too short.
    if (best < most || n_best <= n_at_most) return best;
    n_at_most = n_best;
    most *= 2;
  }
}

}  // namespace

Result<Sample> MakeFitted(Workshop& workshop, const Request& request, const Sizing& sizing,
                          const BuildFn& build) {
  const int64_t room = request.length - sizing.n_answer;
  const std::string key = fmt::format("{}|{}", sizing.key, request.length);
  auto known = workshop.sizes().find(key);
  if (known == workshop.sizes().end()) {
    KV_ASSIGN_OR_RETURN(const int64_t found, SearchSize(workshop, room, sizing, build));
    known = workshop.sizes().emplace(key, found).first;
  }
  for (int64_t size = known->second;; size -= sizing.step) {
    if (size < sizing.step) {
      return Fail("length {}: too short for this task, whose smallest sample is longer",
                  request.length);
    }
    KV_ASSIGN_OR_RETURN(Sample sample, build(size, request.index));
    KV_ASSIGN_OR_RETURN(const int64_t n_tokens, workshop.PromptTokens(sample));
    if (n_tokens <= room) return sample;
  }
}

}  // namespace kvasir::eval
