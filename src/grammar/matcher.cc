#include "grammar/matcher.h"

#include <algorithm>

namespace kvasir::grammar {
namespace {

constexpr int32_t kRootFrame = -1;  // as a frame's node: the whole text ends
constexpr int32_t kEndsHere = -1;   // as an item's node: the text may end

}  // namespace

Matcher::Matcher(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)),
      n_classes_(grammar_->n_byte_classes()),
      callers_(grammar_->rules().size()) {
  std::vector<Frame> outside = {{kRootFrame, 0, -1}};
  const int32_t context = InternContext(outside);
  ends_ = grammar_->rules()[grammar_->root()].nullable;
  Call(grammar_->root(), contexts_[context][0]);
  state_ = Gather();
  if (state_ != kDead) return;
  state_ = states_.Intern({});  // a state without a way out; `problem` says why
  complete_ = {false};
  steps_.assign(n_classes_, kUnknown);
}

bool Matcher::Accept(std::string_view bytes) {
  RefillWork();
  State state = state_;
  for (const char byte : bytes) {
    state = Next(state, static_cast<uint8_t>(byte));
    if (state == kDead) return false;
  }
  state_ = state;
  if (states_.size() > kManyStates || contexts_.n_values() > kManyFrames) Forget();
  return true;
}

bool Matcher::CanContinue(State state) const {
  const std::span<const Item> items = states_[state];
  return std::ranges::any_of(items, [](const Item& item) { return item.node != kEndsHere; });
}

bool Matcher::Spend(int64_t work) {
  work_left_ -= work;
  if (work_left_ >= 0) return true;
  if (problem_.empty()) {
    problem_ = "the grammar is too ambiguous: too many ways to read the text so far";
  }
  return false;
}

Matcher::State Matcher::Step(State state, uint8_t byte) {
  std::vector<Item> kernel;
  for (const Item& item : states_[state]) {
    if (item.node == kEndsHere) continue;
    const Node& node = grammar_->nodes()[item.node];
    if (node.first <= byte && byte <= node.last) kernel.push_back({node.next, item.context});
  }
  const State next = kernel.empty() ? kDead : Close(kernel);
  // A step that was given up is not remembered: it is no fact about the grammar.
  if (problem_.empty()) {
    steps_[static_cast<size_t>(state) * n_classes_ + grammar_->byte_class(byte)] = next;
  }
  return next;
}

Matcher::State Matcher::Close(std::span<const Item> kernel) {
  ends_ = false;
  for (const Item& item : kernel) work_.push_back({item.node, 0, item.context});
  while (!work_.empty()) {
    const Frame at = work_.back();
    work_.pop_back();
    if (!Spend(1)) continue;
    if (seen_.insert(at).second) Follow(at, /*fresh=*/false);
  }
  seen_.clear();
  return Gather();
}

// One place, without reading a byte. In a fresh place the rule has not read anything yet: its end
// says nothing, because whoever called it has gone on already if it may be empty.
void Matcher::Follow(const Frame& at, bool fresh) {
  const Node& node = grammar_->nodes()[at.node];
  switch (node.kind) {
    case NodeKind::kByte:
      leaves_.push_back({at.node, at.context});
      break;
    case NodeKind::kSplit:
      work_.push_back({node.other, 0, at.context});
      work_.push_back({node.next, 0, at.context});
      break;
    case NodeKind::kCall:
      Call(node.rule, {node.next, 0, at.context});
      if (grammar_->rules()[node.rule].nullable) work_.push_back({node.next, 0, at.context});
      break;
    case NodeKind::kRepeat:
      if (at.count < node.max) {
        // Beyond `min` only a limit makes counting worth while.
        const int32_t count =
            node.max == kUnbounded ? std::min(at.count + 1, node.min) : at.count + 1;
        Call(node.rule, {at.node, count, at.context});
      }
      if (at.count >= node.min) work_.push_back({node.next, 0, at.context});
      break;
    case NodeKind::kEnd:
      if (!fresh) ReturnFrom(at.context);
      break;
    case NodeKind::kFail:
      break;
  }
}

void Matcher::ReturnFrom(int32_t context) {
  for (const Frame& frame : contexts_[context]) {
    if (!Spend(1)) return;
    if (frame.node == kRootFrame) {
      ends_ = true;
    } else {
      work_.push_back(frame);
    }
  }
}

void Matcher::Call(RuleId rule, Frame back) {
  if (back.context >= 0 && context_depth_[back.context] >= kMaxContextDepth) return;
  std::vector<Frame>& callers = callers_[rule];
  if (callers.empty()) {
    called_.push_back(rule);
    std::ranges::push_heap(called_, [this](RuleId a, RuleId b) {
      return grammar_->rules()[a].rank > grammar_->rules()[b].rank;
    });
  }
  if (back.node != kRootFrame && grammar_->nodes()[back.node].kind == NodeKind::kEnd) {
    // Nothing is left of the caller: return to where it would return, so that repetition by
    // recursion at the end needs no stack.
    const std::span<const Frame> outer = contexts_[back.context];
    if (Spend(static_cast<int64_t>(outer.size()))) {
      callers.insert(callers.end(), outer.begin(), outer.end());
    }
  } else {
    callers.push_back(back);
  }
}

// Opens the rules that were called, callers before the called, and makes the state.
Matcher::State Matcher::Gather() {
  while (!called_.empty()) {
    std::ranges::pop_heap(called_, [this](RuleId a, RuleId b) {
      return grammar_->rules()[a].rank > grammar_->rules()[b].rank;
    });
    const RuleId rule = called_.back();
    called_.pop_back();
    std::vector<Frame> frames = std::move(callers_[rule]);
    callers_[rule].clear();
    if (frames.empty() || !Spend(static_cast<int64_t>(frames.size()))) continue;
    work_.push_back({grammar_->rules()[rule].start, 0, InternContext(frames)});
    while (!work_.empty()) {
      const Frame at = work_.back();
      work_.pop_back();
      if (Spend(1) && seen_.insert(at).second) Follow(at, /*fresh=*/true);
    }
    seen_.clear();
  }
  // One item a node: contexts of the same node become one.
  std::ranges::sort(leaves_);
  std::vector<Item> items;
  if (ends_) items.push_back({kEndsHere, -1});
  for (size_t i = 0; i < leaves_.size();) {
    size_t end = i + 1;
    while (end < leaves_.size() && leaves_[end].node == leaves_[i].node) ++end;
    int32_t context = leaves_[i].context;
    if (end - i > 1) {
      std::vector<Frame> frames;
      for (size_t j = i; j < end; ++j) {
        const std::span<const Frame> more = contexts_[leaves_[j].context];
        if (Spend(static_cast<int64_t>(more.size())))
          frames.insert(frames.end(), more.begin(), more.end());
      }
      context = InternContext(frames);
    }
    items.push_back({leaves_[i].node, context});
    i = end;
  }
  leaves_.clear();
  if (problem_.empty() && states_.size() >= kMaxStates) {
    problem_ = "the grammar is too complex: too many states can follow the text so far";
  }
  if (items.empty() || !problem_.empty()) return kDead;
  const State state = states_.Intern(items);
  if (static_cast<size_t>(state) == complete_.size()) {
    complete_.push_back(ends_);
    steps_.resize(steps_.size() + n_classes_, kUnknown);
  }
  return state;
}

int32_t Matcher::InternContext(std::vector<Frame>& frames) {
  std::ranges::sort(frames);
  frames.erase(std::unique(frames.begin(), frames.end()), frames.end());
  const int32_t id = contexts_.Intern(frames);
  if (static_cast<size_t>(id) == context_depth_.size()) {
    int32_t depth = 0;
    for (const Frame& frame : frames) {
      if (frame.context >= 0) depth = std::max(depth, context_depth_[frame.context] + 1);
    }
    context_depth_.push_back(depth);
  }
  return id;
}

// Starts new tables with the current state alone.
void Matcher::Forget() {
  const InternTable<Frame> old_contexts = std::exchange(contexts_, {});
  const InternTable<Item> old_states = std::exchange(states_, {});
  context_depth_.clear();
  std::vector<bool> used(old_contexts.size());
  for (const Item& item : old_states[state_]) {
    if (item.context >= 0) used[item.context] = true;
  }
  // A context is always newer than those that it refers to.
  for (int32_t id = old_contexts.size(); id-- > 0;) {
    if (!used[id]) continue;
    for (const Frame& frame : old_contexts[id]) {
      if (frame.context >= 0) used[frame.context] = true;
    }
  }
  std::vector<int32_t> renamed(old_contexts.size(), -1);
  for (int32_t id = 0; id < old_contexts.size(); ++id) {
    if (!used[id]) continue;
    std::vector<Frame> frames(old_contexts[id].begin(), old_contexts[id].end());
    for (Frame& frame : frames) {
      if (frame.context >= 0) frame.context = renamed[frame.context];
    }
    renamed[id] = InternContext(frames);
  }
  std::vector<Item> items(old_states[state_].begin(), old_states[state_].end());
  for (Item& item : items) {
    if (item.context >= 0) item.context = renamed[item.context];
  }
  const bool ends = complete_[state_];
  state_ = states_.Intern(items);
  complete_ = {ends};
  steps_.assign(n_classes_, kUnknown);
  ++generation_;
}

}  // namespace kvasir::grammar
