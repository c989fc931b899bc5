#include "engine/session.h"

#include <algorithm>

#include "engine/session_batch.h"

namespace kvasir {

void ForRowLogits(Forward& forward, MatView<const float> x, const RowLogitsFn& on_logits) {
  constexpr int64_t kRows = 32;  // a product
  const int64_t n_vocab = forward.config().n_vocab;
  std::vector<float> logits(std::min(kRows, x.shape[0]) * n_vocab);
  for (int64_t first = 0; first < x.shape[0]; first += kRows) {
    const int64_t n = std::min(kRows, x.shape[0] - first);
    forward.Logits(Mat(x.row(first), n, x.shape[1], x.stride[0]), Mat(logits.data(), n, n_vocab));
    for (int64_t r = 0; r < n; ++r) {
      on_logits(first + r, {logits.data() + r * n_vocab, static_cast<size_t>(n_vocab)});
    }
  }
}

Result<std::unique_ptr<Session>> Session::Open(std::shared_ptr<Model> model,
                                               const SessionOptions& options) {
  auto loaded = std::dynamic_pointer_cast<LoadedModel>(model);
  KV_CHECK(loaded != nullptr);
  KV_ASSIGN_OR_RETURN(std::unique_ptr<SessionImpl> session,
                      SessionImpl::Open(std::move(loaded), options));
  return std::unique_ptr<Session>(std::move(session));
}

Result<std::unique_ptr<SessionImpl>> SessionImpl::Open(std::shared_ptr<LoadedModel> model,
                                                       const SessionOptions& options,
                                                       std::shared_ptr<PagePool> pool) {
  KV_ASSIGN_OR_RETURN(std::shared_ptr<const SequenceSpec> spec,
                      SequenceSpec::Make(*model, options));
  if (options.chunk < 1) return Fail("a chunk of {} tokens: at least 1 is needed", options.chunk);
  if (!pool) {
    pool = std::make_shared<PagePool>(options.kv_memory > 0 ? options.kv_memory : kNoLimit);
  }
  auto sequence = std::make_unique<Sequence>(model, std::move(spec), std::move(pool));
  return std::unique_ptr<SessionImpl>(
      new SessionImpl(std::move(model), options, std::move(sequence)));
}

SessionImpl::SessionImpl(std::shared_ptr<LoadedModel> model, const SessionOptions& options,
                         std::unique_ptr<Sequence> sequence)
    : model_(std::move(model)), options_(options), sequence_(std::move(sequence)) {}

Status SessionImpl::Feed(std::span<const int32_t> tokens, const ProgressFn& progress) {
  return Prefill(tokens, progress, {});
}

Status SessionImpl::FeedScored(std::span<const int32_t> tokens, const RowLogitsFn& on_logits) {
  return Prefill(tokens, {}, on_logits);
}

Status SessionImpl::Prefill(std::span<const int32_t> tokens, const ProgressFn& progress,
                            const RowLogitsFn& on_logits) {
  KV_RETURN_IF_ERROR(sequence_->CheckTokens(tokens));
  const int64_t n_before = sequence_->size();
  const auto n = static_cast<int64_t>(tokens.size());
  const ModelConfig& config = model_->config();
  std::unique_ptr<Sequence> before;  // pages are shared, so this costs their tables only
  if (n_before > 0) before = sequence_->Fork();

  x_.Grow(static_cast<size_t>(n * config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), n, config.hidden);
  sequence_->StartPrompt(n);
  const Status status = ReadPrompt(tokens, x, progress);
  if (!status) {
    if (before) {
      sequence_ = std::move(before);
    } else {
      sequence_->Reset();
    }
    return status;
  }
  sequence_->Commit(tokens);
  sequence_->EndPrompt();
  ReadLogits(x, on_logits);
  x_ = Buffer();
  return {};
}

// Of the last rows that were read, x [rows, hidden]: their logits, or without on_logits the last's.
void SessionImpl::ReadLogits(MatView<const float> x, const RowLogitsFn& on_logits) {
  const int64_t n = x.shape[0], order = sequence_->size() - n, first = on_logits ? 0 : n - 1;
  ForRowLogits(forward(), Mat(x.row(first), n - first, x.shape[1], x.stride[0]),
               [&](int64_t row, std::span<const float> logits) {
                 if (on_logits) on_logits(order + row, logits);
                 if (first + row + 1 == n) sequence_->logits().assign(logits.begin(), logits.end());
               });
}

// Layer-major: the whole prompt through a layer, which is then compressed, so that one layer at
// most is held at full length. Chunk-major: a chunk through all layers.
Status SessionImpl::ReadPrompt(std::span<const int32_t> tokens, MatView<float> x,
                               const ProgressFn& progress) {
  const int64_t n = x.shape[0], chunk = options_.chunk;
  const int n_layers = model_->config().n_layers;
  const int layers_a_pass = options_.chunk_major ? n_layers : 1;
  const int64_t work = n * n_layers;
  forward().Embed(tokens, x);
  int64_t done = 0;
  for (int first_layer = 0; first_layer < n_layers; first_layer += layers_a_pass) {
    for (int64_t first = 0; first < n; first += chunk) {
      if (progress && !progress(done / n_layers, work / n_layers)) return Fail("interrupted");
      const int64_t rows = std::min(chunk, n - first);
      Piece piece{.sequence = sequence_.get(),
                  .rows = sequence_->Rows(0, rows, sequence_->size() + first)};
      RunPieces(forward(), first_layer, first_layer + layers_a_pass,
                Mat(x.row(first), rows, x.shape[1], x.stride[0]), {&piece, 1});
      KV_RETURN_IF_ERROR(piece.status);
      done += rows * layers_a_pass;
    }
  }
  if (progress) progress(n, n);
  return {};
}

Status SessionImpl::Step(int32_t token) {
  if (sequence_->size() >= ctx()) {
    return Fail("the context is full: {} tokens; raise --ctx, or bound the cache with --kv", ctx());
  }
  // As Extend does it, without an allocation: this is decoding.
  KV_RETURN_IF_ERROR(sequence_->CheckTokens({&token, 1}));
  const ModelConfig& config = model_->config();
  Forward& forward = sequence_->forward();
  x_.Grow(static_cast<size_t>(config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), 1, config.hidden);
  forward.Embed({&token, 1}, x);
  Piece piece{.sequence = sequence_.get(), .rows = sequence_->Rows(0, 1, sequence_->size())};
  RunPieces(forward, 0, config.n_layers, x, {&piece, 1});
  if (!piece.status) {
    sequence_->RollBack();
    return piece.status;
  }
  sequence_->Commit({&token, 1});
  sequence_->logits().resize(config.n_vocab);
  forward.Logits(x, Mat(sequence_->logits().data(), 1, config.n_vocab));
  return {};
}

Status SessionImpl::Extend(std::span<const int32_t> tokens, const RowLogitsFn& on_logits) {
  if (one_by_one()) {
    SessionReads alone{.session = this, .tokens = tokens, .on_logits = on_logits};
    ExtendTogether({&alone, 1});
    return alone.status;
  }
  KV_RETURN_IF_ERROR(sequence_->CheckTokens(tokens));
  const int64_t n_before = sequence_->size();
  const auto n = static_cast<int64_t>(tokens.size());
  const ModelConfig& config = model_->config();
  x_.Grow(static_cast<size_t>(n * config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), n, config.hidden);
  forward().Embed(tokens, x);
  Piece piece{.sequence = sequence_.get(), .rows = sequence_->Rows(0, n, n_before)};
  RunPieces(forward(), 0, config.n_layers, x, {&piece, 1});
  if (!piece.status) {
    sequence_->RollBack();
    return piece.status;
  }
  sequence_->Commit(tokens);
  ReadLogits(x, on_logits);
  return {};
}

Result<std::unique_ptr<Session>> SessionImpl::Fork() const {
  return std::unique_ptr<Session>(
      std::unique_ptr<SessionImpl>(new SessionImpl(model_, options_, sequence_->Fork())));
}

}  // namespace kvasir
