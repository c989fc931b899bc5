// Matcher: where in a grammar a text is that comes byte by byte. A token may end inside a
// character.
//
// What a grammar allows next is a set of items (a byte node, a context). A context is the set of
// frames to return to when the rule at hand ends, each frame with a context of its own: a stack
// that is shared wherever two derivations agree, so that ambiguity costs a polynomial and not a
// power. Sets are kept once and numbered; a state is such a number, and the step from a state by a
// byte is worked out once. So the matcher becomes a deterministic automaton of what it has met so
// far.
//
// Not thread safe; a copy goes on independently.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/intern_table.h"

namespace kvasir::grammar {

class Matcher {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;

  explicit Matcher(std::shared_ptr<const Grammar> grammar);

  // Reads the bytes; false: they cannot follow, and nothing changed (see `problem` too).
  bool Accept(std::string_view bytes);

  State state() const { return state_; }
  bool complete() const { return IsComplete(state_); }  // the text may end here
  bool can_continue() const { return CanContinue(state_); }

  // States other than the current one are valid until the next Accept.
  State Next(State state, uint8_t byte) {
    const int32_t known =
        steps_[static_cast<size_t>(state) * n_classes_ + grammar_->byte_class(byte)];
    return known != kUnknown ? known : Step(state, byte);
  }
  bool IsComplete(State state) const { return complete_[state]; }
  bool CanContinue(State state) const;

  // Allows a new amount of work (see kMaxWork) for the steps until the next call.
  void RefillWork() { work_left_ = kMaxWork; }
  // Grows when states got other numbers.
  int64_t generation() const { return generation_; }
  int32_t n_states() const { return states_.size(); }
  // Why a step had to be refused that the grammar may allow; empty: none had to.
  const std::string& problem() const { return problem_; }

 private:
  // Items and frames looked at until RefillWork: some 50 ms. Grammars that people write use a few
  // thousand in a step.
  static constexpr int64_t kMaxWork = 2'000'000;
  static constexpr int32_t kMaxStates = 1 << 15;
  static constexpr int32_t kManyStates = 1 << 13;  // then Accept forgets the old ones
  static constexpr size_t kManyFrames = 1 << 20;
  static constexpr int32_t kMaxContextDepth = 2000;  // rules within rules
  static constexpr int32_t kUnknown = -2;

  // Where to go on when a rule ends. count: how often the body of a repetition was matched, when
  // node is one.
  struct Frame {
    int32_t node, count, context;
    auto operator<=>(const Frame&) const = default;
  };
  struct Item {
    int32_t node, context;
    auto operator<=>(const Item&) const = default;
  };
  struct FrameHash {
    size_t operator()(const Frame& frame) const { return XXH3_64bits(&frame, sizeof(frame)); }
  };

  State Step(State state, uint8_t byte);
  // The state of the items that can follow without reading a byte; kDead: none can.
  State Close(std::span<const Item> kernel);
  void Follow(const Frame& at, bool fresh);
  void Call(RuleId rule, Frame back);
  void ReturnFrom(int32_t context);
  State Gather();
  int32_t InternContext(std::vector<Frame>& frames);
  bool Spend(int64_t work);
  void Forget();

  std::shared_ptr<const Grammar> grammar_;
  size_t n_classes_;
  InternTable<Frame> contexts_;
  std::vector<int32_t> context_depth_;
  InternTable<Item> states_;
  std::vector<bool> complete_;
  std::vector<State> steps_;  // [states, byte classes]
  State state_ = kDead;
  int64_t generation_ = 0;
  int64_t work_left_ = kMaxWork;
  std::string problem_;

  // Of one Close. Frames in work_ are places: node, count, context of the rule they are in.
  std::vector<Frame> work_;
  std::unordered_set<Frame, FrameHash> seen_;
  std::vector<std::vector<Frame>> callers_;  // by rule
  std::vector<RuleId> called_;               // a heap, the lowest rank first
  std::vector<Item> leaves_;
  bool ends_ = false;
};

}  // namespace kvasir::grammar
