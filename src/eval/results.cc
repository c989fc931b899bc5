#include "eval/results.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "eval/task.h"

namespace kvasir::eval {
namespace {

// A field of a line, or why it is not one: "'spec' is missing or no text".
Result<std::string> TextField(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_string()) return Fail("'{}' is missing or no text", name);
  return found->get<std::string>();
}

Result<int64_t> IntField(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_number_integer()) {
    return Fail("'{}' is missing or no whole number", name);
  }
  return found->get<int64_t>();
}

void TakeNumbers(const Json& record, const char* group, std::map<std::string, double>& figures) {
  const auto found = record.find(group);
  if (found == record.end() || !found->is_object()) return;
  for (const auto& [name, value] : found->items()) {
    if (value.is_number()) figures[name] = value.get<double>();
  }
}

}  // namespace

Result<Outcome> OutcomeOf(const Json& record) {
  Outcome outcome;
  KV_ASSIGN_OR_RETURN(outcome.key, TextField(record, "key"));
  KV_ASSIGN_OR_RETURN(outcome.spec, TextField(record, "spec"));
  KV_ASSIGN_OR_RETURN(outcome.cell.task, TextField(record, "task"));
  KV_ASSIGN_OR_RETURN(outcome.cell.model, TextField(record, "model"));
  KV_ASSIGN_OR_RETURN(outcome.cell.settings, TextField(record, "settings"));
  KV_ASSIGN_OR_RETURN(outcome.cell.length, IntField(record, "length"));
  KV_ASSIGN_OR_RETURN(outcome.index, IntField(record, "index"));
  KV_ASSIGN_OR_RETURN(const int64_t seed, IntField(record, "seed"));
  outcome.seed = static_cast<uint64_t>(seed);
  if (record.value("type", "") == "failure") {
    KV_ASSIGN_OR_RETURN(outcome.error, TextField(record, "error"));
    return outcome;
  }
  for (const char* group : {"figures", "speed", "kv"}) TakeNumbers(record, group, outcome.figures);
  const auto turns = record.find("turns");
  if (turns != record.end() && turns->is_array()) {
    for (const Json& turn : *turns) {
      if (turn.is_object() && turn.contains("score") && turn["score"].is_number()) {
        outcome.turn_scores.push_back(turn["score"].get<double>());
      }
    }
  }
  if (record.contains("meta")) outcome.meta = record["meta"];
  return outcome;
}

Status ForEachRecord(
    std::string_view text, const std::string& path,
    const std::function<Status(const Json& record, std::string_view line)>& visit) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    const Json record = Json::parse(line, nullptr, false);
    if (!record.is_object()) return Fail("{} line {}: not a JSON object", path, number);
    const Status status = visit(record, line);
    if (!status) return Fail("{} line {}: {}", path, number, status.error().message);
  }
  return {};
}

Result<ResultFile> ResultFile::Open(const std::string& path, bool resume) {
  ResultFile results;
  results.path_ = path;
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  if (exists && !resume) {
    return Fail("{} is there already: --resume goes on with it; or give --out another name", path);
  }
  if (exists) {
    if (!std::filesystem::is_regular_file(path, error)) return Fail("{}: not a plain file", path);
    KV_ASSIGN_OR_RETURN(std::string text, ReadWholeFile(path));
    const size_t end = text.rfind('\n');
    const size_t whole = end == std::string::npos ? 0 : end + 1;
    results.repaired_ = whole < text.size();
    text.resize(whole);
    KV_RETURN_IF_ERROR(ForEachRecord(
        text, path, [&](const Json& record, std::string_view) { return results.Add(record); }));
    results.n_read_ = static_cast<int64_t>(results.done_.size());
    if (results.repaired_ && truncate(path.c_str(), static_cast<off_t>(whole)) != 0) {
      return Fail("{}: its last line is cut off and cannot be taken away: {}", path,
                  std::strerror(errno));
    }
  }
  results.file_.reset(std::fopen(path.c_str(), "ab"));
  if (!results.file_) return Fail("{}: {}", path, std::strerror(errno));
  return results;
}

Status ResultFile::Add(const Json& record) {
  KV_ASSIGN_OR_RETURN(const std::string type, TextField(record, "type"));
  if (type == "prompt") {
    KV_ASSIGN_OR_RETURN(std::string hash, TextField(record, "hash"));
    prompts_.insert(std::move(hash));
    return {};
  }
  const bool failed = type == "failure";
  if (!failed && type != "sample") return {};  // headers, and what later versions may add
  KV_ASSIGN_OR_RETURN(Outcome outcome, OutcomeOf(record));
  const auto [at, is_first] = at_.emplace(outcome.key, outcomes_.size());
  if (failed) {
    if (done_.contains(outcome.key)) return {};
  } else {
    done_.insert(outcome.key);
  }
  if (is_first) {
    outcomes_.push_back(std::move(outcome));
  } else {
    outcomes_[at->second] = std::move(outcome);
  }
  return {};
}

Result<std::string> ResultFile::Text() const {
  if (!file_) return text_;
  return ReadWholeFile(path_);
}

Status ResultFile::Append(const Json& record) {
  const Status added = Add(record);
  KV_CHECK(added.has_value());  // our own records are well formed
  // Bytes that are no UTF-8 (an answer cut inside a character) are written as U+FFFD.
  const std::string line = record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (!file_) {
    text_ += line;
    return {};
  }
  const bool written = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size();
  if (!written || std::fflush(file_.get()) != 0) {
    return Fail("{}: {}; what was written before is kept, --resume goes on", path_,
                std::strerror(errno));
  }
  return {};
}

}  // namespace kvasir::eval
