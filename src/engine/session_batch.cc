#include "engine/session_batch.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr int64_t kLogitRows = 16;  // rows of logits at a time: a row is the vocabulary

}  // namespace

SessionBatch::SessionBatch(std::span<SessionImpl* const> sessions)
    : sessions_(sessions.begin(), sessions.end()), model_(*sessions.front()->model_) {}

Status SessionBatch::Step(std::span<const int32_t> tokens) {
  const auto n = static_cast<int64_t>(sessions_.size());
  const int64_t hidden = model_.config().hidden, n_vocab = model_.config().n_vocab;
  x_.Grow(static_cast<size_t>(n * hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), n, hidden);
  pieces_.clear();
  for (SessionImpl* session : sessions_) pieces_.push_back({.sequence = session->sequence_.get()});
  KV_RETURN_IF_ERROR(StepPieces(model_.forward(), tokens, x, pieces_));

  logits_.Grow(static_cast<size_t>(std::min(n, kLogitRows) * n_vocab) * sizeof(float));
  for (int64_t first = 0; first < n; first += kLogitRows) {
    const int64_t rows = std::min(kLogitRows, n - first);
    const MatView<float> logits = Mat(logits_.as<float>(), rows, n_vocab);
    model_.forward().Logits(Mat<const float>(x.row(first), rows, hidden), logits);
    for (int64_t i = 0; i < rows; ++i) {
      pieces_[first + i].sequence->logits().assign(logits.row(i), logits.row(i) + n_vocab);
    }
  }
  return {};
}

}  // namespace kvasir
