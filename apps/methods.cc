// kvasir methods: the table, a method's page, what combines, how a spec is read.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "explain.h"
#include "help.h"
#include "methods/combinations.h"
#include "methods/registry.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string_view KindName(ParamKind kind) {
  switch (kind) {
    case ParamKind::kBudget:
      return "budget";
    case ParamKind::kInteger:
      return "whole number";
    case ParamKind::kNumber:
      return "number";
    case ParamKind::kWord:
      return "word";
    case ParamKind::kFlag:
      return "true or false";
    case ParamKind::kText:
      return "text";
  }
  return "";
}

Json ParamJson(const ParamInfo& param) {
  return {{"name", param.name},
          {"kind", KindName(param.kind)},
          {"default", param.fallback.empty() ? Json() : Json(param.fallback)},
          {"range", param.range},
          {"help", param.help}};
}

Json MethodJson(const MethodInfo& method) {
  Json params = Json::array();
  for (const ParamInfo& param : method.params) params.push_back(ParamJson(param));
  return {{"name", method.name},          {"role", RoleName(method.role)},
          {"family", method.family},      {"summary", method.summary},
          {"needs", MethodNeeds(method)}, {"saves", MethodSaves(method)},
          {"paper", method.paper},        {"about", method.about},
          {"example", method.example},    {"params", std::move(params)}};
}

std::string Page(const MethodInfo& method) {
  std::string page = fmt::format("{}: {}\n", method.name, method.summary);
  page += fmt::format("{}, {}{}{}\n\n", RoleName(method.role), method.family,
                      method.paper.empty() ? "" : ", ", method.paper);
  page += Wrap(method.about, 92, 0);
  page += fmt::format("\nNeeds: {}.\nSaves: {}.\n", MethodNeeds(method), MethodSaves(method));
  if (!method.params.empty()) page += "\nParameters:\n";
  for (const ParamInfo& param : method.params) {
    const std::string fallback =
        param.fallback.empty() ? "must be given" : fmt::format("default {}", param.fallback);
    const std::string range = param.range.empty() ? "" : fmt::format(", {}", param.range);
    page += fmt::format("  {:<13}{}\n{:15}{}, {}{}\n", param.name, param.help, "",
                        KindName(param.kind), fallback, range);
  }
  return page + fmt::format("\nExample:\n  kvasir run -p \"...\" --kv \"{}\"\n", method.example);
}

Result<int> ShowPage(Context& context, const std::string& name) {
  const MethodInfo* method = FindMethod(name);
  if (method == nullptr) {
    std::vector<std::string_view> names;
    for (const MethodInfo* each : AllMethods()) names.push_back(each->name);
    const std::string near = DidYouMean(name, names);
    return WrongUsage(context, "there is no method '{}'{}", name,
                      near.empty() ? "; `kvasir methods` lists them" : near);
  }
  if (context.console.json()) {
    context.console.WriteJson(MethodJson(*method));
  } else {
    context.console.Write(Page(*method));
  }
  return kExitDone;
}

Result<int> ShowTable(Context& context) {
  if (context.console.json()) {
    Json methods = Json::array();
    for (const MethodInfo* method : AllMethods()) methods.push_back(MethodJson(*method));
    context.console.WriteJson({{"methods", std::move(methods)}});
    return kExitDone;
  }
  std::string table;
  const auto row = [&](auto name, auto role, auto family, auto needs, auto saves, auto paper) {
    table += fmt::format("{:<12} {:<8} {:<10} {:<24} {:<30} {}\n", name, role, family, needs, saves,
                         paper);
  };
  row("name", "role", "family", "needs", "saves", "paper");
  for (const MethodInfo* method : AllMethods()) {
    row(method->name, RoleName(method->role), method->family, MethodNeeds(*method),
        MethodSaves(*method), method->paper);
  }
  for (const MethodInfo* method : AllMethods()) {
    table += fmt::format("\n{:<12} {}", method->name, method->summary);
  }
  context.console.Write(table + "\n\n`kvasir methods NAME` tells more.\n");
  return kExitDone;
}

// A page of Markdown. Nothing stacks on a base, so columns are wrappers.
std::string MatrixText(std::span<const Combination> combinations) {
  std::string head = "| |", rule = "| --- |", rows, reasons;
  for (const MethodInfo* method : AllMethods()) {
    if (method->role != Role::kWrapper) continue;
    head += fmt::format(" {} + |", method->name);
    rule += " --- |";
  }
  std::vector<std::string> seen;  // reasons by number
  const auto number = [&](const Combination& each) {
    const std::string why = each.why.substr(each.why.find("\": ") + 3);  // without the spec
    const auto found = std::find(seen.begin(), seen.end(), why);
    if (found != seen.end()) return found - seen.begin() + 1;
    seen.push_back(why);
    reasons += fmt::format("{}. {}\n", seen.size(), why);
    return static_cast<std::ptrdiff_t>(seen.size());
  };
  for (const MethodInfo* second : AllMethods()) {
    rows += fmt::format("| {} |", second->name);
    for (const Combination& each : combinations) {
      if (each.second != second->name || FindMethod(each.first)->role != Role::kWrapper) continue;
      rows += each.works ? " yes |" : fmt::format(" no ({}) |", number(each));
    }
    rows += "\n";
  }
  return fmt::format(
      "# Which methods stack\n\n"
      "Written by `kvasir methods --matrix`, which builds every pair with the parameters of the "
      "methods' examples.\n"
      "\"yes\": `column + row` is allowed, and run by tests/engine/combinations_test.cc. \"no\": "
      "an error when the session opens, with the reason below.\n"
      "A base (a method that is no column) decides what stays, and nothing stacks on the outside "
      "of "
      "it: two bases are always an error.\n\n"
      "{}\n{}\n{}\n## Why not\n\n{}",
      head, rule, rows, reasons);
}

Result<int> ShowMatrix(Context& context) {
  const std::vector<Combination> combinations = AllCombinations();
  if (context.console.json()) {
    Json rows = Json::array();
    for (const Combination& each : combinations) {
      Json row = {{"first", each.first}, {"second", each.second}, {"combines", each.works}};
      if (!each.works) row["why"] = each.why;
      rows.push_back(std::move(row));
    }
    context.console.WriteJson({{"combinations", std::move(rows)}});
    return kExitDone;
  }
  context.console.Write(MatrixText(combinations));
  return kExitDone;
}

}  // namespace

Result<int> MethodsCommand(Context& context) {
  const Args& args = context.args;
  const int n_asked = args.On("matrix") + args.Given("explain") + !args.operands().empty();
  if (n_asked > 1) return WrongUsage(context, "one at a time: NAME, --matrix or --explain SPEC");
  if (args.Given("prompt") && !args.Given("explain")) {
    return WrongUsage(context, "--prompt N needs --explain SPEC");
  }
  if (args.Given("explain")) return ExplainSpec(context);
  if (args.On("matrix")) return ShowMatrix(context);
  if (!args.operands().empty()) return ShowPage(context, args.operands()[0]);
  return ShowTable(context);
}

}  // namespace kvasir::cli
