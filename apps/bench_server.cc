#include "bench_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "eval/words.h"
#include "methods/spec.h"
#include "server/load/load_figures.h"
#include "server/load/trace.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;
using server::LoadedRequest;
using server::StreamClient;
using server::StreamedAnswer;

// Flags of the other benchmark, which a server has no use for.
constexpr std::string_view kNotForServers[] = {"depth",   "batch",     "threads", "repeat", "file",
                                               "kv-type", "kv-memory", "chunk",   "cpu"};
constexpr std::string_view kNotForTraces[] = {"rate", "requests", "prompt", "gen"};
constexpr std::string_view kForTraces[] = {"block", "speed", "cut", "vocab"};
constexpr char kOwnServer[] = "http://127.0.0.1:8080/v1";  // where `kvasir serve` is by itself

class ServerLoad {
 public:
  ServerLoad(Context& context, const StreamClient& client, std::string url, std::string spec)
      : args_(context.args), client_(client), url_(std::move(url)), spec_(std::move(spec)) {}

  // A server that does not answer this needs no load.
  Status WarmUp() const {
    const StreamedAnswer answer = Ask(-1, StreamClient::Clock::now());
    if (answer.ok() || Interrupt::Pending()) return {};
    if (answer.status == 0) {
      return Fail("{}: {}; `kvasir serve --port N` starts a server", url_, answer.error);
    }
    const bool no_key = answer.status == 401 || answer.status == 403;
    const bool no_path = answer.status == 404 || answer.status == 405;
    return Fail("{}: it answers with status {}: {}{}", url_, answer.status, answer.error,
                no_key    ? "; --api-key KEY is sent as its key"
                : no_path ? "; the URL ends where /completions follows, as in http://host:8080/v1"
                          : "");
  }

  std::vector<LoadedRequest> Run(ProgressBar& bar) const {
    server::LoadOptions load{.n_requests = args_.Int("requests"),
                             .n_clients = args_.Int("clients", 1)};
    if (args_.Given("rate")) {
      load.due = server::Arrivals(load.n_requests, args_.Number("rate"), Seed());
      load.n_clients = server::kMostAtOnce;
    }
    return server::RunLoad(
        load, [&](int64_t i, StreamClient::Clock::time_point due) { return Ask(i, due); },
        Interrupt::Pending, [&](int64_t done) { bar.Show(done, load.n_requests); });
  }

  server::TraceRun Run(const server::Trace& trace, ProgressBar& bar) const {
    const server::TraceOptions options{
        .speed = args_.Number("speed"),
        .n_at_once = args_.Given("clients") ? args_.Int("clients") : 0};
    const auto n_vocab = static_cast<int32_t>(args_.Int("vocab"));
    return server::RunTrace(
        trace, options,
        [&](int64_t i, StreamClient::Clock::time_point due) {
          return Send(trace.PromptOf(i, n_vocab), trace.requests[i].n_answer, due);
        },
        Interrupt::Pending, [&](int64_t done) { bar.Show(done, std::ssize(trace.requests)); });
  }

 private:
  uint64_t Seed() const { return static_cast<uint64_t>(args_.Int("seed")); }

  // Lengths take turns; every text is another. -1: one that does not count.
  StreamedAnswer Ask(int64_t request, StreamClient::Clock::time_point due) const {
    const std::vector<int64_t> lengths = args_.Ints("prompt");
    const int64_t length =
        lengths[static_cast<size_t>(std::max<int64_t>(request, 0)) % lengths.size()];
    eval::Prose prose(eval::Random::For("load", length, request, Seed()));
    return Send(prose.Words(length), args_.Int("gen"), due);
  }

  StreamedAnswer Send(Json prompt, int64_t n_answer, StreamClient::Clock::time_point due) const {
    Json body = {{"model", "any"},         {"prompt", std::move(prompt)},
                 {"max_tokens", n_answer}, {"temperature", 0},
                 {"ignore_eos", true},  // answers of one length, where the server can
                 {"stream", true},         {"stream_options", {{"include_usage", true}}}};
    if (!spec_.empty()) body["kv"] = {{"spec", spec_}};
    return client_.Ask("/completions", body.dump(), due);
  }

  const Args& args_;
  const StreamClient& client_;
  const std::string url_, spec_;
};

// Flags that mean nothing here, or nothing together; the exit code.
std::optional<int> RefuseFlags(const Context& context, bool agents) {
  const auto given = [&](std::string_view flag) { return context.args.OnCommandLine(flag); };
  for (const std::string_view flag : kNotForServers) {
    if (!given(flag)) continue;
    return WrongUsage(context, "--{} is for a model in this process: leave it out with --serve",
                      flag);
  }
  for (const std::string_view flag : kNotForTraces) {
    if (!agents || !given(flag)) continue;
    return WrongUsage(context, "--{}: the trace says it; leave it out with --agents", flag);
  }
  for (const std::string_view flag : kForTraces) {
    if (agents || !given(flag)) continue;
    return WrongUsage(context, "--{} needs --agents TRACE", flag);
  }
  if (context.args.Given("clients") && context.args.Given("rate")) {
    return WrongUsage(context,
                      "--clients N wait for their answers, --rate R do not: one of the two");
  }
  return std::nullopt;
}

server::LoadBounds BoundsOf(const Args& args) {
  server::LoadBounds bounds;
  if (args.Given("slo-ttft")) bounds.ttft = args.Number("slo-ttft");
  if (args.Given("slo-tpot")) bounds.tpot = args.Number("slo-tpot");
  if (args.Given("slo-e2e")) bounds.e2e = args.Number("slo-e2e");
  return bounds;
}

}  // namespace

Result<int> BenchServer(Context& context) {
  const Args& args = context.args;
  const bool agents = args.Given("agents");
  if (const std::optional<int> refused = RefuseFlags(context, agents)) return *refused;
  const std::string address = args.Given("serve") ? args.Text("serve") : kOwnServer;
  auto url = server::ParseUrl(address);
  if (!url) return WrongUsage(context, "--serve {}", url.error().message);
  std::string spec;
  if (args.OnCommandLine("kv")) {
    KV_ASSIGN_OR_RETURN(const std::vector<std::string> specs, SplitSpecs(args.Text("kv")));
    if (specs.size() != 1) return WrongUsage(context, "--kv: one spec at a time with --serve");
    spec = specs[0];
  }
  server::Trace trace;
  if (agents) {
    KV_ASSIGN_OR_RETURN(trace,
                        server::ReadTrace(args.Text("agents"), args.Int("block"), args.Int("cut")));
  }
  Interrupt::EndAtOnce(false);
  const StreamClient client(std::move(*url), {.api_key = args.Text("api-key"),
                                              .timeout = std::chrono::seconds(args.Int("timeout")),
                                              .stop = Interrupt::Pending});
  const ServerLoad load(context, client, address, std::move(spec));
  KV_RETURN_IF_ERROR(load.WarmUp());
  server::TraceRun run;
  if (!Interrupt::Pending()) {
    ProgressBar bar(context.console, "asking");
    if (agents) {
      run = load.Run(trace, bar);
    } else {
      run.requests = load.Run(bar);
    }
  }
  const std::vector<LoadedRequest>& requests = run.requests;
  const server::LoadFigures figures = server::FiguresOf(requests, BoundsOf(args));
  for (const LoadedRequest& request : requests) {
    if (request.answer.error.empty()) continue;
    context.console.Warn(
        fmt::format("a request failed: {} {}", request.answer.status, request.answer.error));
    break;
  }
  if (context.console.json()) {
    Json json = server::LoadJson(figures);
    if (agents) json["trace"] = server::TraceJson(trace, run);
    context.console.WriteJson(json);
  } else {
    context.console.Write(server::LoadText(figures) +
                          (agents ? server::TraceText(trace, run) : ""));
  }
  if (Interrupt::Pending()) return kExitInterrupted;
  return figures.n_failed < figures.n_requests ? kExitDone : kExitFailed;
}

}  // namespace kvasir::cli
