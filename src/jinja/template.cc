#include "jinja/template.h"

#include "jinja/interpreter.h"
#include "jinja/json.h"
#include "jinja/parser.h"

namespace kvasir::jinja {
namespace {

std::tm LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  return local;
}

RenderResult FailRender(std::string message, int line, bool raised) {
  RenderError error;
  error.message = raised ? std::move(message) : fmt::format("line {}: {}", line, message);
  error.line = line;
  error.raised = raised;
  return tl::unexpected<RenderError>(std::move(error));
}

}  // namespace

Result<Template> Template::Parse(std::string_view source) {
  KV_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  KV_ASSIGN_OR_RETURN(Block block, Parser(std::move(tokens)).Parse());
  return Template(std::move(block));
}

RenderResult Template::Render(const nlohmann::ordered_json& variables,
                              const RenderOptions& options) const {
  const Result<Value> context = FromJson(variables);
  if (!context) return FailRender(context.error().message, 1, false);
  if (!context->is_dict())
    return FailRender("the template's variables are not an object", 1, false);
  Heap heap(options.limits);
  Interpreter interpreter(heap, context->dict(), options.now ? *options.now : LocalTime());
  if (const Status status = interpreter.Run(block_); !status) {
    return FailRender(status.error().message, interpreter.line(), interpreter.raised());
  }
  return interpreter.TakeOutput();
}

}  // namespace kvasir::jinja
