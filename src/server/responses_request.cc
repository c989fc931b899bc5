// A request to /v1/responses as one to /v1/chat/completions.
#include "server/responses.h"

namespace kvasir::server {
namespace {

bool IsText(const Json& item, const char* field) {
  return item.contains(field) && item[field].is_string();
}

// Calls of one turn are items of their own here, and one message in a chat.
void AddCall(const Json& item, Json& messages) {
  if (messages.empty() || messages.back()["role"] != "assistant") {
    messages.push_back({{"role", "assistant"}, {"content", nullptr}});
  }
  Json& calls = messages.back()["tool_calls"];
  if (calls.is_null()) calls = Json::array();
  calls.push_back({{"id", item["call_id"]},
                   {"type", "function"},
                   {"function", {{"name", item["name"]}, {"arguments", item["arguments"]}}}});
}

ApiResult<void> AddItem(const Json& item, const std::string& place, Json& messages) {
  if (!item.is_object()) return RefuseField(place, "expected an object");
  const Json type = item.value("type", Json("message"));
  if (type == "message") {
    messages.push_back(
        {{"role", item.value("role", Json())}, {"content", item.value("content", Json())}});
  } else if (type == "function_call") {
    if (!IsText(item, "call_id") || !IsText(item, "name") || !IsText(item, "arguments")) {
      return RefuseField(place, "a function_call has call_id, name and arguments, all texts");
    }
    AddCall(item, messages);
  } else if (type == "function_call_output") {
    if (!IsText(item, "call_id") || !item.contains("output")) {
      return RefuseField(place, "a function_call_output has call_id and output");
    }
    messages.push_back(
        {{"role", "tool"}, {"tool_call_id", item["call_id"]}, {"content", item["output"]}});
  } else if (type != "reasoning") {  // of earlier turns: the model does not read it again
    return RefuseField(place,
                       fmt::format("items are message, function_call, function_call_output or "
                                   "reasoning, and not {}",
                                   Dump(type)));
  }
  return {};
}

ApiResult<Json> ChatMessages(Fields& fields) {
  Json messages = Json::array();
  if (const auto instructions = fields.Text("instructions")) {
    messages.push_back({{"role", "system"}, {"content", *instructions}});
  }
  const Json* input = fields.Get("input");
  if (fields.error()) return Refuse(*fields.error());
  if (input == nullptr) return RefuseField("input", "missing");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array() || input->empty()) {
    return RefuseField("input", "expected a text or an array of items, one at least");
  }
  for (size_t i = 0; i < input->size(); ++i) {
    const auto added = AddItem((*input)[i], fmt::format("input[{}]", i), messages);
    if (!added) return Refuse(added.error());
  }
  return messages;
}

// {"type": "function", "name", …} here, one level deeper in a chat; and so is the choice.
ApiResult<void> AddFunctions(Fields& fields, Json& chat) {
  const Json* tools = fields.Array("tools");
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const Json& tool = (*tools)[i];
    const std::string place = fmt::format("tools[{}]", i);
    if (!tool.is_object() || tool.value("type", Json()) != "function" || !IsText(tool, "name")) {
      return RefuseField(place,
                         "expected {\"type\": \"function\", \"name\", …}: tools that a server "
                         "would have to run are not there");
    }
    Json function = {{"name", tool["name"]}};
    for (const char* name : {"description", "parameters", "strict"}) {
      if (tool.contains(name)) function[name] = tool[name];
    }
    chat["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  const Json* choice = fields.Get("tool_choice");
  if (choice == nullptr) return {};
  chat["tool_choice"] = *choice;
  if (choice->is_object() && choice->value("type", Json()) == "function") {
    chat["tool_choice"] = {{"type", "function"},
                           {"function", {{"name", choice->value("name", Json())}}}};
  }
  return {};
}

// `include` asks for log-probabilities, `top_logprobs` says of how many tokens; each alone does
// too, and so does a chat's `logprobs`.
void AddLogprobs(Fields& fields, Json& chat) {
  const auto top = fields.Integer("top_logprobs", 0, 20);
  bool wanted = fields.Flag("logprobs").value_or(top.value_or(0) > 0);
  const Json* include = fields.Array("include");
  for (size_t i = 0; include != nullptr && i < include->size(); ++i) {
    wanted = wanted || (*include)[i] == "message.output_text.logprobs";
  }
  if (!wanted) return;
  if (chat.contains("tools")) {
    fields.Fail(top                                 ? "top_logprobs"
                : fields.Get("logprobs") != nullptr ? "logprobs"
                                                    : "include",
                "log-probabilities are of the text of a message, and are not told together with "
                "'tools'; leave one of them out");
  }
  chat["logprobs"] = true;
  chat["top_logprobs"] = top.value_or(0);
}

}  // namespace

ApiResult<Json> ChatBodyOfResponses(const Json& body) {
  Fields fields(body);
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.Get(name) != nullptr) {
      return RefuseField(name, "nothing is stored here: send the whole conversation as 'input'");
    }
  }
  if (fields.Flag("background").value_or(false)) {
    return RefuseField("background", "responses are made while the client waits");
  }
  auto messages = ChatMessages(fields);
  if (!messages) return Refuse(messages.error());
  // Items are whole: the answer is a new one, also after an assistant's.
  Json chat = {{"messages", std::move(*messages)}, {"continue_final_message", false}};
  for (const char* name :
       {"model", "temperature", "top_p", "top_k", "min_p", "stop", "logit_bias", "stream", "kv",
        "seed", "user", "parallel_tool_calls", "prompt_cache_key", "chat_template_kwargs",
        "cache_salt", "priority", "id_slot", "cache_prompt"}) {
    if (body.contains(name)) chat[name] = body[name];
  }
  if (const Json* most = fields.Get("max_output_tokens")) chat["max_tokens"] = *most;
  if (const Json* text = fields.Object("text"); text != nullptr && text->contains("format")) {
    // {"type": "json_schema", "name", "schema"}: the reader of response_format knows it.
    chat["response_format"] = (*text)["format"];
  }
  const auto tools = AddFunctions(fields, chat);
  if (!tools) return Refuse(tools.error());
  AddLogprobs(fields, chat);
  if (fields.error()) return Refuse(*fields.error());
  return chat;
}

}  // namespace kvasir::server
