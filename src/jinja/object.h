// Object: a value with identity (namespace, macro, loop, generator, function...).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace kvasir::jinja {

class Interpreter;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What a Heap owns until the end of the render.
class Kept {
 public:
  virtual ~Kept() = default;
};

class Object : public Kept {
 public:
  virtual std::string_view type_name() const = 0;
  virtual bool callable() const { return false; }
  virtual Result<Value> Call(Interpreter& in, Arguments args);
  // Attribute of that name; nullopt where there is none.
  virtual Result<std::optional<Value>> Attribute(Interpreter& in, std::string_view name);
  // As Python prints it; an error where that would be a memory address.
  virtual Status Print(Heap& heap, std::string& out) const;
};

// An iterator that can be walked once, such as what map() and selectattr() give.
class Generator final : public Object {
 public:
  explicit Generator(ListRef items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "generator"; }
  const List& items() const { return *items_; }
  size_t position() const { return position_; }
  bool Done() const { return position_ >= items_->items.size(); }
  const Value& Next() { return items_->items[position_++]; }

 private:
  ListRef items_;
  size_t position_ = 0;
};

class Namespace final : public Object {
 public:
  explicit Namespace(Dict fields) : fields_(std::move(fields)) {}
  std::string_view type_name() const override { return "Namespace"; }
  Result<std::optional<Value>> Attribute(Interpreter& in, std::string_view name) override;
  Status Print(Heap& heap, std::string& out) const override;
  void Set(Value name, Value value) { fields_.Set(name, std::move(value)); }

 private:
  Dict fields_;
  mutable bool printing_ = false;
};

}  // namespace kvasir::jinja
