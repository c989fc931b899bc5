// Sessions of one model that read on side by side: rows of all of them go through the layers as one
// batch, which reads the weights once. Each gets the bits that it would get alone.
#pragma once

#include <span>

#include "engine/session.h"

namespace kvasir {

// A session and the tokens that it reads on, as SessionImpl::Extend does.
struct SessionReads {
  SessionImpl* session = nullptr;
  std::span<const int32_t> tokens = {};
  RowLogitsFn on_logits = {};
  AttentionProbe probe = {};  // gets the attention outputs of its rows
  Status status = {};         // how it went: an error of one leaves the others
};

// Those that must read token by token do so together, each of the others in a pass of its own,
// which many rows share already.
void ExtendTogether(std::span<SessionReads> reads);

// A session and the answer that it makes, as Generate does.
struct SessionAnswer {
  SessionImpl* session = nullptr;
  GenerateOptions options = {};
  Result<Generation> answer = {};
};

void GenerateTogether(std::span<SessionAnswer> answers);

}  // namespace kvasir
