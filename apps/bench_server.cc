#include "bench_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "eval/words.h"
#include "methods/spec.h"
#include "server/load/load_figures.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;
using server::LoadedRequest;
using server::StreamClient;
using server::StreamedAnswer;

constexpr int64_t kMostAtOnce = 512;  // of requests that come when they come

// Flags of the other benchmark, which a server has no use for.
constexpr std::string_view kNotForServers[] = {"depth",   "batch",     "threads", "repeat", "file",
                                               "kv-type", "kv-memory", "chunk",   "cpu"};

class ServerLoad {
 public:
  ServerLoad(Context& context, const StreamClient& client, std::string spec)
      : args_(context.args), client_(client), spec_(std::move(spec)) {}

  // A server that does not answer this needs no load.
  Status WarmUp() const {
    const StreamedAnswer answer = Ask(-1, StreamClient::Clock::now());
    const std::string url = args_.Text("serve");
    if (answer.ok() || Interrupt::Pending()) return {};
    if (answer.status == 0) {
      return Fail("{}: {}; `kvasir serve --port N` starts a server", url, answer.error);
    }
    const bool no_key = answer.status == 401 || answer.status == 403;
    const bool no_path = answer.status == 404 || answer.status == 405;
    return Fail("{}: it answers with status {}: {}{}", url, answer.status, answer.error,
                no_key    ? "; --api-key KEY is sent as its key"
                : no_path ? "; the URL ends where /completions follows, as in http://host:8080/v1"
                          : "");
  }

  std::vector<LoadedRequest> Run(ProgressBar& bar) const {
    server::LoadOptions load{.n_requests = args_.Int("requests"),
                             .n_clients = args_.Int("clients", 1)};
    if (args_.Given("rate")) {
      load.due = server::Arrivals(load.n_requests, args_.Number("rate"), Seed());
      load.n_clients = kMostAtOnce;
    }
    return server::RunLoad(
        load, [&](int64_t i, StreamClient::Clock::time_point due) { return Ask(i, due); },
        Interrupt::Pending, [&](int64_t done) { bar.Show(done, load.n_requests); });
  }

 private:
  uint64_t Seed() const { return static_cast<uint64_t>(args_.Int("seed")); }

  // Lengths take turns; every text is another. -1: one that does not count.
  StreamedAnswer Ask(int64_t request, StreamClient::Clock::time_point due) const {
    const std::vector<int64_t> lengths = args_.Ints("prompt");
    const int64_t length =
        lengths[static_cast<size_t>(std::max<int64_t>(request, 0)) % lengths.size()];
    eval::Prose prose(eval::Random::For("load", length, request, Seed()));
    Json body = {{"model", "any"},
                 {"prompt", prose.Words(length)},
                 {"max_tokens", args_.Int("gen")},
                 {"temperature", 0},
                 {"ignore_eos", true},  // answers of one length, where the server can
                 {"stream", true},
                 {"stream_options", {{"include_usage", true}}}};
    if (!spec_.empty()) body["kv"] = {{"spec", spec_}};
    return client_.Ask("/completions", body.dump(), due);
  }

  const Args& args_;
  const StreamClient& client_;
  const std::string spec_;
};

}  // namespace

Result<int> BenchServer(Context& context) {
  const Args& args = context.args;
  for (const std::string_view flag : kNotForServers) {
    if (args.OnCommandLine(flag)) {
      return WrongUsage(context, "--{} is for a model in this process: leave it out with --serve",
                        flag);
    }
  }
  if (args.Given("clients") && args.Given("rate")) {
    return WrongUsage(context,
                      "--clients N wait for their answers, --rate R do not: one of the two");
  }
  auto url = server::ParseUrl(args.Text("serve"));
  if (!url) return WrongUsage(context, "--serve {}", url.error().message);
  std::string spec;
  if (args.OnCommandLine("kv")) {
    KV_ASSIGN_OR_RETURN(const std::vector<std::string> specs, SplitSpecs(args.Text("kv")));
    if (specs.size() != 1) return WrongUsage(context, "--kv: one spec at a time with --serve");
    spec = specs[0];
  }
  Interrupt::EndAtOnce(false);
  const StreamClient client(std::move(*url), {.api_key = args.Text("api-key"),
                                              .timeout = std::chrono::seconds(args.Int("timeout")),
                                              .stop = Interrupt::Pending});
  const ServerLoad load(context, client, std::move(spec));
  KV_RETURN_IF_ERROR(load.WarmUp());
  std::vector<LoadedRequest> requests;
  if (!Interrupt::Pending()) {
    ProgressBar bar(context.console, "asking");
    requests = load.Run(bar);
  }
  server::LoadBounds bounds;
  if (args.Given("slo-ttft")) bounds.ttft = args.Number("slo-ttft");
  if (args.Given("slo-tpot")) bounds.tpot = args.Number("slo-tpot");
  if (args.Given("slo-e2e")) bounds.e2e = args.Number("slo-e2e");
  const server::LoadFigures figures = server::FiguresOf(requests, bounds);
  for (const LoadedRequest& request : requests) {
    if (request.answer.error.empty()) continue;
    context.console.Warn(
        fmt::format("a request failed: {} {}", request.answer.status, request.answer.error));
    break;
  }
  if (context.console.json()) {
    context.console.WriteJson(server::LoadJson(figures));
  } else {
    context.console.Write(server::LoadText(figures));
  }
  if (Interrupt::Pending()) return kExitInterrupted;
  return figures.n_failed < figures.n_requests ? kExitDone : kExitFailed;
}

}  // namespace kvasir::cli
