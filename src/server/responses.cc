#include "server/responses.h"

namespace kvasir::server {
namespace {

class ResponsesDialect final : public Dialect {
 public:
  ResponsesDialect(ReplyFacts facts, const Json& body)
      : facts_(std::move(facts)), item_id_(RandomId("msg_")) {
    echoed_ = {{"instructions", body.value("instructions", Json())},
               {"max_output_tokens", body.value("max_output_tokens", Json())},
               {"temperature", body.value("temperature", Json(1.0))},
               {"top_p", body.value("top_p", Json(1.0))},
               {"metadata", body.value("metadata", Json::object())}};
  }

  Json Whole(std::span<const Choice> choices) override { return Completed(choices[0]); }

  void Start(EventStream& out, size_t) override {
    Emit(out, "response.created", {{"response", Response("in_progress", Json::array())}});
    Emit(out, "response.in_progress", {{"response", Response("in_progress", Json::array())}});
    Emit(out, "response.output_item.added",
         {{"output_index", 0}, {"item", Item("in_progress", Json::array())}});
    Emit(out, "response.content_part.added", At({{"part", Part("")}}));
  }

  void Piece(EventStream& out, const Choice&, const BatchEvent& event) override {
    if (event.text.empty()) return;
    text_ += event.text;
    Emit(out, "response.output_text.delta",
         At({{"delta", event.text}, {"logprobs", Json::array()}}));
  }

  void Last(EventStream& out, const Choice& choice) override {
    Emit(out, "response.output_text.done", At({{"text", text_}, {"logprobs", Json::array()}}));
    Emit(out, "response.content_part.done", At({{"part", Part(text_)}}));
    Emit(out, "response.output_item.done",
         {{"output_index", 0}, {"item", Item("completed", Json::array({Part(text_)}))}});
    Choice whole = choice;
    whole.text = text_;
    const Json response = Completed(whole);
    Emit(out, response["status"] == "completed" ? "response.completed" : "response.incomplete",
         {{"response", response}});
  }

  void Finish(EventStream&, std::span<const Choice>) override {}

  void Error(EventStream& out, const ApiError& error) override {
    Emit(out, "error", {{"code", error.code}, {"message", error.message}, {"param", nullptr}});
  }

 private:
  static Json Part(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}};
  }
  Json Item(std::string_view status, Json content) const {
    return {{"type", "message"},
            {"id", item_id_},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }
  Json At(Json fields) const {
    fields["item_id"] = item_id_;
    fields["output_index"] = 0;
    fields["content_index"] = 0;
    return fields;
  }
  Json Response(std::string_view status, Json output) const {
    Json response = {{"id", facts_.id},
                     {"object", "response"},
                     {"created_at", facts_.created},
                     {"status", status},
                     {"error", nullptr},
                     {"incomplete_details", nullptr},
                     {"model", facts_.model},
                     {"output", std::move(output)},
                     {"parallel_tool_calls", true},
                     {"tool_choice", "auto"},
                     {"tools", Json::array()},
                     {"store", false},
                     {"usage", nullptr}};
    for (const auto& [name, value] : echoed_.items()) response[name] = value;
    return response;
  }
  Json Completed(const Choice& choice) const {
    const BatchOutcome& outcome = choice.outcome;
    const bool full = outcome.finish == "length";
    Json response = Response(
        full ? "incomplete" : "completed",
        Json::array({Item(full ? "incomplete" : "completed", Json::array({Part(choice.text)}))}));
    if (full) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
    response["usage"] = {{"input_tokens", outcome.n_prompt},
                         {"input_tokens_details", {{"cached_tokens", outcome.n_cached}}},
                         {"output_tokens", outcome.n_generated},
                         {"output_tokens_details", {{"reasoning_tokens", 0}}},
                         {"total_tokens", outcome.n_prompt + outcome.n_generated}};
    response["kv"] = KvJson(outcome);
    return response;
  }
  void Emit(EventStream& out, std::string_view type, Json fields) {
    Json event = {{"type", type}, {"sequence_number", n_events_++}};
    event.update(fields);
    out.Event(type, event);
  }

  const ReplyFacts facts_;
  const std::string item_id_;
  Json echoed_;
  std::string text_;
  int64_t n_events_ = 0;
};

}  // namespace

ApiResult<Json> ChatBodyOfResponses(const Json& body) {
  const auto wrong = [](std::string_view name, std::string_view what) {
    return Refuse({.message = fmt::format("'{}': {}", name, what), .param = std::string(name)});
  };
  Json messages = Json::array();
  Fields fields(body);
  if (const auto instructions = fields.Text("instructions")) {
    messages.push_back({{"role", "system"}, {"content", *instructions}});
  }
  const Json* input = fields.Get("input");
  if (input == nullptr) return wrong("input", "missing");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
  } else if (input->is_array()) {
    for (const Json& item : *input) {
      const Json type = item.is_object() ? item.value("type", Json("message")) : Json();
      if (type != "message") return wrong("input", "items are messages: this server reads text");
      messages.push_back(
          {{"role", item.value("role", Json())}, {"content", item.value("content", Json())}});
    }
  } else {
    return wrong("input", "expected a text or an array of messages");
  }
  if (fields.Get("previous_response_id") != nullptr) {
    return wrong("previous_response_id",
                 "responses are not stored here: send the whole conversation");
  }
  if (const Json* tools = fields.Array("tools"); tools != nullptr && !tools->empty()) {
    return Refuse({.status = 501,
                   .message = "'tools' are served at /v1/chat/completions and /v1/messages",
                   .param = "tools"});
  }
  Json chat = {{"messages", std::move(messages)}};
  for (const char* name : {"model", "temperature", "top_p", "stream", "kv", "seed", "user"}) {
    if (body.contains(name)) chat[name] = body[name];
  }
  if (const Json* most = fields.Get("max_output_tokens")) chat["max_tokens"] = *most;
  if (const Json* text = fields.Object("text"); text != nullptr && text->contains("format")) {
    // {"type": "json_schema", "name", "schema"} here, one level deeper in a chat completion.
    Json format = (*text)["format"];
    if (format.is_object() && format.value("type", Json()) == "json_schema") {
      format = {{"type", "json_schema"}, {"json_schema", format}};
    }
    chat["response_format"] = std::move(format);
  }
  if (fields.error()) return Refuse(*fields.error());
  return chat;
}

std::unique_ptr<Dialect> MakeResponsesDialect(ReplyFacts facts, const Json& body) {
  return std::make_unique<ResponsesDialect>(std::move(facts), body);
}

}  // namespace kvasir::server
