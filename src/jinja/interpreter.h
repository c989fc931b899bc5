// Interpreter: the state of one render. Nodes evaluate themselves with it; builtins use it to reach
// attributes, filters, tests and callables. Everything it does is counted against the heap's
// limits.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/builtin.h"
#include "jinja/heap.h"
#include "jinja/object.h"

namespace kvasir::jinja {

// Variables of a block. Kept alive to the end of the render if a macro was defined inside.
class Scope final : public Kept {
 public:
  explicit Scope(Scope* parent) : parent_(parent) {}
  Scope* parent() const { return parent_; }
  const Value* Find(std::string_view name) const;  // here or further out
  void Set(std::string_view name, Value value);    // REQUIRES: the name outlives the render
  bool captured() const { return captured_; }
  void Capture();  // this and all further out

 private:
  Scope* parent_;
  bool captured_ = false;
  std::vector<std::pair<std::string_view, Value>> variables_;
};

class Interpreter {
 public:
  Interpreter(Heap& heap, const Dict& context, const std::tm& now)
      : heap_(heap), context_(context), now_(now) {}

  // Renders the template; the text is in TakeOutput().
  Status Run(const Block& block);
  std::string TakeOutput() { return std::move(root_output_); }
  int line() const { return line_; }
  bool raised() const { return raised_; }

  Heap& heap() { return heap_; }
  const std::tm& now() const { return now_; }

  // For nodes.
  Result<Value> Eval(const Expr& expr);
  Result<Flow> Exec(const Block& block);
  Result<Value> Lookup(const std::string& name);
  Scope& scope() { return *scope_; }
  Status Write(std::string_view text);
  Status Write(const Value& value);
  Status Assign(const Target& target, const Value& value);
  Result<Arguments> EvalArguments(const ArgumentExprs& exprs);
  // Runs `body` in a scope of its own below `parent`; `prepare(Scope&)` may fill it first.
  template <class Prepare>
  Result<Flow> InScope(Scope* parent, const Block& body, Prepare prepare);
  // What `write()` writes, as a value.
  template <class Body>
  Result<Value> Capture(Body write);
  // As InScope, with what the body writes as a value. `flow`, if asked for, is how it ended.
  template <class Prepare>
  Result<Value> Captured(Scope* parent, const Block& body, Prepare prepare, Flow* flow);

  // For nodes and builtins.
  Result<Value> GetAttribute(const Value& object, std::string_view name);  // object.name
  Result<Value> GetItem(const Value& object, const Value& index);          // object[index]
  Result<Value> CallValue(const Value& callee, Arguments arguments);
  Result<Value> CallMethod(const Value& object, std::string_view name, Arguments arguments);
  Result<Value> CallFilter(std::string_view name, Arguments arguments);
  Result<bool> CallTest(std::string_view name, Arguments arguments);
  tl::unexpected<Error> Raise(std::string message);  // raise_exception

 private:
  class Depth;
  Status Enter();
  // A method or attribute that a value has by its type; nullopt where there is none.
  Result<std::optional<Value>> TypeAttribute(const Value& object, std::string_view name);
  Value Missing(const Value& object, std::string_view name);

  Heap& heap_;
  const Dict& context_;
  const std::tm now_;
  Scope* scope_ = nullptr;
  std::string root_output_;
  std::string* output_ = &root_output_;
  int depth_ = 0;
  int line_ = 1;
  bool raised_ = false;
};

template <class Prepare>
Result<Flow> Interpreter::InScope(Scope* parent, const Block& body, Prepare prepare) {
  auto scope = std::make_unique<Scope>(parent);
  Scope* const outer = std::exchange(scope_, scope.get());
  const Status prepared = prepare(*scope);
  Result<Flow> flow = prepared ? Exec(body) : Result<Flow>(tl::unexpected<Error>(prepared.error()));
  scope_ = outer;
  if (flow && scope->captured()) {
    auto kept = heap_.Keep(std::move(scope));
    if (!kept) return tl::unexpected<Error>(kept.error());
  }
  return flow;
}

template <class Body>
Result<Value> Interpreter::Capture(Body write) {
  std::string text;
  std::string* const outer = std::exchange(output_, &text);
  const Status written = write();
  output_ = outer;
  if (!written) return tl::unexpected<Error>(written.error());
  return heap_.MakeText(std::move(text));
}

template <class Prepare>
Result<Value> Interpreter::Captured(Scope* parent, const Block& body, Prepare prepare, Flow* flow) {
  return Capture([&]() -> Status {
    KV_ASSIGN_OR_RETURN(const Flow end, InScope(parent, body, std::move(prepare)));
    if (flow != nullptr) *flow = end;
    return {};
  });
}

}  // namespace kvasir::jinja
