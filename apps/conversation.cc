#include "conversation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/replaceable.h"
#include "whole_file.h"

namespace kvasir::cli {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

// The last one is marked where the session holds the text up to its end.
std::string MessagesText(const std::vector<Message>& messages, bool read) {
  Json json = Json::array();
  for (const Message& message : messages) {
    json.push_back({{"role", message.role}, {"content", message.content}});
  }
  if (read) json.back()["read"] = true;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

struct SavedMessages {
  std::vector<Message> messages;
  bool read = false;
};

Result<SavedMessages> ReadMessages(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  const Json json = Json::parse(text, nullptr, false);
  const auto fails = [&] { return Fail("{}: not the messages of a saved chat", path); };
  if (!json.is_array()) return fails();
  SavedMessages saved;
  for (const Json& each : json) {
    const bool whole = each.is_object() && each.contains("role") && each["role"].is_string() &&
                       each.contains("content") && each["content"].is_string();
    if (!whole) return fails();
    saved.messages.push_back({each["role"].get<std::string>(), each["content"].get<std::string>()});
  }
  saved.read = !json.empty() && json.back().value("read", Json()) == true;
  return saved;
}

}  // namespace

Result<Conversation> Conversation::Open(Context& context, std::shared_ptr<Model> model) {
  Conversation conversation(context, std::move(model));
  KV_RETURN_IF_ERROR(conversation.SetSpec(context.args.Text("kv")));
  conversation.Reset();
  return conversation;
}

Status Conversation::SetSpec(const std::string& spec) {
  KV_ASSIGN_OR_RETURN(session_, Session::Open(model_, SessionOptionsOf(context_->args, spec)));
  spec_ = spec;
  read_text_.clear();
  return {};
}

void Conversation::Reset() {
  session_->Reset();
  read_text_.clear();
  messages_.clear();
  if (context_->args.Given("system"))
    messages_.push_back({"system", context_->args.Text("system")});
}

// What the session lacks of the rendered conversation. Usually that is what follows the text it
// holds: the tokens of an answer then stay as they were made. Where a template writes earlier turns
// differently now, the session goes back to what both have in common.
Result<std::vector<int32_t>> Conversation::NewTokens(const std::string& rendered) {
  if (!read_text_.empty() && rendered.size() > read_text_.size() &&
      rendered.starts_with(read_text_)) {
    return model_->Tokenize(std::string_view(rendered).substr(read_text_.size()), false);
  }
  std::vector<int32_t> all = TokenizeRendered(*model_, rendered);
  const std::vector<int32_t>& held = session_->tokens();
  const size_t most = std::min(held.size(), all.empty() ? 0 : all.size() - 1);
  size_t common = 0;
  while (common < most && held[common] == all[common]) ++common;
  if (common < held.size() && !session_->Truncate(static_cast<int64_t>(common))) {
    session_->Reset();
    common = 0;
  }
  all.erase(all.begin(), all.begin() + static_cast<int64_t>(common));
  return all;
}

Result<Turn> Conversation::Say(const std::string& text) {
  messages_.push_back({"user", text});
  const auto forget = [&](Error error) {
    messages_.pop_back();
    return tl::unexpected<Error>(std::move(error));
  };
  const auto rendered = model_->RenderChat(messages_);
  if (!rendered) return forget(rendered.error());
  auto tokens = NewTokens(*rendered);
  if (!tokens) return forget(tokens.error());

  Turn turn{.user = text, .n_read = static_cast<int64_t>(tokens->size())};
  const Clock::time_point start = Clock::now();
  if (const Status fed = FeedPrompt(*context_, *session_, *tokens); !fed) {
    return forget(fed.error());
  }
  turn.read_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  read_text_.clear();
  GenerateOptions options = GenerateOptionsOf(context_->args);
  options.on_text = [&](std::string_view piece) {
    if (!context_->console.json()) context_->console.Write(piece);
    return !Interrupt::Pending();
  };
  auto answer = Generate(*session_, options);
  if (!answer) return forget(answer.error());
  if (!answer->error.empty()) return forget(Error{answer->error});
  turn.answer = std::move(*answer);
  // A stop text is in the cache and not in the answer.
  if (turn.answer.stop_reason != "stop") read_text_ = *rendered + turn.answer.text;
  messages_.push_back({"assistant", turn.answer.text});
  return turn;
}

Status Conversation::Save(const std::string& path) const {
  KV_RETURN_IF_ERROR(CheckReplaceable(path));
  KV_RETURN_IF_ERROR(CheckReplaceable(path + ".json"));
  KV_RETURN_IF_ERROR(session_->Save(path));
  return WriteWhole(path + ".json", MessagesText(messages_, !read_text_.empty()));
}

Status Conversation::Load(const std::string& path) {
  KV_ASSIGN_OR_RETURN(SavedMessages saved, ReadMessages(path + ".json"));
  KV_RETURN_IF_ERROR(session_->Load(path));
  messages_ = std::move(saved.messages);
  read_text_.clear();
  if (!saved.read) return {};
  // Else the next turn would compare tokens, and an answer's need not be those of its text.
  const auto rendered = model_->RenderChat(std::span(messages_).first(messages_.size() - 1));
  if (rendered) read_text_ = *rendered + messages_.back().content;
  return {};
}

}  // namespace kvasir::cli
