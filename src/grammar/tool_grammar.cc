#include "grammar/json_schema.h"
#include "grammar/tool_calls.h"

namespace kvasir::grammar {
namespace {

constexpr int kMaxCalls = 16;       // of one answer
constexpr size_t kMaxLeftOut = 16;  // more of it is not told

// {"name": "f", "arguments": …}
Result<ExprId> CallOf(const Json& tool, const ToolGrammarOptions& options, JsonRules& rules) {
  GrammarBuilder& b = rules.builder();
  const Json& function = tool["function"];
  const Json& name = function["name"];
  Json schema = function.value("parameters", Json());
  if (schema.is_null()) schema = Json::object();
  if (schema.is_object() && !schema.contains("$ref")) schema.emplace("type", "object");
  const std::string place = fmt::format("the parameters of the tool {}", name.dump());
  const bool strict = options.left_out == nullptr || function.value("strict", Json()) == true;
  std::vector<std::string> left_out;
  const auto arguments = AddJsonSchema(schema, rules, strict ? nullptr : &left_out);
  if (!arguments) return Fail("{}: {}", place, arguments.error().message);
  for (const std::string& what : left_out) {
    if (options.left_out->size() == kMaxLeftOut) break;
    options.left_out->push_back(fmt::format("{:.200}: {}", place, what));
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

Result<ExprId> AddToolCalls(const Json& tools, const ToolGrammarOptions& options,
                            JsonRules& rules) {
  if (!tools.is_array()) return Fail("tools must be a list");
  GrammarBuilder& b = rules.builder();
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
  return b.Sequence({call, b.Repeat(more, 0, options.parallel ? kMaxCalls - 1 : 0)});
}

Result<std::shared_ptr<const Grammar>> ToolCallGrammar(const Json& tools,
                                                       const ToolGrammarOptions& options) {
  GrammarBuilder builder;
  JsonRules rules(builder);
  KV_ASSIGN_OR_RETURN(const ExprId calls, AddToolCalls(tools, options, rules));
  const RuleId root = builder.Declare("tool calls");
  builder.Define(root, calls);
  return builder.Build(root);
}

}  // namespace kvasir::grammar
