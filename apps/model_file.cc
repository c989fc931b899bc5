#include "model_file.h"

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

namespace kvasir::cli {
namespace {

constexpr int kMaxJsonDepth = 512;

}  // namespace

Result<std::unique_ptr<ModelSource>> OpenModelFile(const Args& args) {
  KV_ASSIGN_OR_RETURN(const std::string path, ModelPath(args));
  return OpenModel(path);
}

nlohmann::ordered_json ParseJson(const std::string& text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, nlohmann::ordered_json::parse_event_t,
                               nlohmann::ordered_json&) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    return !too_deep;
  };
  nlohmann::ordered_json value = nlohmann::ordered_json::parse(text, watch_depth, false);
  return too_deep ? nlohmann::ordered_json(nlohmann::json::value_t::discarded) : value;
}

Result<int> AnswerLines(
    Context& context,
    const std::function<nlohmann::ordered_json(const nlohmann::ordered_json&)>& answer) {
  const std::string path = context.args.Text("jsonl");
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return Fail("{}: cannot be read", path);
  }
  std::istream& input = path == "-" ? std::cin : file;
  Interrupt::EndAtOnce(false);  // not within a line
  std::string line;
  for (int64_t number = 1; std::getline(input, line); ++number) {
    if (Interrupt::Pending()) return kExitInterrupted;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const nlohmann::ordered_json object = ParseJson(line);
    if (!object.is_object()) return Fail("{} line {}: not a JSON object", path, number);
    context.console.WriteJson(answer(object));
  }
  if (Interrupt::Pending()) return kExitInterrupted;
  if (input.bad()) return Fail("{}: cannot be read", path);
  return kExitDone;
}

}  // namespace kvasir::cli
