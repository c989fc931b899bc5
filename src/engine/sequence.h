// Sequence: one text under one spec: its tokens, head caches, logits, and what its methods asked to
// be collected. It runs nothing itself: a driver (Session for one sequence, BatchEngine for many)
// takes rows from sequences, sends them through the layers together (RunPieces), and tells each
// sequence what became of its rows. Used by one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/byte_stream.h"
#include "engine/loaded_model.h"
#include "engine/method_state.h"
#include "methods/registry.h"

namespace kvasir {

class LayerMemo;  // layer_memo.h

// What sequences of one spec share; immutable.
struct SequenceSpec {
  static Result<std::shared_ptr<const SequenceSpec>> Make(const LoadedModel& model,
                                                          const SessionOptions& options);
  std::shared_ptr<const Program> program;
  Needs needs;
  bool rewrites = false;            // entries that stay may be written anew
  std::vector<HeadFormat> formats;  // [layers]
  int64_t ctx = 0;                  // most tokens
  int64_t length = 0;               // most that are expected: at most ctx
};

class Sequence {
 public:
  Sequence(std::shared_ptr<LoadedModel> model, std::shared_ptr<const SequenceSpec> spec,
           std::shared_ptr<PagePool> pool);
  // A second sequence with the same tokens and cache; pages are shared until one of them writes.
  std::unique_ptr<Sequence> Fork() const;

  const SequenceSpec& spec() const { return *spec_; }
  const LoadedModel& model() const { return *model_; }
  Forward& forward() const { return model_->forward(spec_->length); }
  const std::vector<int32_t>& tokens() const { return tokens_; }  // all that was read
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  std::vector<float>& logits() { return logits_; }  // after the last token; empty: not known
  const std::vector<float>& logits() const { return logits_; }
  const KvCache& cache() const { return cache_; }
  PagePool& pool() const { return *pool_; }
  bool in_prompt() const { return in_prompt_; }

  // Ids of the vocabulary, and room for them in the context.
  Status CheckTokens(std::span<const int32_t> tokens) const;

  // A prompt of n tokens more begins. Its rows then come in pieces, in order, through each layer;
  // the methods act on a layer once its last row is through. EndPrompt after the last layer.
  void StartPrompt(int64_t n);
  void EndPrompt();
  // Rows [order, order + n) of the text, at first_row of a batch.
  Segment Rows(int64_t first_row, int64_t n, int64_t order);
  // The rows have been through a layer.
  Status AfterLayer(int layer, const Segment& rows);
  // The rows have been through all layers: their tokens are read.
  void Commit(std::span<const int32_t> tokens);
  // Takes back rows of order >= size() that did not come through all layers.
  void RollBack();
  // Rows that are no prompt's may come one at a time only: a method looks after each.
  bool one_by_one() const { return acts_at_decode() || spec_->needs.gates != nullptr; }

  // Entries of order [first, end) that no method evicts, on top of its budget.
  void Pin(std::vector<std::pair<int32_t, int32_t>> pins) { pins_ = std::move(pins); }
  const std::vector<std::pair<int32_t, int32_t>>& pins() const { return pins_; }
  // What n rows more may take from the pool: bytes of planes that stay, and those that methods need
  // for a moment to copy a head's entries, of one head at a time.
  struct Room {
    int64_t bytes = 0, for_a_moment = 0;
  };
  Room RoomFor(int64_t n) const;
  // The blocks that n rows take in one layer.
  void AddAppendBlocks(int layer, int64_t n, BlockCounts& blocks) const;

  // Forgets the tokens from number n on. An error, and nothing changed, where a method, or a
  // layer's window, has dropped what the remaining tokens would need, or a method's sums hold what
  // the forgotten ones gave. Entries that a codec has stored stay as they are stored; a group of
  // which some go is cut by its live bits.
  Status Truncate(int64_t n);
  // Tokens when a method or a codec last changed the cache: what a longer text has shaped is not
  // what a shorter one would have.
  int64_t compressed_at() const { return compressed_at_; }
  void Reset();

  // The cache's bytes leave the pool for ordinary memory, and come back as they were. Resume fails,
  // and changes nothing, where the pool has no room.
  void Suspend();
  Status Resume();
  bool suspended() const { return !suspended_.empty(); }
  int64_t suspended_bytes() const { return static_cast<int64_t>(suspended_.size()); }

  int64_t n_evicted() const;  // entries that are not held any more, of all heads
  KvReport Report() const;
  void Write(ByteWriter& file) const;
  Status Read(ByteReader& file);  // an error changes nothing

 private:
  friend class GroupReader;  // session_group.cc: a prompt that several sequences read

  bool acts_at_decode() const {
    return spec_->needs.at_decode || spec_->program->Stores(Moment::kDecode);
  }
  // memo: of sequences that hold the same entries of the layer.
  Status Compress(int layer, Moment moment, LayerMemo* memo = nullptr);
  void KeepPins(LayerPlan& plan) const;
  Status CheckWindows(int64_t n) const;

  std::shared_ptr<LoadedModel> model_;
  std::shared_ptr<const SequenceSpec> spec_;
  std::shared_ptr<PagePool> pool_;
  KvCache cache_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> turns_;  // orders at which a prompt began or ended, ascending, 0 left out
  std::vector<float> logits_;
  MethodState state_;          // what methods asked for
  int64_t n_prompt_ = 0;       // tokens at the last prompt's end
  int64_t compressed_at_ = 0;  // tokens when a method or a codec last changed the cache
  int64_t chosen_at_ = 0;      // when a method last chose among entries: no way back behind that
  bool first_prompt_ = true, in_prompt_ = false;
  std::vector<std::pair<int32_t, int32_t>> pins_;
  int64_t read_entries_ = 0;          // of the last decode step
  std::vector<std::byte> suspended_;  // the cache, while it is not in the pool
};

// Rows of one sequence within a batch, and what became of them.
struct Piece {
  Sequence* sequence = nullptr;
  Segment rows = {};
  Status status = {};
  // Memory for pages ran out. The status may be good: then the cache holds what it should, but less
  // tightly packed than it would.
  bool no_room = false;
};

// The rows of all pieces through layers [first, end). A piece that fails stays out of the layers
// that follow, and the others go on; the caller rolls it back. Where pages run out, `spare` is
// asked to free some first; false: it has none.
void RunPieces(Forward& forward, int first_layer, int end_layer, MatView<float> x,
               std::span<Piece> pieces, const std::function<bool()>& spare = {});

}  // namespace kvasir
