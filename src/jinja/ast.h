// The syntax tree: statements here, expressions in ast_expressions.h. Nodes are immutable after
// parsing and shared by concurrent renders; each knows how to evaluate or execute itself (eval.cc,
// exec.cc). Names are views into nodes, which outlive renders.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/ast_expressions.h"

namespace kvasir::jinja {

// What can be assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  enum class Kind : uint8_t { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  std::string name;
  std::string attribute;
  std::vector<Target> items;
};

enum class Flow : uint8_t { kNext, kBreak, kContinue };

struct Stmt {
  explicit Stmt(int at_line) : line(at_line) {}
  virtual ~Stmt() = default;
  virtual Result<Flow> Exec(Interpreter& in) const = 0;  // called by Interpreter::Exec only
  const int line;
};
using Block = std::vector<std::unique_ptr<Stmt>>;

struct DataStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  std::string text;
};

struct OutputStmt final : Stmt {  // {{ value }}
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  ExprPtr value;
};

struct IfStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  std::vector<std::pair<ExprPtr, Block>> branches;
  Block otherwise;
};

struct ForStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  Target target;
  ExprPtr iterable, filter;  // filter may be null
  bool recursive = false;
  Block body, otherwise;
};

struct JumpStmt final : Stmt {  // break, continue
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter&) const override { return flow; }
  Flow flow = Flow::kBreak;
};

struct SetStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  Target target;
  ExprPtr value;
};

struct SetBlockStmt final : Stmt {  // {% set x | filter %}...{% endset %}
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  Target target;
  std::vector<std::unique_ptr<FilterExpr>> filters;
  Block body;
};

struct WithStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  std::vector<std::pair<Target, ExprPtr>> variables;
  Block body;
};

struct FilterBlockStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  std::vector<std::unique_ptr<FilterExpr>> filters;
  Block body;
};

// The callable part of a macro, of a call block and of a generation block.
struct MacroBody {
  std::string name;  // empty: anonymous
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  Block body;
};

struct MacroStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  MacroBody macro;
};

struct CallBlockStmt final : Stmt {
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  MacroBody caller;
  std::unique_ptr<CallExpr> call;
};

struct ScopeStmt final : Stmt {  // generation blocks: a scope of its own, otherwise plain text
  using Stmt::Stmt;
  Result<Flow> Exec(Interpreter& in) const override;
  Block body;
};

}  // namespace kvasir::jinja
