// BatchJob: one answer on its way: which tokens are to be read, how the next one is drawn, what of
// it has been told.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/batch_request.h"
#include "engine/sequence.h"
#include "engine/text_stream.h"

namespace kvasir {

class BatchJob {
 public:
  using Clock = std::chrono::steady_clock;

  BatchJob(uint64_t id, int answer, std::shared_ptr<const BatchRequest> request,
           std::shared_ptr<const SequenceSpec> spec, std::shared_ptr<const BatchEventFn> on_event,
           const LoadedModel& model);

  const uint64_t id;
  const int answer;
  const std::shared_ptr<const BatchRequest> request;
  const std::shared_ptr<const SequenceSpec> spec;

  // The prompt and the answer so far. What of it the sequence has not read comes next.
  const std::vector<int32_t>& text() const { return text_; }
  int64_t n_prompt() const { return static_cast<int64_t>(request->prompt.size()); }
  int64_t n_generated() const { return static_cast<int64_t>(text_.size()) - n_prompt(); }

  // Where the rows of a prompt end: what a method shapes reads its own answer token by token, also
  // when it is read again.
  int64_t prompt_end() const {
    return spec->program->is_full() ? static_cast<int64_t>(text_.size()) : n_prompt();
  }

  // The answers to one prompt tell of it once.
  bool tells_prompt() const { return request->prompt_logprobs && answer == 0; }
  // The text is read: draws the next token from the logits. Tells nothing, so that several jobs may
  // draw at a time.
  void Draw(std::span<const float> logits);
  // The token that was drawn becomes part of the text, and is told. True: the answer ended.
  Result<bool> Advance();
  // Nothing can follow for want of room: ends with "length".
  void EndFor(std::string warning);
  // Prompt tokens [first, first + rows) from the logits of the tokens before them; token 0 has
  // none.
  void NotePrompt(int64_t first_row_order, MatView<const float> logits);
  void TellProgress(int64_t n_read) const;
  void TellPromptRead();
  // What became of its cache, as the outcome tells.
  void NoteCache(const Sequence& sequence);
  void NoteEnd(const Sequence& sequence, int slot);
  void TellDone();
  void TellError(BatchError error);
  const BatchOutcome& outcome() const { return outcome_; }

  // Set by the engine.
  std::unique_ptr<Sequence> sequence;  // while it has no slot: what it held when it was preempted
  int slot = -1;
  int64_t n_cached = 0;
  Reuse reuse = Reuse::kPrefix;
  int64_t evicted_before = 0;  // entries that the cache lacked when it went on from it
  int n_preempted = 0;
  int followers = 0;                 // answers that start from this one's prompt
  const BatchJob* leader = nullptr;  // whose prompt this one's answer starts from
  Clock::time_point submitted = Clock::now(), admitted, prompt_read, first_token, last_token;

 private:
  TokenRecord Record(std::span<const float> logits, std::span<const int32_t> before,
                     int32_t id) const;
  void Tell(std::string text, bool all);
  std::vector<int32_t> TakeIds();
  void NoteFigures(BatchOutcome& outcome) const;

  const LoadedModel* model_;
  std::shared_ptr<const BatchEventFn> on_event_;
  std::vector<int32_t> text_;
  Sampler sampler_;
  TextStream stream_;
  std::unique_ptr<TokenConstraint> constraint_;
  std::vector<float> masked_;
  Status draw_status_;
  int32_t drawn_ = -1;
  std::optional<TokenRecord> drawn_record_;
  std::vector<TokenRecord> prompt_records_;
  // Records whose text is not out yet, with the byte of the answer at which they begin.
  std::deque<std::pair<int64_t, TokenRecord>> held_;
  int64_t n_bytes_ = 0, n_told_ = 0;  // bytes of the answer: made, told
  int64_t n_ids_told_ = 0;            // tokens of the answer
  BatchOutcome outcome_;
};

}  // namespace kvasir
