// SessionImpl: the session behind the public interface, with what our own commands may look at.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_stream.h"
#include "engine/loaded_model.h"
#include "engine/method_state.h"
#include "methods/registry.h"

namespace kvasir {

// Logits after token `row` of the text.
using RowLogitsFn = std::function<void(int64_t row, std::span<const float> logits)>;

class SessionImpl final : public Session {
 public:
  static Result<std::unique_ptr<SessionImpl>> Open(std::shared_ptr<LoadedModel> model,
                                                   const SessionOptions& options);

  const Model& model() const override { return *model_; }
  Status Feed(std::span<const int32_t> tokens, const ProgressFn& progress) override;
  Status Step(int32_t token) override;
  std::span<const float> logits() const override { return logits_; }
  const std::vector<int32_t>& tokens() const override { return tokens_; }
  int64_t ctx() const override { return ctx_; }
  Status Truncate(int64_t n) override;
  void Reset() override;
  Result<std::unique_ptr<Session>> Fork() const override;
  KvReport kv() const override;
  Status Save(const std::string& path) const override;
  Status Load(const std::string& path) override;

  // Feed, with the logits of every token on the way.
  Status FeedScored(std::span<const int32_t> tokens, const RowLogitsFn& on_logits);
  // Reads tokens as Step does, one after the other, with the logits after each; in one pass where
  // no method acts while generating. On an error the session holds what it held before.
  Status Extend(std::span<const int32_t> tokens, const RowLogitsFn& on_logits = {});
  // Load, from bytes in memory.
  Status Restore(ByteReader& file);
  const KvCache& cache() const { return cache_; }
  const PagePool& pool() const { return *pool_; }
  const RopeTable& rope(int layer) const { return model_->forward().rope(layer); }
  const Program& program() const { return *program_; }

 private:
  friend class GroupReader;  // session_group.cc
  SessionImpl(std::shared_ptr<LoadedModel> model, const SessionOptions& options,
              std::shared_ptr<const Program> program, std::shared_ptr<PagePool> pool,
              KvCache cache);

  Status CheckTokens(std::span<const int32_t> tokens) const;
  Status Prefill(std::span<const int32_t> tokens, const ProgressFn& progress,
                 const RowLogitsFn& on_logits);
  Status ReadPrompt(std::span<const int32_t> tokens, MatView<float> x, const ProgressFn& progress);
  Status RunChunk(int first_layer, int end_layer, int64_t first, int64_t n, MatView<float> x);
  void AddRows(int layer, bool all);
  Status Compress(int layer, Moment moment);
  bool Acts(Moment moment) const;
  // A prompt that a group reads: before its first layer, after its last.
  void StartShared(int64_t n);
  void EndShared(std::span<const int32_t> tokens, std::span<const float> logits);

  std::shared_ptr<LoadedModel> model_;
  SessionOptions options_;
  int64_t ctx_;
  std::shared_ptr<const Program> program_;
  Needs needs_;
  std::shared_ptr<PagePool> pool_;  // shared with forks
  KvCache cache_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> turns_;  // orders at which a prompt began or ended, ascending, 0 left out
  std::vector<float> logits_;
  MethodState state_;          // what methods asked for
  int64_t n_prompt_ = 0;       // tokens at the last prompt's end
  int64_t compressed_at_ = 0;  // tokens when a method last changed the cache
  bool first_prompt_ = true;
  int64_t read_entries_ = 0;  // of the last decode step
  Buffer x_;                  // hidden states of a prompt
};

}  // namespace kvasir
