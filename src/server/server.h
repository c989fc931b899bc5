// Server: `kvasir serve`. Routes requests to endpoints, checks keys and quotas, writes the log. It
// listens before there is a model: until that is loaded, every request is told to come back.
#pragma once

#include <memory>
#include <string>

#include "engine/batch_engine.h"
#include "server/http_server.h"
#include "server/metrics.h"

namespace kvasir::server {

enum class LogFormat : uint8_t { kNone, kText, kJson };

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  // 0: any free one
  BatchOptions batch = {};
  HttpLimits limits = {};
  std::string api_key_file = {};  // empty: no keys
  std::string model_name = {};    // empty: as the file is called
  std::string slot_folder = {};   // where slots are saved; empty: nowhere
  std::string cors_origin = {};   // empty: browsers of other origins are not let in
  MetricAliases aliases = {};
  LogFormat log = LogFormat::kText;
};

class Server {
 public:
  // Takes connections, and answers 503 until Serve is called.
  static Result<std::unique_ptr<Server>> Listen(const ServerOptions& options);
  // The model is there: requests are served from now on. Called once; after an error (the options
  // do not fit the model) it answers 503 as before.
  virtual Status Serve(std::shared_ptr<LoadedModel> model) = 0;
  // Listen, then Serve.
  static Result<std::unique_ptr<Server>> Start(std::shared_ptr<LoadedModel> model,
                                               const ServerOptions& options);
  virtual ~Server() = default;
  virtual int port() const = 0;
  virtual BatchEngine& engine() = 0;  // REQUIRES: Serve was called
  virtual int n_connections() const = 0;
  // Takes no new connections or requests; waits until those at hand are answered, `time` at most.
  // False: some were not.
  virtual bool Drain(std::chrono::milliseconds time) = 0;
};

}  // namespace kvasir::server
