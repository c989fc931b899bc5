#include "server/server.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "server/access_log.h"
#include "server/api_keys.h"
#include "server/page.h"
#include "server/routes.h"

namespace kvasir::server {
namespace {

constexpr size_t kLongBody = 256 << 10;  // bytes: milliseconds to read, and more to tokenize

std::string ModelName(const ServerOptions& options, const ModelFacts& facts) {
  if (!options.model_name.empty()) return options.model_name;
  std::string path = facts.path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

class KvasirServer final : public Server {
 public:
  static Result<std::unique_ptr<Server>> Listen(const ServerOptions& options) {
    auto server = std::make_unique<KvasirServer>();
    server->options_ = options;
    server->keys_ = std::make_unique<ApiKeys>();
    if (!options.api_key_file.empty()) {
      KV_ASSIGN_OR_RETURN(server->keys_, ApiKeys::Read(options.api_key_file));
    }
    if (!options.slot_folder.empty() && !std::filesystem::is_directory(options.slot_folder)) {
      return Fail("--slot-save-path {}: there is no such folder", options.slot_folder);
    }
    KV_ASSIGN_OR_RETURN(
        server->http_,
        HttpServer::Start(
            options.host, options.port, options.limits,
            [s = server.get()](HttpRequest request, std::shared_ptr<Exchange> exchange) {
              s->Handle(std::move(request), std::move(exchange));
            },
            [](int status, std::string_view message) {
              return Dump(ErrorJson({.status = status, .message = std::string(message)}));
            }));
    return std::unique_ptr<Server>(std::move(server));
  }

  Status Serve(std::shared_ptr<LoadedModel> model) override {
    const ModelFacts& facts = model->facts();
    const std::string name = ModelName(options_, facts);
    const std::string fingerprint = fmt::format("kvasir-{:.8}", facts.fingerprint);
    BatchOptions batch = options_.batch;
    batch.on_end = [this](const BatchOutcome& outcome) { kv_counts_.Add(outcome); };
    KV_ASSIGN_OR_RETURN(engine_, BatchEngine::Start(std::move(model), batch));
    services_ = std::make_unique<Services>(
        Services{*engine_, stopping_, name, fingerprint, UnixTime(), options_.slot_folder});
    serving_ = true;  // what is above is seen by whoever sees this
    return {};
  }

  ~KvasirServer() override {
    stopping_ = true;
    if (http_) {
      http_->StopAccepting();
      http_->StopHandlers();
    }
    engine_.reset();  // its events speak to connections, so it goes before them
    http_.reset();
  }

  int port() const override { return http_->port(); }
  BatchEngine& engine() override { return *engine_; }
  int n_connections() const override { return http_->n_connections(); }

  bool Drain(std::chrono::milliseconds time) override {
    draining_ = true;
    http_->StopAccepting();
    if (serving_) engine_->Close();
    const auto end = std::chrono::steady_clock::now() + time;
    const auto busy = [&] { return (serving_ && !engine_->idle()) || n_replying_ > 0; };
    while (busy() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    // Replies are handed to the connections; a moment for their last bytes.
    if (!busy()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return !busy();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void Handle(HttpRequest request, std::shared_ptr<Exchange> exchange) {
    Call call;
    call.request_id = RequestId(request);
    std::string path = request.path;
    if (path.starts_with("/v1/")) path.erase(0, 3);
    // What the log wants to know when the reply is made; a stream's facts come before its end.
    auto entry = std::make_shared<LogEntry>(LogEntry{.request_id = call.request_id,
                                                     .peer = request.peer,
                                                     .method = request.method,
                                                     .path = request.path});
    const Route* route = FindRoute(request.method, path);
    ++n_replying_;
    const std::string name(route != nullptr ? route->path : IsBuiltIn(path) ? path : "other");
    HttpHeaders headers = {{"X-Request-Id", call.request_id}};
    if (!options_.cors_origin.empty()) {
      headers.emplace_back("Access-Control-Allow-Origin", options_.cors_origin);
      headers.emplace_back("Access-Control-Expose-Headers", "Retry-After, X-Request-Id");
    }
    call.exchange = std::make_shared<ObservedExchange>(
        std::move(exchange), std::move(headers),
        [this, entry, name, start = Clock::now()](int status) {
          entry->status = status;
          entry->ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
          counts_.Add(name, status);
          const std::string line = LogLine(options_.log, *entry);
          [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, line.data(), line.size());
          --n_replying_;
        });
    call.http = std::move(request);
    Dispatch(route, path, call, entry);
  }

  void Dispatch(const Route* route, const std::string& path, Call& call,
                const std::shared_ptr<LogEntry>& entry) {
    if (call.http.method == "OPTIONS") return Preflight(call);
    if (path == "/health" && Gets(call)) return Health(call);
    if (route != nullptr) call.error_body = route->error_body;
    if (draining_ && path != "/metrics") return call.Fail(ShuttingDown());
    if (!serving_) return StillLoading(call);
    if (path == "/metrics") return Metrics(call);
    if (const PageFile* file = FindPageFile(path)) return SendPage(*file, call);
    if (route == nullptr) return NotFound(path, call);
    if (route->access != Access::kPublic) {
      auto caller = Admit(call.http);
      if (!caller) return call.Fail(caller.error());
      entry->tenant = caller->tenant;
      call.caller = std::move(*caller);
    }
    if (route->path.ends_with('*')) call.operand = path.substr(route->path.find('*'));
    if (route->access == Access::kQuota) {
      if (auto begun = keys_->Begin(call.caller.tenant); !begun) return call.Fail(begun.error());
      call.on_end = [this, entry, tenant = call.caller.tenant](const GenerationFacts& facts) {
        entry->generated = true;
        entry->facts = facts;
        keys_->End(tenant, facts.n_prompt - facts.n_cached + facts.n_generated);
      };
    }
    if (route->takes_long) {
      RunLater(HttpServer::Later::kWork, options_.limits.long_threads, n_working_, *route, call);
    } else if (call.http.body.size() > kLongBody) {
      RunLater(HttpServer::Later::kReading, options_.limits.reading_threads, n_reading_, *route,
               call);
    } else {
      Run(*route, call);
    }
  }

  // Clients send a made-up key in the header that they do not use.
  ApiResult<Caller> Admit(const HttpRequest& request) const {
    const std::string key = request.Header("x-api-key");
    const std::string authorization = request.Header("authorization");
    auto caller = keys_->Admit(key.empty() ? authorization : key);
    if (!caller && !key.empty() && !authorization.empty()) caller = keys_->Admit(authorization);
    return caller;
  }

  // What waits for one of the threads waits in a queue of the same length as that for slots.
  void RunLater(HttpServer::Later kind, int n_threads, std::atomic<int64_t>& n_there,
                const Route& route, Call& call) {
    if (++n_there > n_threads + options_.batch.queue) {
      --n_there;
      call.Fail({.status = 429,
                 .message = "too many requests wait already; try again later, or start the server "
                            "with a longer --queue",
                 .code = "queue_full",
                 .retry_after_s = 2});
      return GiveBack(call);
    }
    http_->Do(kind, [this, &route, &n_there, own = std::make_shared<Call>(std::move(call))] {
      Run(route, *own);
      --n_there;
    });
  }

  void Run(const Route& route, Call& call) {
    try {
      if (const auto read = ReadBody(route, call); read) {
        route.endpoint(*services_, call);
      } else {
        call.Fail(read.error());
      }
    } catch (const std::exception& error) {  // of libraries: our own code throws nothing
      call.Fail({.status = 500, .message = error.what()});
    }
    GiveBack(call);
  }

  // Of a request that was refused before it began.
  void GiveBack(Call& call) {
    if (std::exchange(call.on_end, nullptr)) keys_->End(call.caller.tenant, 0);
  }

  static ApiResult<void> ReadBody(const Route& route, Call& call) {
    if (route.method != "POST") return {};
    const std::string coding = call.http.Header("content-encoding");
    if (!coding.empty() && coding != "identity") {
      return Refuse({.status = 415,
                     .message = fmt::format("the body has the Content-Encoding '{}': send it as it "
                                            "is, uncompressed",
                                            coding)});
    }
    if (route.path.starts_with("/slots")) return {};  // theirs may be empty
    auto body = ParseBody(call.http.body);
    if (!body) return Refuse(body.error());
    call.body = std::move(*body);
    call.http.body = {};
    return {};
  }

  // The client's own, where it is harmless in a log and in a header.
  static std::string RequestId(const HttpRequest& request) {
    const std::string id = request.Header("x-request-id");
    const bool good =
        !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '_' || c == '.';
        });
    return good ? id : RandomId("req-");
  }

  // Clients in pages send headers of their own (X-Stainless-…, Anthropic-Version): all that are
  // asked for are let in.
  static void Preflight(Call& call) {
    const std::string asked = call.http.Header("access-control-request-headers");
    call.exchange->Send(204, "", "",
                        {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                         {"Access-Control-Allow-Headers",
                          asked.empty() ? "Authorization, Content-Type, X-Api-Key" : asked},
                         {"Access-Control-Max-Age", "600"}});
  }

  void Health(Call& call) const {
    if (draining_) return call.Fail(ShuttingDown());
    // What waits for llama-server reads these fields.
    if (!serving_) {
      return call.Reply(
          {{"error", {{"code", 503}, {"message", "Loading model"}, {"type", ErrorType(503)}}}},
          503);
    }
    call.Reply({{"status", "ok"}});
  }

  static void StillLoading(Call& call) {
    call.Fail({.status = 503,
               .message = "the model is being loaded; try again in a moment",
               .code = "model_loading",
               .retry_after_s = 1});
  }

  void SendPage(const PageFile& file, Call& call) const {
    if (!Gets(call)) return NotFound(call.http.path, call);
    call.exchange->Send(200, file.type, std::string(file.text),
                        {{"Content-Security-Policy", std::string(kPagePolicy)},
                         {"X-Content-Type-Options", "nosniff"},
                         {"Cache-Control", "no-cache"}});
  }

  static bool Gets(const Call& call) {
    return call.http.method == "GET" || call.http.method == "HEAD";
  }

  void Metrics(Call& call) {
    if (!Gets(call)) return NotFound("/metrics", call);
    const BatchFigures batch = engine_->figures();
    const ModelInfo& info = engine_->model().info();
    call.exchange->Send(
        200, "text/plain; version=0.0.4; charset=utf-8",
        MetricsText({.model = services_->model_name,
                     .batch = batch,
                     .kv = kv_counts_.Figures(engine_->slots(), batch.kv_used_bytes,
                                              int64_t{info.n_layers} * info.n_kv_heads),
                     .http = counts_.Get(),
                     .n_connections = http_->n_connections(),
                     .n_refused = http_->n_refused(),
                     .started_at = static_cast<double>(services_->created),
                     .aliases = options_.aliases}));
  }

  void NotFound(const std::string& path, Call& call) const {
    const std::string allowed = AllowedMethods(path);
    if (!allowed.empty()) {
      return call.Fail({.status = 405,
                        .message = fmt::format("{} is not for {}: it takes {}", call.http.path,
                                               call.http.method, allowed),
                        .allow = allowed});
    }
    const std::string_view instead =
        path == "/completion" ? ": OpenAI's form of it is /v1/completions" : "";
    call.Fail({.status = 404, .message = fmt::format("there is no {}{}", call.http.path, instead)});
  }

  ServerOptions options_;
  std::unique_ptr<ApiKeys> keys_;
  HttpCounts counts_;
  KvCounts kv_counts_;
  std::unique_ptr<BatchEngine> engine_;
  std::unique_ptr<Services> services_;
  std::atomic<bool> serving_{false};  // engine_ and services_ are there
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> n_replying_{0};
  std::atomic<int64_t> n_working_{0}, n_reading_{0};  // on the threads for it, and waiting for them
  std::unique_ptr<HttpServer> http_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Listen(const ServerOptions& options) {
  return KvasirServer::Listen(options);
}

Result<std::unique_ptr<Server>> Server::Start(std::shared_ptr<LoadedModel> model,
                                              const ServerOptions& options) {
  KV_ASSIGN_OR_RETURN(std::unique_ptr<Server> server, Listen(options));
  KV_RETURN_IF_ERROR(server->Serve(std::move(model)));
  return server;
}

}  // namespace kvasir::server
