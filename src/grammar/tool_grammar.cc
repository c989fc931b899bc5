#include "grammar/json_schema.h"
#include "grammar/tool_calls.h"

namespace kvasir::grammar {
namespace {

constexpr int kMaxCalls = 16;  // of one answer

// {"name": "f", "arguments": …}
Result<ExprId> CallOf(const Json& tool, const ToolGrammarOptions& options, JsonRules& rules) {
  GrammarBuilder& b = rules.builder();
  const Json& function = tool["function"];
  const Json& name = function["name"];
  Json schema = function.value("parameters", Json());
  if (schema.is_null()) schema = Json::object();
  if (schema.is_object() && !schema.contains("$ref")) schema.emplace("type", "object");
  const auto arguments = AddJsonSchema(schema, rules);
  if (!arguments) {
    return Fail("the parameters of the tool {}: {}", name.dump(), arguments.error().message);
  }
  const bool hermes = options.style == ToolCallStyle::kHermes;
  const char* key = hermes ? "\"arguments\": " : "\"parameters\": ";
  return b.Sequence({b.Bytes("{\"name\": "), rules.Literal(name), b.Bytes(", "), b.Bytes(key),
                     *arguments, b.Bytes("}")});
}

bool IsFunction(const Json& tool) {
  if (!tool.is_object() || !tool.contains("function")) return false;
  const Json& function = tool["function"];
  return function.is_object() && function.contains("name") && function["name"].is_string();
}

}  // namespace

Result<std::shared_ptr<const Grammar>> ToolCallGrammar(const Json& tools,
                                                       const ToolGrammarOptions& options) {
  if (!tools.is_array()) return Fail("tools must be a list");
  GrammarBuilder b;
  JsonRules rules(b);
  std::vector<ExprId> calls;
  for (const Json& tool : tools) {
    if (!IsFunction(tool)) {
      return Fail(
          "each tool must be {{\"type\": \"function\", \"function\": {{\"name\": …}}}}, not {}",
          tool.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    if (!options.only.empty() && tool["function"]["name"] != options.only) continue;
    KV_ASSIGN_OR_RETURN(const ExprId call, CallOf(tool, options, rules));
    calls.push_back(call);
  }
  if (calls.empty()) {
    return Fail("there is no tool {}to call",
                options.only.empty() ? "" : fmt::format("'{}' ", options.only));
  }
  ExprId call = b.Named("call", b.Choice(std::move(calls)));
  const bool hermes = options.style == ToolCallStyle::kHermes;
  if (hermes) call = b.Sequence({b.Bytes("<tool_call>\n"), call, b.Bytes("\n</tool_call>")});
  const ExprId more = b.Sequence({b.Bytes(hermes ? "\n" : "; "), call});
  const RuleId root = b.Declare("tool calls");
  b.Define(root, b.Sequence({call, b.Repeat(more, 0, options.parallel ? kMaxCalls - 1 : 0)}));
  return b.Build(root);
}

}  // namespace kvasir::grammar
