#include "grammar/grammar.h"

#include <algorithm>
#include <functional>

namespace kvasir::grammar {
namespace {

// The least set of nodes for which `holds(node, known)` is true, known being the set itself: linear
// in the grammar, since a node is looked at again only when something it refers to joined.
class Fixpoint {
 public:
  Fixpoint(const std::vector<Node>& nodes, const std::vector<Rule>& rules)
      : nodes_(nodes), rules_(rules), known_(nodes.size()), users_(nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Node& node = nodes[i];
      const auto user = static_cast<int32_t>(i);
      if (node.next >= 0) users_[node.next].push_back(user);
      if (node.other >= 0) users_[node.other].push_back(user);
      if (node.rule >= 0) users_[rules[node.rule].start].push_back(user);
    }
  }

  template <class Holds>
  std::vector<bool> Run(const Holds& holds) {
    std::vector<int32_t> work(nodes_.size());
    for (size_t i = 0; i < work.size(); ++i) work[i] = static_cast<int32_t>(i);
    while (!work.empty()) {
      const int32_t i = work.back();
      work.pop_back();
      if (known_[i] || !holds(nodes_[i], *this)) continue;
      known_[i] = true;
      work.insert(work.end(), users_[i].begin(), users_[i].end());
    }
    return std::move(known_);
  }

  bool HasNode(int32_t node) const { return known_[node]; }
  bool HasRule(RuleId rule) const { return known_[rules_[rule].start]; }

 private:
  const std::vector<Node>& nodes_;
  const std::vector<Rule>& rules_;
  std::vector<bool> known_;
  std::vector<std::vector<int32_t>> users_;
};

// Can the end of the rule be reached from this node at all?
bool CanEnd(const Node& node, const Fixpoint& known) {
  switch (node.kind) {
    case NodeKind::kEnd:
      return true;
    case NodeKind::kFail:
      return false;
    case NodeKind::kByte:
      return known.HasNode(node.next);
    case NodeKind::kSplit:
      return known.HasNode(node.next) || known.HasNode(node.other);
    case NodeKind::kCall:
      return known.HasRule(node.rule) && known.HasNode(node.next);
    case NodeKind::kRepeat:
      return (node.min == 0 || known.HasRule(node.rule)) && known.HasNode(node.next);
  }
  return false;
}

// The same without reading a byte.
bool CanEndAtOnce(const Node& node, const Fixpoint& known) {
  return node.kind != NodeKind::kByte && CanEnd(node, known);
}

}  // namespace

Status Grammar::Finish() {
  KV_RETURN_IF_ERROR(DropDeadEnds());
  MarkNullable();
  MarkByteClasses();
  return RankRules();
}

// After this, whatever was matched can be completed.
Status Grammar::DropDeadEnds() {
  const std::vector<bool> alive = Fixpoint(nodes_, rules_).Run(CanEnd);
  if (!alive[rules_[root_].start]) {
    return Fail(
        "no text can ever satisfy the rule '{}': each alternative needs something that "
        "has no end or contradicts itself",
        rules_[root_].name);
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (!alive[i]) {
      node = {.kind = NodeKind::kFail};
    } else if (node.kind == NodeKind::kRepeat && !alive[rules_[node.rule].start]) {
      node = {.kind = NodeKind::kSplit, .next = node.next, .other = node.next};
    }
  }
  return {};
}

void Grammar::MarkNullable() {
  const std::vector<bool> empty = Fixpoint(nodes_, rules_).Run(CanEndAtOnce);
  for (Rule& rule : rules_) rule.nullable = empty[rule.start];
  // What may be empty may be left out: fewer than min times is then no less.
  for (Node& node : nodes_) {
    if (node.kind == NodeKind::kRepeat && rules_[node.rule].nullable) node.min = 0;
  }
}

void Grammar::MarkByteClasses() {
  std::array<bool, 257> starts = {};
  for (const Node& node : nodes_) {
    if (node.kind != NodeKind::kByte) continue;
    starts[node.first] = true;
    starts[node.last + 1] = true;
  }
  int byte_class = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte > 0 && starts[byte]) ++byte_class;
    byte_class_[byte] = static_cast<uint8_t>(byte_class);
  }
  n_byte_classes_ = byte_class + 1;
}

// Orders the rules by who calls whom before a byte was read. A circle is left recursion.
Status Grammar::RankRules() {
  // calls[r]: the rules that r may call first.
  std::vector<std::vector<RuleId>> calls(rules_.size());
  std::vector<bool> seen(nodes_.size());
  for (size_t r = 0; r < rules_.size(); ++r) {
    std::vector<int32_t> work = {rules_[r].start};
    while (!work.empty()) {
      const int32_t i = work.back();
      work.pop_back();
      if (seen[i]) continue;  // a node belongs to one rule
      seen[i] = true;
      const Node& node = nodes_[i];
      if (node.kind == NodeKind::kSplit) {
        work.push_back(node.next);
        work.push_back(node.other);
      } else if (node.kind == NodeKind::kCall || node.kind == NodeKind::kRepeat) {
        calls[r].push_back(node.rule);
        const bool skippable = node.kind == NodeKind::kRepeat && node.min == 0;
        if (skippable || rules_[node.rule].nullable) work.push_back(node.next);
      }
    }
  }
  // Depth first; a rule gets its rank when all that it calls have theirs.
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> mark(rules_.size(), kNew);
  struct Visit {
    RuleId rule;
    size_t at = 0;
  };
  auto rank = static_cast<int32_t>(rules_.size());
  for (size_t r = 0; r < rules_.size(); ++r) {
    if (mark[r] != kNew) continue;
    std::vector<Visit> stack = {{static_cast<RuleId>(r)}};
    mark[r] = kOpen;
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.at == calls[top.rule].size()) {
        mark[top.rule] = kDone;
        rules_[top.rule].rank = --rank;
        stack.pop_back();
        continue;
      }
      const RuleId callee = calls[top.rule][top.at++];
      if (mark[callee] == kOpen) {
        return Fail(
            "left recursion: '{}' can begin with itself; write the repetition after what "
            "is repeated, as in  list ::= item (\",\" item)*",
            rules_[callee].name);
      }
      if (mark[callee] == kNew) {
        mark[callee] = kOpen;
        stack.push_back({callee});
      }
    }
  }
  return {};
}

}  // namespace kvasir::grammar
