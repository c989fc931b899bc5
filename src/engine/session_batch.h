// Sessions of one model that generate side by side: a step is one pass through the model, so the
// weights are read once for all of them. Each gets, to the bit, what it would get by itself.
#pragma once

#include <span>
#include <vector>

#include "engine/session.h"

namespace kvasir {

class SessionBatch {
 public:
  // REQUIRES: one at least, all of one model. They must outlive this.
  explicit SessionBatch(std::span<SessionImpl* const> sessions);

  // A token for each, in their order; their logits are then those after it. On an error no session
  // holds more than it did.
  Status Step(std::span<const int32_t> tokens);

 private:
  const std::vector<SessionImpl*> sessions_;
  LoadedModel& model_;
  std::vector<Piece> pieces_;
  Buffer x_, logits_;
};

}  // namespace kvasir
