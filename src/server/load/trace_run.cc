// A trace sent to a server, and what became of it.
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "server/load/load_figures.h"
#include "server/load/trace.h"

namespace kvasir::server {
namespace {

using Clock = StreamClient::Clock;
using Json = nlohmann::ordered_json;

Clock::duration Duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

TraceRun RunTrace(const Trace& trace, const TraceOptions& options, const AskFn& ask,
                  const std::function<bool()>& stop,
                  const std::function<void(int64_t n_done)>& progress) {
  LoadOptions load{.n_requests = std::ssize(trace.sessions),
                   .n_clients = options.n_at_once > 0 ? options.n_at_once : kMostAtOnce};
  for (const TraceSession& session : trace.sessions) {
    if (options.n_at_once > 0) break;
    load.due.push_back(trace.requests[session.requests[0]].at_s / options.speed);
  }
  std::vector<std::optional<LoadedRequest>> answers(trace.requests.size());
  std::mutex mutex;  // guards the run and the progress
  TraceRun run;
  int64_t n_done = 0;
  const Clock::time_point start = Clock::now();
  const auto run_session = [&](int64_t of, Clock::time_point due) {
    const std::vector<size_t>& requests = trace.sessions[of].requests;
    const Clock::time_point begin = due;
    StreamedAnswer answer;
    for (const size_t i : requests) {
      if (i != requests[0]) {
        due = Clock::now() + Duration(trace.requests[i].gap_s / options.speed);
        if (options.n_at_once == 0) {
          due = std::max(due, start + Duration(trace.requests[i].at_s / options.speed));
        }
        SleepUntil(due, stop);
        if (stop()) return answer;
      }
      answer = ask(static_cast<int64_t>(i), due);
      answers[i] = {std::chrono::duration<double>(due - start).count(), answer};
      const std::lock_guard lock(mutex);
      progress(++n_done);
      if (answer.ok()) continue;
      if (!stop()) ++run.n_broken;
      return answer;
    }
    const std::lock_guard lock(mutex);
    run.sessions_s.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    return answer;
  };
  RunLoad(load, run_session, stop, [](int64_t) {});
  for (auto& answer : answers) {
    if (answer) run.requests.push_back(std::move(*answer));
  }
  return run;
}

Json TraceJson(const Trace& trace, const TraceRun& run) {
  int64_t n_prompt = 0, n_cached = 0, n_answered = 0;
  double begin = INFINITY, end = 0;
  for (const auto& [due, answer] : run.requests) {
    begin = std::min(begin, due);
    end = std::max(end, due + answer.end);
    if (!answer.ok()) continue;
    ++n_answered;
    n_prompt += answer.n_prompt;
    n_cached += answer.n_cached;
  }
  const auto share = [](int64_t part, int64_t all) {
    return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : 0.0;
  };
  const Spread sessions = SpreadOf(run.sessions_s);
  return {
      {"prompt_tokens", n_prompt},
      {"cached_tokens", n_cached},
      {"recomputed_tokens", n_prompt - n_cached},
      {"cached_share", share(n_cached, n_prompt)},
      {"known_share", share(trace.KnownTokens(), trace.PromptTokens())},
      {"sessions", run.sessions_s.size()},
      {"sessions_broken", run.n_broken},
      {"session_s", {{"p50", sessions.p50}, {"p95", sessions.p95}, {"mean", sessions.mean}}},
      {"steps_per_min", end > begin ? 60 * static_cast<double>(n_answered) / (end - begin) : 0.0}};
}

std::string TraceText(const Trace& trace, const TraceRun& run) {
  const Json json = TraceJson(trace, run);
  const auto number = [&](const char* name) { return json[name].get<double>(); };
  return fmt::format(
      "\n{} sessions to their end, {} broken off; {:.1f} s each by the median, {:.1f} on average; "
      "{:.1f} steps a minute\n"
      "{} of {} prompt tokens came from the cache ({:.1f} %), {} were read; a cache that forgets "
      "nothing would know {:.1f} % of the trace's\n",
      json["sessions"].get<int64_t>(), run.n_broken, json["session_s"]["p50"].get<double>(),
      json["session_s"]["mean"].get<double>(), number("steps_per_min"),
      json["cached_tokens"].get<int64_t>(), json["prompt_tokens"].get<int64_t>(),
      100 * number("cached_share"), json["recomputed_tokens"].get<int64_t>(),
      100 * number("known_share"));
}

}  // namespace kvasir::server
