#include <algorithm>

#include "grammar/grammar.h"

namespace kvasir::grammar {

ExprId GrammarBuilder::Add(Expr expr) {
  for (const ExprId part : expr.parts) expr.depth = std::max(expr.depth, exprs_[part].depth + 1);
  n_parts_ += 1 + expr.bytes.size() + expr.parts.size() + expr.chars.ranges().size();
  if (expr.depth > kMaxExprDepth || n_parts_ > kMaxNodes) {
    if (problem_.empty()) {
      problem_ = expr.depth > kMaxExprDepth
                     ? fmt::format("groups nested deeper than {}", kMaxExprDepth)
                     : fmt::format("larger than {} elements", kMaxNodes);
    }
    expr = {.kind = Kind::kBytes};  // nothing of it will be built
  }
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId GrammarBuilder::Bytes(std::string_view bytes) {
  return Add({.kind = Kind::kBytes, .bytes = std::string(bytes)});
}

ExprId GrammarBuilder::Chars(CharSet set) {
  return Add({.kind = Kind::kChars, .chars = std::move(set)});
}

ExprId GrammarBuilder::Sequence(std::vector<ExprId> parts) {
  return Add({.kind = Kind::kSequence, .parts = std::move(parts)});
}

ExprId GrammarBuilder::Choice(std::vector<ExprId> parts) {
  return Add({.kind = Kind::kChoice, .parts = std::move(parts)});
}

ExprId GrammarBuilder::Repeat(ExprId body, int32_t min, int32_t max) {
  if (max < min) return Choice({});
  return Add({.kind = Kind::kRepeat, .parts = {body}, .min = min, .max = max});
}

ExprId GrammarBuilder::Call(RuleId rule) { return Add({.kind = Kind::kCall, .rule = rule}); }

RuleId GrammarBuilder::Declare(std::string name) {
  names_.push_back(std::move(name));
  bodies_.push_back(-1);
  return static_cast<RuleId>(names_.size() - 1);
}

void GrammarBuilder::Define(RuleId rule, ExprId body) {
  KV_CHECK(!defined(rule));
  bodies_[rule] = body;
}

ExprId GrammarBuilder::Named(std::string name, ExprId body) {
  const RuleId rule = Declare(std::move(name));
  Define(rule, body);
  return Call(rule);
}

int32_t GrammarBuilder::AddNode(Node node) {
  if (nodes_.size() >= kMaxNodes) {
    if (problem_.empty()) problem_ = fmt::format("larger than {} nodes", kMaxNodes);
    return 0;
  }
  nodes_.push_back(node);
  return static_cast<int32_t>(nodes_.size() - 1);
}

// The node where the expression starts, when `next` is what follows it.
int32_t GrammarBuilder::Emit(ExprId id, int32_t next) {
  if (!problem_.empty()) return next;
  const Expr& expr = exprs_[id];
  switch (expr.kind) {
    case Kind::kBytes:
      for (size_t i = expr.bytes.size(); i-- > 0;) {
        const auto byte = static_cast<uint8_t>(expr.bytes[i]);
        next = AddNode({.kind = NodeKind::kByte, .first = byte, .last = byte, .next = next});
      }
      return next;
    case Kind::kChars:
      return EmitChars(expr.chars, next);
    case Kind::kSequence:
      for (size_t i = expr.parts.size(); i-- > 0;) next = Emit(expr.parts[i], next);
      return next;
    case Kind::kChoice: {
      if (expr.parts.empty()) return AddNode({.kind = NodeKind::kFail});
      int32_t start = Emit(expr.parts.back(), next);
      for (size_t i = expr.parts.size() - 1; i-- > 0;) {
        const int32_t branch = Emit(expr.parts[i], next);
        start = AddNode({.kind = NodeKind::kSplit, .next = branch, .other = start});
      }
      return start;
    }
    case Kind::kRepeat:
      return EmitRepeat(expr, next);
    case Kind::kCall:
      return AddNode({.kind = NodeKind::kCall, .next = next, .rule = expr.rule});
  }
  return next;
}

int32_t GrammarBuilder::EmitChars(const CharSet& set, int32_t next) {
  int32_t start = -1;
  for (const ByteSequence& sequence : Utf8Sequences(set)) {
    int32_t node = next;
    for (int i = sequence.length; i-- > 0;) {
      const auto [first, last] = sequence.bytes[i];
      node = AddNode({.kind = NodeKind::kByte, .first = first, .last = last, .next = node});
    }
    start = start < 0 ? node : AddNode({.kind = NodeKind::kSplit, .next = start, .other = node});
  }
  return start < 0 ? AddNode({.kind = NodeKind::kFail}) : start;
}

// ?, * and + are edges of the automaton; other counts are kept by the matcher, so that a grammar's
// size does not depend on them.
int32_t GrammarBuilder::EmitRepeat(const Expr& expr, int32_t next) {
  const ExprId body = expr.parts[0];
  const int32_t min = expr.min, max = expr.max;
  if (max == 0) return next;
  if (max == 1) {
    const int32_t start = Emit(body, next);
    return min == 1 ? start : AddNode({.kind = NodeKind::kSplit, .next = start, .other = next});
  }
  if (min <= 1 && max == kUnbounded) {
    const int32_t loop = AddNode({.kind = NodeKind::kSplit, .next = next, .other = next});
    const int32_t start = Emit(body, loop);
    if (problem_.empty()) nodes_[loop].next = start;
    return min == 0 ? loop : start;
  }
  const RuleId rule = static_cast<RuleId>(rules_.size());
  rules_.push_back({.name = "a repetition"});
  const int32_t end = AddNode({.kind = NodeKind::kEnd});
  const int32_t start = Emit(body, end);
  rules_[rule].start = start;
  return AddNode({.kind = NodeKind::kRepeat, .next = next, .rule = rule, .min = min, .max = max});
}

Result<std::shared_ptr<const Grammar>> GrammarBuilder::Build(RuleId root) {
  nodes_.clear();
  rules_.clear();
  for (const std::string& rule_name : names_) rules_.push_back({.name = rule_name});
  for (size_t rule = 0; rule < names_.size() && problem_.empty(); ++rule) {
    if (bodies_[rule] < 0) return Fail("the rule '{}' is used but not defined", names_[rule]);
    const int32_t end = AddNode({.kind = NodeKind::kEnd});
    const int32_t start = Emit(bodies_[rule], end);
    rules_[rule].start = start;
  }
  if (!problem_.empty()) return Fail("the grammar is too large: {}", problem_);
  auto grammar = std::make_shared<Grammar>();
  grammar->nodes_ = std::move(nodes_);
  grammar->rules_ = std::move(rules_);
  grammar->root_ = root;
  KV_RETURN_IF_ERROR(grammar->Finish());
  return std::shared_ptr<const Grammar>(std::move(grammar));
}

}  // namespace kvasir::grammar
