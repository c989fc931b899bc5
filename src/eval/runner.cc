#include "eval/runner.h"

#include <algorithm>

#include "eval/kept.h"
#include "eval/record.h"
#include "eval/words.h"
#include "methods/registry.h"

namespace kvasir::eval {
namespace {

// What the specs that read a prompt together may hold: each keeps its cache until its questions are
// answered. The more there are, the fewer passes over the prompt.
constexpr int64_t kCacheBytes = int64_t{4} << 30;
constexpr size_t kFewestSpecs = 4;  // however long the prompt
constexpr int64_t kManySpecs = 16;

int64_t FullBytes(const ModelFacts& facts, int64_t n_tokens) {  // in 16 bits
  return 4 * n_tokens * facts.n_layers * facts.n_kv_heads * facts.head_dim;
}

constexpr std::string_view WrapName(Wrap wrap) {
  return wrap == Wrap::kChat ? "chat" : wrap == Wrap::kLine ? "line" : "none";
}

}  // namespace

std::string FigureOf(const Task& task) {
  return task.facts().answering == Answering::kText ? task.facts().metric : "score";
}

Scope Runner::ScopeOf(const Task& task) const {
  const TaskFacts& facts = task.facts();
  return options_.query_agnostic && !facts.fixed_scope ? Scope::kContext : facts.scope;
}

std::string Runner::HashOfFile(const std::string& path) {
  if (path.empty()) return "";
  const auto text = ReadWholeFile(path);
  return text ? Hex(HashText(*text)) : "";  // making a sample says what is wrong with it
}

std::string Runner::Settings(const Task& task) const {
  constexpr std::string_view kScopes[] = {"context", "question", "all"};
  return fmt::format("generator={} scope={} wrap={} kv_type={} data={} file={}", kGeneratorVersion,
                     kScopes[static_cast<size_t>(ScopeOf(task))], WrapName(options_.sources.wrap),
                     options_.session.kv_type, options_.sources.data, file_hash_);
}

std::string Runner::KeyOf(const Cell& cell, const std::string& spec, int64_t index) const {
  const Task& task = *cell.task;
  return Hex(HashText(fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", model_->facts().fingerprint, spec,
                                  task.facts().name, cell.length, options_.seed, index,
                                  options_.build, Settings(task))));
}

std::set<std::string> Runner::KeysOf(std::span<const Cell> cells) const {
  std::set<std::string> keys;
  for (const Cell& cell : cells) {
    for (const std::string& spec : options_.specs) {
      for (int64_t i = 0; i < cell.n_samples; ++i) keys.insert(KeyOf(cell, spec, i));
    }
  }
  return keys;
}

CellFacts Runner::FactsOf(const Cell& cell) const {
  return {.task = cell.task->facts().name,
          .model = model_->facts().fingerprint,
          .settings = Settings(*cell.task),
          .length = cell.length,
          .figure = FigureOf(*cell.task),
          .stand_in = cell.task->StandIn(options_.sources)};
}

Result<std::vector<Cell>> Runner::Plan() {
  const int64_t ctx = options_.session.ctx > 0 ? options_.session.ctx : model_->facts().n_ctx_train;
  std::vector<Cell> cells;
  for (const Task* task : options_.tasks) {
    const TaskFacts& facts = task->facts();
    std::vector<int64_t> lengths = options_.lengths;
    if (facts.default_length == 0) lengths = {0};
    if (lengths.empty()) lengths = {facts.default_length};
    for (const int64_t length : lengths) {
      if (length > ctx) {
        return Fail("{}: --length {} is beyond the context of {} tokens; --ctx raises it",
                    facts.name, length, ctx);
      }
      KV_ASSIGN_OR_RETURN(const std::optional<int64_t> size, task->Size(workshop_, length));
      const Cell cell = {task, length, std::min(options_.n_samples, size.value_or(INT64_MAX))};
      const auto sample = task->Make(workshop_, {length, options_.seed, 0});
      if (!sample) return Fail("{}: {}", facts.name, sample.error().message);
      cells.push_back(cell);
    }
  }
  return cells;
}

Result<RunSummary> Runner::Run(const std::vector<Cell>& cells, ResultFile& results) {
  RunSummary summary;
  int64_t total = 0, done = 0;
  for (const Cell& cell : cells) total += cell.n_samples * std::ssize(options_.specs);
  for (const Cell& cell : cells) {
    for (int64_t index = 0; index < cell.n_samples; ++index) {
      std::vector<Work> works;
      for (const std::string& spec : options_.specs) {
        Work work;
        work.spec = spec;
        work.key = KeyOf(cell, spec, index);
        if (!results.Done(work.key)) works.push_back(std::move(work));
      }
      const int64_t n_before = std::ssize(options_.specs) - std::ssize(works);
      summary.n_before += n_before;
      done += n_before;
      if (works.empty()) continue;
      const Request request = {cell.length, options_.seed, index};
      const auto sample = cell.task->Make(workshop_, request);
      if (!sample) return Fail("{}: {}", cell.task->facts().name, sample.error().message);
      const Status status = RunSample(cell, *sample, index, works);
      summary.interrupted = events_.interrupted();
      if (summary.interrupted) return summary;
      KV_RETURN_IF_ERROR(status);
      const std::string text =
          sample->ids.empty() ? sample->context : model_->Detokenize(sample->ids);
      const std::string hash = Hex(HashText(text));
      KV_RETURN_IF_ERROR(WritePrompt(text, hash, results));
      for (const Work& work : works) {
        KV_RETURN_IF_ERROR(results.Append(RecordOf(cell, *sample, index, hash, work)));
        if (!work.error.empty()) {
          ++summary.n_failed;
          events_.warn(fmt::format("{} on {} sample {}: {}", work.spec, cell.task->facts().name,
                                   index, work.error));
        }
        ++summary.n_done;
        events_.progress(++done, total);
      }
    }
  }
  return summary;
}

Status Runner::RunSample(const Cell& cell, const Sample& sample, int64_t index,
                         std::vector<Work>& works) {
  for (std::span<Work> rest = works; !rest.empty();) {
    const std::span<Work> some = rest.first(NTogether(cell, rest));
    rest = rest.subspan(some.size());
    if (cell.task->facts().answering == Answering::kText) {
      KV_RETURN_IF_ERROR(RunText(sample, some));
    } else {
      KV_RETURN_IF_ERROR(RunTurns(cell, sample, AnswerTogether(index), some));
    }
    for (const Work& work : some) {
      if (work.error.empty()) cache_bytes_[{work.spec, cell.length}] = work.kv.bytes;
    }
  }
  return {};
}

size_t Runner::NTogether(const Cell& cell, std::span<const Work> works) const {
  // Of a spec that has not run yet: what others hold on average, once they are many.
  int64_t unknown = FullBytes(model_->facts(), cell.length), sum = 0, n_known = 0;
  for (const auto& [of, bytes] : cache_bytes_) {
    if (of.second != cell.length) continue;
    sum += bytes;
    ++n_known;
  }
  if (n_known >= kManySpecs) unknown = std::min(unknown, sum / n_known);
  size_t n = 0;
  for (int64_t bytes = 0; n < works.size(); ++n) {
    const auto known = cache_bytes_.find({works[n].spec, cell.length});
    bytes += known == cache_bytes_.end() ? unknown : known->second;
    if (n >= kFewestSpecs && bytes > kCacheBytes) break;
  }
  return n;
}

Result<SessionGroup> Runner::Read(std::span<const Work> works,
                                  std::span<const int32_t> tokens) const {
  std::vector<std::string> specs;
  for (const Work& work : works) specs.push_back(work.spec);
  return ReadTogether(model_, options_.session, specs, tokens,
                      [&](int64_t, int64_t) { return !events_.interrupted(); });
}

void Runner::NoteGroup(const SessionGroup& group, const PromptParts& parts,
                       std::span<Work> works) const {
  for (size_t s = 0; s < works.size(); ++s) {
    const GroupMember& member = group.members[s];
    Work& work = works[s];
    if (!member.session) {
      if (work.error.empty()) work.error = member.session.error().message;
      continue;
    }
    const SessionImpl& session = **member.session;
    ++work.n_reads;
    work.forward_ms += group.forward_ms;
    work.compress_ms += member.compress_ms;
    work.kv = session.kv();
    const auto n_prompt = static_cast<int64_t>(parts.read.size());
    work.n_prompt = n_prompt;
    work.kept = KeptSummary(session.cache(), n_prompt);
  }
}

Status Runner::WritePrompt(const std::string& text, const std::string& hash,
                           ResultFile& results) const {
  if (results.KnowsPrompt(hash)) return {};
  return results.Append({{"type", "prompt"}, {"hash", hash}, {"text", text}});
}

Json Runner::RecordOf(const Cell& cell, const Sample& sample, int64_t index,
                      const std::string& prompt, const Work& work) const {
  const bool failed = !work.error.empty();
  Json record = {{"type", failed ? "failure" : "sample"},
                 {"key", work.key},
                 {"spec", work.spec},
                 {"task", cell.task->facts().name},
                 {"length", cell.length},
                 {"seed", options_.seed},
                 {"index", index},
                 {"model", model_->facts().fingerprint},
                 {"build", options_.build},
                 {"settings", Settings(*cell.task)},
                 {"prompt", prompt},
                 {"prompt_tokens", work.n_prompt}};
  if (failed) {
    record["error"] = work.error;
    return record;
  }
  record["meta"] = sample.meta;
  record["figures"] = work.figures;
  if (!work.turns.empty()) record["turns"] = work.turns;
  record["kept"] = work.kept;
  if (!work.recall_by_layer.empty()) record["recall_by_layer"] = work.recall_by_layer;
  if (!work.attention_error_by_layer.empty()) {
    record["attention_error_by_layer"] = work.attention_error_by_layer;
  }
  Json& speed = record["speed"];
  const auto n_reads = static_cast<double>(std::max<int64_t>(1, work.n_reads));
  const double forward_ms = work.forward_ms / n_reads, compress_ms = work.compress_ms / n_reads;
  speed["forward_ms"] = forward_ms;
  speed["compress_ms"] = compress_ms;
  if (!AnswerTogether(index)) {
    const auto n_turns = static_cast<double>(std::max<size_t>(1, sample.turns.size()));
    speed["ttft_ms"] = forward_ms + compress_ms + work.ttft_ms / n_turns;
    if (work.n_decoded > 0 && work.decode_ms > 0) {
      speed["decode_tok_s"] = 1000 * static_cast<double>(work.n_decoded) / work.decode_ms;
    }
  }
  record["kv"] = KvRecord(work.kv, model_->facts().weight_bytes);
  return record;
}

}  // namespace kvasir::eval
