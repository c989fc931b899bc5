// Any bytes as the body of a request: JSON, messages in all three forms, sampling fields, the `kv`
// object.
#include <cstdint>
#include <string_view>

#include "server/chat.h"
#include "server/messages.h"
#include "server/responses.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir::server;
  const auto body = ParseBody({reinterpret_cast<const char*>(data), size});
  if (!body) return 0;
  (void)ReadConversation(*body);
  for (const auto& chat : {ChatBodyOfMessages(*body, true), ChatBodyOfResponses(*body)}) {
    if (chat) (void)ReadConversation(*chat);
  }
  Fields fields(*body);
  kvasir::BatchRequest request;
  ReplyOptions reply;
  ReadGeneration(fields, {.ctx = 4096, .n_vocab = 1000, .n_slots = 4}, 16, request, reply);
  if (fields.error()) (void)Dump(ErrorJson(*fields.error()));
  return 0;
}
