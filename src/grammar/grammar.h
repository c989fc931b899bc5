// Grammar: a context-free grammar over bytes, compiled to small automata (one a rule) that call
// each other. Immutable; any number of matchers and threads may share one. GrammarBuilder makes it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/char_set.h"

namespace kvasir::grammar {

// Bounds on what one grammar may be; each is an error that names itself.
inline constexpr size_t kMaxSourceBytes = 1 << 20;
inline constexpr int kMaxNodes = 1 << 18;  // of the automata
inline constexpr int kMaxExprDepth = 400;  // nested groups and repetitions of one rule

inline constexpr int32_t kUnbounded = INT32_MAX;  // as the most of a repetition

using RuleId = int32_t;
using ExprId = int32_t;

enum class NodeKind : uint8_t {
  kByte,    // a byte in [first, last], then next
  kSplit,   // next or other
  kCall,    // a rule, then next
  kRepeat,  // a rule min to max times, then next
  kEnd,     // of the rule
  kFail,    // nothing can follow
};

struct Node {
  NodeKind kind;
  uint8_t first = 0, last = 0;
  int32_t next = -1;
  int32_t other = -1;  // kSplit
  RuleId rule = -1;
  int32_t min = 0, max = 0;
};

struct Rule {
  std::string name;
  int32_t start = -1;
  bool nullable = false;  // matches the empty text
  // A rule that another one may call before a byte was read has a higher rank than that one.
  int32_t rank = 0;
};

class Grammar {
 public:
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Rule>& rules() const { return rules_; }
  RuleId root() const { return root_; }
  // Bytes that no node tells apart have one class.
  int n_byte_classes() const { return n_byte_classes_; }
  uint8_t byte_class(uint8_t byte) const { return byte_class_[byte]; }

 private:
  friend class GrammarBuilder;
  Status Finish();
  void MarkByteClasses();
  Status DropDeadEnds();
  void MarkNullable();
  Status RankRules();

  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
  RuleId root_ = -1;
  int n_byte_classes_ = 0;
  std::array<uint8_t, 256> byte_class_ = {};
};

// Expressions by number, put together from small ones. Too much of anything makes Build fail; until
// then calls go on as if nothing had happened.
class GrammarBuilder {
 public:
  ExprId Bytes(std::string_view bytes);
  ExprId Chars(CharSet set);
  ExprId Sequence(std::vector<ExprId> parts);
  ExprId Choice(std::vector<ExprId> parts);  // of none: matches nothing at all
  // REQUIRES: 0 <= min. max < min matches nothing.
  ExprId Repeat(ExprId body, int32_t min, int32_t max);
  ExprId Optional(ExprId body) { return Repeat(body, 0, 1); }
  ExprId Call(RuleId rule);

  RuleId Declare(std::string name);
  // REQUIRES: declared, not yet defined.
  void Define(RuleId rule, ExprId body);
  bool defined(RuleId rule) const { return bodies_[rule] >= 0; }
  const std::string& name(RuleId rule) const { return names_[rule]; }
  // A rule of its own for the expression.
  ExprId Named(std::string name, ExprId body);

  // What was too much so far; empty: nothing.
  const std::string& problem() const { return problem_; }
  Result<std::shared_ptr<const Grammar>> Build(RuleId root);

 private:
  enum class Kind : uint8_t { kBytes, kChars, kSequence, kChoice, kRepeat, kCall };
  struct Expr {
    Kind kind;
    int depth = 1;
    std::string bytes = {};
    CharSet chars = {};
    std::vector<ExprId> parts = {};
    int32_t min = 0, max = 0;
    RuleId rule = -1;
  };
  ExprId Add(Expr expr);
  int32_t AddNode(Node node);
  int32_t Emit(ExprId id, int32_t next);
  int32_t EmitChars(const CharSet& set, int32_t next);
  int32_t EmitRepeat(const Expr& expr, int32_t next);

  std::vector<Expr> exprs_;
  size_t n_parts_ = 0;  // bytes, ranges and parts of all expressions
  std::vector<std::string> names_;
  std::vector<ExprId> bodies_;  // of each rule; -1: not defined
  std::string problem_;
  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
};

}  // namespace kvasir::grammar
