// Template: a Jinja template as chat templates need it, parsed once and rendered any number of
// times, also concurrently. The environment is transformers': trim_blocks, lstrip_blocks, loop
// controls, generation blocks, no autoescape, the immutable sandbox, tojson =
// json.dumps(ensure_ascii=False).
//
//   KV_ASSIGN_OR_RETURN(auto t, jinja::Template::Parse("Hello {{ name }}!"));
//   auto text = t.Render({{"name", "you"}});
//   if (!text) return Fail("{}", text.error().message);
#pragma once

#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jinja/ast.h"
#include "jinja/limits.h"

namespace kvasir::jinja {

// `raised`: the template called raise_exception, and message is its text and nothing else.
// Otherwise message begins with "line N: ".
struct RenderError : Error {
  bool raised = false;
  int line = 0;
};

struct [[nodiscard]] RenderResult : tl::expected<std::string, RenderError> {
  using tl::expected<std::string, RenderError>::expected;
};

struct RenderOptions {
  Limits limits;
  std::optional<std::tm> now;  // what strftime_now() shows; the local time if absent
};

class Template {
 public:
  // Errors begin with "line N: ".
  static Result<Template> Parse(std::string_view source);

  // `variables` is an object.
  RenderResult Render(const nlohmann::ordered_json& variables,
                      const RenderOptions& options = {}) const;

 private:
  explicit Template(Block block) : block_(std::move(block)) {}
  Block block_;
};

}  // namespace kvasir::jinja
