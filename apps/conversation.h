// Conversation: the messages of a chat and the session that holds them. A turn reads only what the
// cache does not hold yet.
#pragma once

#include <string>
#include <vector>

#include "context.h"

namespace kvasir::cli {

struct Turn {
  std::string user;
  Generation answer = {};
  int64_t n_read = 0;  // tokens that were fed for it
  double read_ms = 0;
};

class Conversation {
 public:
  static Result<Conversation> Open(Context& context, std::shared_ptr<Model> model);

  // One message and its answer, which goes to standard output as it is made. Interrupted while
  // reading: the message is forgotten. Interrupted while answering: what was said stays.
  Result<Turn> Say(const std::string& text);
  Status SetSpec(const std::string& spec);  // the next turn reads everything again
  void Reset();                             // the system message stays
  // The session in `path`, the messages in `path`.json.
  Status Save(const std::string& path) const;
  Status Load(const std::string& path);

  const Session& session() const { return *session_; }
  const std::string& spec() const { return spec_; }

 private:
  Conversation(Context& context, std::shared_ptr<Model> model)
      : context_(&context), model_(std::move(model)) {}
  Result<std::vector<int32_t>> NewTokens(const std::string& rendered);

  Context* context_;
  std::shared_ptr<Model> model_;
  std::string spec_;
  std::unique_ptr<Session> session_;
  std::vector<Message> messages_;
  std::string read_text_;  // what the session holds, as text; empty: not known
};

}  // namespace kvasir::cli
