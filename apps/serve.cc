// kvasir serve: the HTTP server.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "commands.h"
#include "context.h"
#include "engine/loaded_model.h"
#include "server/server.h"

namespace kvasir::cli {
namespace {

server::ServerOptions ServerOptionsOf(const Args& args) {
  server::ServerOptions options;
  options.host = args.Text("host");
  options.port = static_cast<int>(args.Int("port"));
  options.batch.n_slots = static_cast<int>(args.Int("parallel"));
  options.batch.kv_memory = args.Bytes("kv-memory");
  options.batch.step_rows = args.Int("step-tokens");
  options.batch.queue = args.Int("queue");
  options.batch.kv = args.Text("kv");
  options.batch.kv_type = args.Text("kv-type");
  options.batch.ctx = args.Int("ctx");
  options.batch.deterministic = args.On("deterministic");
  options.api_key_file = args.Text("api-key-file");
  options.model_name = args.Text("alias");
  options.slot_folder = args.Text("slot-save-path");
  options.limits.ping_time = std::chrono::seconds(args.Int("ping-seconds"));
  options.cors_origin = args.Text("cors-origin");
  options.limits.body_bytes = static_cast<size_t>(args.Bytes("max-body"));
  options.limits.connections = static_cast<int>(args.Int("max-connections"));
  const std::string aliases = args.Text("metrics-aliases");
  options.aliases.vllm = aliases == "vllm" || aliases == "all";
  options.aliases.llamacpp = aliases == "llamacpp" || aliases == "all";
  options.log = args.On("quiet")                    ? server::LogFormat::kNone
                : args.Text("log-format") == "json" ? server::LogFormat::kJson
                                                    : server::LogFormat::kText;
  return options;
}

// SIGTERM and SIGINT, taken by a thread that waits for them: no handler, no race. Made before any
// other thread starts, so that all of them have the signals blocked.
class EndSignals {
 public:
  EndSignals() : state_(std::make_shared<State>()) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    std::thread([set, state = state_] { Take(set, *state); }).detach();
  }

  // Until this is called a signal ends the process: a load cannot be stopped half-way, and leaves
  // nothing to put in order. From now on the first one is only told, and a second one ends it.
  void TellFirst() { state_->first = kAwaited; }
  int Wait() const {
    state_->first.wait(kAwaited);
    return state_->first;
  }
  static int ExitCode(int which) { return which == SIGINT ? kExitInterrupted : kExitDone; }

 private:
  static constexpr int kNotAwaited = 0, kAwaited = -1;
  struct State {
    std::atomic<int> first{kNotAwaited};  // then the signal
  };

  static void Take(const sigset_t& set, State& state) {
    while (true) {
      int which = 0;
      sigwait(&set, &which);
      int before = kAwaited;
      if (!state.first.compare_exchange_strong(before, which)) {
        _exit(before == kNotAwaited ? ExitCode(which) : 128 + which);
      }
      state.first.notify_all();
    }
  }

  std::shared_ptr<State> state_;
};

// Large blocks go back to the system when they are freed: else they are carved out of what others
// left, and the memory of a server that runs for long creeps up.
void ReturnLargeBlocks() { mallopt(M_MMAP_THRESHOLD, 512 << 10); }

// A connection is a file: the usual soft limit of 1,024 is for programs of another kind.
void RaiseFileLimit() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// The base URL that clients are given. An IPv6 address stands in brackets.
std::string Url(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}/v1", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

bool IsLoopback(const std::string& host) {
  return host == "127.0.0.1" || host == "::1" || host == "localhost";
}

}  // namespace

Result<int> ServeCommand(Context& context) {
  EndSignals signals;
  RaiseFileLimit();
  ReturnLargeBlocks();
  const Args& args = context.args;
  // Clients that come early are told that the model is being loaded.
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<server::Server> server,
                      server::Server::Listen(ServerOptionsOf(args)));
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());
  signals.TellFirst();
  KV_RETURN_IF_ERROR(server->Serve(std::static_pointer_cast<LoadedModel>(model)));
  if (!IsLoopback(args.Text("host")) && !args.Given("api-key-file")) {
    context.console.Warn(
        "everybody who reaches this address may use the server; --api-key-file "
        "asks for keys");
  }
  const std::string url = Url(args.Text("host"), server->port());
  context.console.Info(fmt::format("serving on {}", url));
  if (context.console.json()) {
    context.console.WriteJson({{"url", url}, {"port", server->port()}});
  }
  const int which = signals.Wait();
  context.console.Info("shutting down: requests at hand are answered first");
  if (!server->Drain(std::chrono::seconds(args.Int("drain-seconds")))) {
    context.console.Warn("some answers were cut short");
  }
  return EndSignals::ExitCode(which);
}

}  // namespace kvasir::cli
