// SessionImpl: the session behind the public interface, with what our own commands may look at: one
// Sequence, and the driver that feeds it alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_stream.h"
#include "engine/sequence.h"

namespace kvasir {

// Logits after token `row` of the text.
using RowLogitsFn = std::function<void(int64_t row, std::span<const float> logits)>;

// The logits of rows of final hidden states, one row after another; products are made for many.
void ForRowLogits(Forward& forward, MatView<const float> x, const RowLogitsFn& on_logits);

class SessionImpl final : public Session {
 public:
  // pool: shared with other sessions, and its limit too; null: one of its own.
  static Result<std::unique_ptr<SessionImpl>> Open(std::shared_ptr<LoadedModel> model,
                                                   const SessionOptions& options,
                                                   std::shared_ptr<PagePool> pool = nullptr);

  const Model& model() const override { return *model_; }
  Status Feed(std::span<const int32_t> tokens, const ProgressFn& progress) override;
  Status Step(int32_t token) override;
  std::span<const float> logits() const override { return sequence_->logits(); }
  const std::vector<int32_t>& tokens() const override { return sequence_->tokens(); }
  int64_t ctx() const override { return sequence_->spec().ctx; }
  Status Truncate(int64_t n) override { return sequence_->Truncate(n); }
  void Reset() override { sequence_->Reset(); }
  Result<std::unique_ptr<Session>> Fork() const override;
  KvReport kv() const override { return sequence_->Report(); }
  Status Save(const std::string& path) const override;
  Status Load(const std::string& path) override;

  // Feed, with the logits of every token on the way.
  Status FeedScored(std::span<const int32_t> tokens, const RowLogitsFn& on_logits);
  // Reads tokens as Step does, one after the other, with the logits after each; in one pass where
  // no method acts while generating. On an error the session holds what it held before.
  Status Extend(std::span<const int32_t> tokens, const RowLogitsFn& on_logits = {});
  // Load, from bytes in memory.
  Status Restore(ByteReader& file);
  bool one_by_one() const { return sequence_->one_by_one(); }  // how Extend has to read
  Status CheckTokens(std::span<const int32_t> tokens) const {
    return sequence_->CheckTokens(tokens);
  }
  Forward& forward() const { return sequence_->forward(); }
  const KvCache& cache() const { return sequence_->cache(); }
  const PagePool& pool() const { return sequence_->pool(); }
  const RopeTable& rope(int layer) const { return forward().rope(layer); }
  const Program& program() const { return *sequence_->spec().program; }

 private:
  friend class GroupReader;  // session_group.cc
  friend class BatchStep;    // session_batch.cc
  SessionImpl(std::shared_ptr<LoadedModel> model, const SessionOptions& options,
              std::unique_ptr<Sequence> sequence);

  Status Prefill(std::span<const int32_t> tokens, const ProgressFn& progress,
                 const RowLogitsFn& on_logits);
  Status ReadPrompt(std::span<const int32_t> tokens, MatView<float> x, const ProgressFn& progress);
  void ReadLogits(MatView<const float> x, const RowLogitsFn& on_logits);

  std::shared_ptr<LoadedModel> model_;
  SessionOptions options_;
  std::unique_ptr<Sequence> sequence_;
  Buffer x_;  // hidden states of a prompt
};

}  // namespace kvasir
