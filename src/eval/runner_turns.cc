// Questions to what a prompt has left, asked of each spec alone or of all of them as one batch.
#include "engine/session_batch.h"
#include "eval/kept.h"
#include "eval/record.h"
#include "eval/runner.h"
#include "eval/words.h"

namespace kvasir::eval {

// A question to one spec: on a fork of its compressed context, which leaves no trace there.
struct Runner::Asked {
  Work* work;
  SessionImpl* session;
  std::unique_ptr<Session> fork;
  std::vector<int32_t> best = {};  // the most likely tokens, where the right ones are read

  SessionImpl& asks() const { return static_cast<SessionImpl&>(*fork); }
};

Status Runner::RunTurns(const Cell& cell, const Sample& sample, bool together,
                        std::span<Work> works) {
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
    const Question question{*cell.task, sample, turn, parts};
    const size_t n_together = together ? works.size() : 1;
    for (size_t first = 0; first < works.size(); first += n_together) {
      if (events_.interrupted()) return Fail("interrupted");
      Ask(question, std::span(group.members).subspan(first, n_together),
          works.subspan(first, n_together));
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

void Runner::Ask(const Question& question, std::span<GroupMember> members,
                 std::span<Work> works) const {
  std::vector<Asked> asked;
  for (size_t s = 0; s < works.size(); ++s) {
    Work& work = works[s];
    if (!work.error.empty()) continue;
    SessionImpl& session = **members[s].session;
    if (!question.parts.evidence.empty()) {
      const Recall recall = RecallOf(session.cache(), question.parts.evidence);
      work.recall += recall.mean;
      work.recall_best += recall.best_head;
      work.recall_by_layer = recall.by_layer;
      ++work.n_recall;
    }
    Result<std::unique_ptr<Session>> fork = session.Fork();
    if (fork) asked.push_back({&work, &session, std::move(*fork)});
    if (!fork) work.error = fork.error().message;
  }
  if (!question.parts.rest.empty()) {
    const Stopwatch watch;
    ReadOn(question.parts.rest, false, asked);
    for (const Asked& each : asked) each.work->ttft_ms += watch.Ms();
  }
  if (question.task.facts().answering == Answering::kForced) {
    Force(question, asked);
  } else {
    Generate(question, asked);
  }
  if (!IsConversation(question.sample, ScopeOf(question.task))) return;
  for (const Asked& each : asked) Remember(question, *each.session, *each.work);
}

// All read these tokens; who fails is asked no more.
void Runner::ReadOn(std::span<const int32_t> tokens, bool note_best, std::vector<Asked>& asked) {
  std::vector<SessionReads> reads;
  for (Asked& each : asked) {
    reads.push_back({.session = &each.asks(), .tokens = tokens});
    if (!note_best) continue;
    reads.back().on_logits = [&each](int64_t, std::span<const float> logits) {
      each.best.push_back(ArgMax(logits));
    };
  }
  ExtendTogether(reads);
  for (size_t s = 0; s < reads.size(); ++s) {
    if (!reads[s].status) asked[s].work->error = reads[s].status.error().message;
  }
  std::erase_if(asked, [](const Asked& each) { return !each.work->error.empty(); });
}

// The question with its right answer becomes part of the conversation.
void Runner::Remember(const Question& question, SessionImpl& session, Work& work) const {
  std::vector<int32_t> ids = question.parts.rest;
  const std::string answer = " " + Join(question.ask().answers, ", ") + ".";
  const std::vector<int32_t> said = model_->Tokenize(answer, false);
  ids.insert(ids.end(), said.begin(), said.end());
  const Status status = session.Extend(ids);
  if (!status) work.error = status.error().message;
}

void Runner::Generate(const Question& question, std::vector<Asked>& asked) const {
  const Turn& turn = question.ask();
  GenerateOptions options;
  options.n_tokens = turn.max_new > 0 ? turn.max_new : question.sample.max_new;
  if (question.sample.newline_stops) options.stop = {"\n"};
  options.on_text = [&](std::string_view) { return !events_.interrupted(); };
  std::vector<SessionAnswer> answers;
  for (const Asked& each : asked) answers.push_back({&each.asks(), options, {}});
  GenerateTogether(answers);
  for (size_t s = 0; s < answers.size(); ++s) {
    Work& work = *asked[s].work;
    if (!answers[s].answer) {
      work.error = answers[s].answer.error().message;
      continue;
    }
    const Generation& answer = *answers[s].answer;
    const double score = question.task.Score(question.sample, turn, answer.text);
    work.score += score;
    work.ttft_ms += answer.first_token_ms;
    if (answer.decode_tok_s > 0) {
      const auto n = static_cast<int64_t>(answer.ids.size());
      work.n_decoded += n;
      work.decode_ms += 1000 * static_cast<double>(n) / answer.decode_tok_s;
      work.kv.read_entries_per_step = asked[s].asks().kv().read_entries_per_step;
    }
    Json record = TurnRecord(turn);
    record["prediction"] = answer.text;
    record["tokens"] = answer.ids.size();
    record["stop_reason"] = answer.stop_reason;
    record["score"] = score;
    work.turns.push_back(std::move(record));
  }
  std::erase_if(asked, [](const Asked& each) { return !each.work->error.empty(); });
}

void Runner::Force(const Question& question, std::vector<Asked>& asked) const {
  const Turn& turn = question.ask();
  const std::vector<int32_t> answer = model_->Tokenize(turn.answers[0], false);
  KV_CHECK(!answer.empty());
  for (Asked& each : asked) each.best = {ArgMax(each.asks().logits())};
  ReadOn(answer, true, asked);
  for (Asked& each : asked) {
    each.best.pop_back();  // what comes after the answer
    int64_t n_right = 0;
    for (size_t i = 0; i < answer.size(); ++i) n_right += each.best[i] == answer[i];
    const double share = static_cast<double>(n_right) / static_cast<double>(answer.size());
    const bool by_token = question.task.facts().by_token;
    const double score = by_token ? share : n_right == std::ssize(answer) ? 1 : 0;
    Work& work = *each.work;
    work.score += score;
    work.n_forced += std::ssize(answer);
    work.n_forced_right += n_right;
    Json record = TurnRecord(turn);
    record["prediction"] = model_->Detokenize(each.best);  // each given the right ones before it
    record["tokens"] = answer.size();
    record["tokens_right"] = n_right;
    record["score"] = score;
    work.turns.push_back(std::move(record));
  }
}

}  // namespace kvasir::eval
