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
      const Status status = RunSample(cell, *sample, works);
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

Status Runner::RunSample(const Cell& cell, const Sample& sample, std::vector<Work>& works) {
  for (std::span<Work> rest = works; !rest.empty();) {
    const std::span<Work> some = rest.first(NTogether(cell, rest));
    rest = rest.subspan(some.size());
    if (cell.task->facts().answering == Answering::kText) {
      KV_RETURN_IF_ERROR(RunText(sample, some));
    } else {
      KV_RETURN_IF_ERROR(RunTurns(cell, sample, some));
    }
    for (const Work& work : some) {
      if (work.error.empty()) cache_bytes_[{work.spec, cell.length}] = work.kv.bytes;
    }
  }
  return {};
}

size_t Runner::NTogether(const Cell& cell, std::span<const Work> works) const {
  size_t n = 0;
  for (int64_t bytes = 0; n < works.size(); ++n) {
    const auto known = cache_bytes_.find({works[n].spec, cell.length});
    bytes += known == cache_bytes_.end() ? FullBytes(model_->facts(), cell.length) : known->second;
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

Status Runner::RunTurns(const Cell& cell, const Sample& sample, std::span<Work> works) {
  const bool conversation = IsConversation(sample, ScopeOf(*cell.task));
  SessionGroup group;
  std::vector<int32_t> read;
  for (size_t turn = 0; turn < sample.turns.size(); ++turn) {
    KV_ASSIGN_OR_RETURN(const PromptParts parts,
                        PromptOf(*model_, sample, turn, ScopeOf(*cell.task)));
    if (turn == 0 || parts.read != read) {
      KV_ASSIGN_OR_RETURN(group, Read(works, parts.read));
      read = parts.read;
      NoteGroup(group, parts, works);
    }
    for (size_t s = 0; s < works.size(); ++s) {
      Work& work = works[s];
      if (!work.error.empty()) continue;
      if (events_.interrupted()) return Fail("interrupted");
      SessionImpl& session = **group.members[s].session;
      Status status = Ask(cell, sample, turn, parts, session, work);
      if (status && conversation) status = Remember(sample.turns[turn], parts, session);
      if (!status) work.error = status.error().message;
    }
  }
  for (Work& work : works) {
    work.figures["score"] = work.score / static_cast<double>(sample.turns.size());
    if (work.n_forced > 0) {
      work.figures["tokens_right"] =
          static_cast<double>(work.n_forced_right) / static_cast<double>(work.n_forced);
    }
    if (work.n_recall > 0) {
      work.figures["recall"] = work.recall / static_cast<double>(work.n_recall);
      work.figures["recall_best_head"] = work.recall_best / static_cast<double>(work.n_recall);
    }
  }
  return {};
}

// The question with its right answer becomes part of the conversation.
Status Runner::Remember(const Turn& turn, const PromptParts& parts, SessionImpl& session) const {
  std::vector<int32_t> ids = parts.rest;
  const std::string answer = " " + Join(turn.answers, ", ") + ".";
  const std::vector<int32_t> said = model_->Tokenize(answer, false);
  ids.insert(ids.end(), said.begin(), said.end());
  return session.Extend(ids);
}

// A question on a fork of the compressed context: it leaves no trace.
Status Runner::Ask(const Cell& cell, const Sample& sample, size_t turn, const PromptParts& parts,
                   SessionImpl& session, Work& work) const {
  if (!parts.evidence.empty()) {
    const Recall recall = RecallOf(session.cache(), parts.evidence);
    work.recall += recall.mean;
    work.recall_best += recall.best_head;
    work.recall_by_layer = recall.by_layer;
    ++work.n_recall;
  }
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<Session> forked, session.Fork());
  auto& asked = static_cast<SessionImpl&>(*forked);
  const Stopwatch watch;
  if (!parts.rest.empty()) KV_RETURN_IF_ERROR(asked.Extend(parts.rest));
  work.ttft_ms += watch.Ms();
  return cell.task->facts().answering == Answering::kForced
             ? Forced(*cell.task, sample, turn, asked, work)
             : Generated(*cell.task, sample, turn, asked, work);
}

Status Runner::Generated(const Task& task, const Sample& sample, size_t turn, SessionImpl& session,
                         Work& work) const {
  GenerateOptions options;
  const int max_new = sample.turns[turn].max_new;
  options.n_tokens = max_new > 0 ? max_new : sample.max_new;
  if (sample.newline_stops) options.stop = {"\n"};
  options.on_text = [&](std::string_view) { return !events_.interrupted(); };
  KV_ASSIGN_OR_RETURN(const Generation answer, Generate(session, options));
  const double score = task.Score(sample, sample.turns[turn], answer.text);
  work.score += score;
  work.ttft_ms += answer.first_token_ms;
  if (answer.decode_tok_s > 0) {
    const auto n = static_cast<int64_t>(answer.ids.size());
    work.n_decoded += n;
    work.decode_ms += 1000 * static_cast<double>(n) / answer.decode_tok_s;
    work.kv.read_entries_per_step = session.kv().read_entries_per_step;
  }
  Json record = TurnRecord(sample.turns[turn]);
  record["prediction"] = answer.text;
  record["tokens"] = answer.ids.size();
  record["stop_reason"] = answer.stop_reason;
  record["score"] = score;
  work.turns.push_back(std::move(record));
  return {};
}

Status Runner::Forced(const Task& task, const Sample& sample, size_t turn, SessionImpl& session,
                      Work& work) const {
  const std::vector<int32_t> answer = model_->Tokenize(sample.turns[turn].answers[0], false);
  KV_CHECK(!answer.empty());
  std::vector<int32_t> best = {ArgMax(session.logits())};
  KV_RETURN_IF_ERROR(session.Extend(
      answer, [&](int64_t, std::span<const float> logits) { best.push_back(ArgMax(logits)); }));
  best.pop_back();  // what comes after the answer
  int64_t n_right = 0;
  for (size_t i = 0; i < answer.size(); ++i) n_right += best[i] == answer[i];
  const double share = static_cast<double>(n_right) / static_cast<double>(answer.size());
  const double score = task.facts().by_token ? share : n_right == std::ssize(answer) ? 1 : 0;
  work.score += score;
  work.n_forced += std::ssize(answer);
  work.n_forced_right += n_right;
  Json record = TurnRecord(sample.turns[turn]);
  record["prediction"] = model_->Detokenize(best);  // each token given the right ones before it
  record["tokens"] = answer.size();
  record["tokens_right"] = n_right;
  record["score"] = score;
  work.turns.push_back(std::move(record));
  return {};
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
  const auto n_turns = static_cast<double>(std::max<size_t>(1, sample.turns.size()));
  Json& speed = record["speed"];
  const auto n_reads = static_cast<double>(std::max<int64_t>(1, work.n_reads));
  const double forward_ms = work.forward_ms / n_reads, compress_ms = work.compress_ms / n_reads;
  speed["forward_ms"] = forward_ms;
  speed["compress_ms"] = compress_ms;
  speed["ttft_ms"] = forward_ms + compress_ms + work.ttft_ms / n_turns;
  if (work.n_decoded > 0 && work.decode_ms > 0) {
    speed["decode_tok_s"] = 1000 * static_cast<double>(work.n_decoded) / work.decode_ms;
  }
  record["kv"] = KvRecord(work.kv, model_->facts().weight_bytes);
  return record;
}

}  // namespace kvasir::eval
