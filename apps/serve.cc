// kvasir serve: the HTTP server.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "commands.h"
#include "context.h"
#include "engine/loaded_model.h"
#include "server/server.h"

namespace kvasir::cli {
namespace {

server::ServerOptions OptionsOf(const Args& args) {
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

// SIGTERM and SIGINT, taken by waiting for them: no handler, no race. Blocked before any thread
// starts, so that all threads have them blocked.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  int Wait() const {
    int which = 0;
    sigwait(&set_, &which);
    return which;
  }

 private:
  sigset_t set_;
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

}  // namespace

Result<int> ServeCommand(Context& context) {
  const EndSignals signals;
  RaiseFileLimit();
  ReturnLargeBlocks();
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());
  const Args& args = context.args;
  KV_ASSIGN_OR_RETURN(
      const std::unique_ptr<server::Server> server,
      server::Server::Start(std::static_pointer_cast<LoadedModel>(model), OptionsOf(args)));
  const bool loopback = args.Text("host") == "127.0.0.1" || args.Text("host") == "::1" ||
                        args.Text("host") == "localhost";
  if (!loopback && !args.Given("api-key-file")) {
    context.console.Warn(
        "everybody who reaches this address may use the server; --api-key-file "
        "asks for keys");
  }
  context.console.Info(
      fmt::format("serving on http://{}:{}/v1", args.Text("host"), server->port()));
  const int which = signals.Wait();
  context.console.Info("shutting down: requests at hand are answered first");
  // A second signal ends it at once.
  std::thread([&signals] { _exit(128 + signals.Wait()); }).detach();
  if (!server->Drain(std::chrono::seconds(args.Int("drain-seconds")))) {
    context.console.Warn("some answers were cut short");
  }
  return which == SIGINT ? kExitInterrupted : kExitDone;
}

}  // namespace kvasir::cli
