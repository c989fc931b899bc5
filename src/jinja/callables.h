// What can be called: macros, loops, bound methods, global functions, joiners and cyclers.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/builtin.h"
#include "jinja/interpreter.h"
#include "jinja/object.h"

namespace kvasir::jinja {

class Function final : public Object {
 public:
  explicit Function(const Builtin& builtin) : builtin_(builtin) {}
  std::string_view type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Result<Value> Call(Interpreter& in, Arguments args) override;

 private:
  const Builtin& builtin_;
};

class BoundMethod final : public Object {
 public:
  BoundMethod(const Value& self, const Builtin& builtin) : self_(self), builtin_(builtin) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Result<Value> Call(Interpreter& in, Arguments args) override;

 private:
  const Value self_;
  const Builtin& builtin_;
};

class Macro final : public Object {
 public:
  Macro(const MacroBody& body, Scope* scope) : body_(body), scope_(scope) { scope_->Capture(); }
  std::string_view type_name() const override { return "Macro"; }
  bool callable() const override { return true; }
  Result<Value> Call(Interpreter& in, Arguments args) override;
  Result<std::optional<Value>> Attribute(Interpreter& in, std::string_view name) override;
  Status Print(Heap& heap, std::string& out) const override;

 private:
  struct Bound;
  Result<Bound> Bind(Heap& heap, Arguments args) const;
  Status Fill(Interpreter& in, Scope& scope, Bound& bound) const;

  const MacroBody& body_;
  Scope* const scope_;  // of the definition
};

// The `loop` variable.
class Loop final : public Object {
 public:
  Loop(const ForStmt& loop, ListRef source, Scope* scope, int depth0);
  std::string_view type_name() const override { return "LoopContext"; }
  bool callable() const override { return loop_.recursive; }
  Result<Value> Call(Interpreter& in, Arguments args) override;
  Result<std::optional<Value>> Attribute(Interpreter& in, std::string_view name) override;
  Status Print(Heap& heap, std::string& out) const override;

  // Runs all iterations, and the else block if none was completed.
  Result<Flow> Run(Interpreter& in);
  Value Cycle(const std::vector<Value>& values) const;
  Result<bool> Changed(Heap& heap, std::vector<Value> values);

 private:
  // Makes item i known, passing the filter over the source as far as needed; false: there is none.
  Result<bool> Reach(Interpreter& in, size_t i);
  Result<std::optional<Value>> Computed(Interpreter& in, std::string_view name);
  Result<int64_t> Length(Interpreter& in);

  const ForStmt& loop_;
  const ListRef source_;
  Scope* const scope_;  // around the loop
  const int depth0_;
  // The filter runs as late as Jinja's, since the body may change what it depends on.
  std::vector<Value> items_;  // of the source, those that passed so far
  size_t source_at_ = 0;
  size_t index0_ = 0;
  std::optional<Value> last_changed_;
};

class Joiner final : public Object {
 public:
  explicit Joiner(const Value& separator) : separator_(separator) {}
  std::string_view type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Result<Value> Call(Interpreter& in, Arguments args) override;

 private:
  const Value separator_;
  bool used_ = false;
};

class Cycler final : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  Result<std::optional<Value>> Attribute(Interpreter& in, std::string_view name) override;
  Value Next();
  void Reset() { at_ = 0; }

 private:
  const std::vector<Value> items_;
  size_t at_ = 0;
};

// Methods that would change a list or dict: Jinja's immutable sandbox takes them for undefined.
bool IsMutation(const Value& object, std::string_view name);
Value ForbiddenMutation(Heap& heap, const Value& object, std::string_view name);

}  // namespace kvasir::jinja
