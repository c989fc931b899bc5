// Score requests with a softmax of their own instead of the one that attention took:
//
//   mass[slot] = mean over the group of the sum over rows of
//                softmax over what the row sees of (logit + noise) / tau
//
// One pass over the keys: the logits of a few rows with all slots are held (48 queries x slots),
// never a matrix of rows x slots. Neither tau nor noise touches the output of attention.
#pragma once

#include "kernels/attention.h"
#include "kernels/gumbel.h"

namespace kvasir {

// A draw for every (query head, query, entry).
struct ElementNoise {
  NoiseKey key;
  int32_t first_head = 0;    // query head of the job's group
  bool one_a_group = false;  // the heads of the group share their draws
};

struct OwnMassJob {
  std::span<const RunRef> runs;
  const float* q = nullptr;  // these as in AttendJob
  const float* const* run_q = nullptr;
  const int32_t* q_order = nullptr;
  float* mass = nullptr;  // [slots of all runs in turn]
  int32_t n_rows = 0, group = 1, head_dim = 64;
  int64_t q_stride = 0;
  MaskSpec mask;
  float tau = 1;
  const float* token_noise = nullptr;  // [slots]; null: none
  const ElementNoise* element_noise = nullptr;
};

// The result has the same bits for every thread count and instruction set.
void OwnSoftmaxMass(Isa isa, const LogitSpec& logit, std::span<const OwnMassJob> jobs,
                    ThreadPool& pool, AttentionScratch& scratch);

}  // namespace kvasir
