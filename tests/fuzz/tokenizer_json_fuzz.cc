// Any bytes as tokenizer.json: no crash, no hang, no large allocation. What is accepted must encode
// and decode; ids stay inside the vocabulary.
//
// The input is the JSON, then (after the last zero byte) a text to encode.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/tokenizer/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view json(reinterpret_cast<const char*>(bytes), size);
  std::string_view text = "The quick  brown fox\n\xe2\x96\x81 1234 don't \xc3\xa9\xff\xf0\x9f\x98";
  if (const size_t cut = json.rfind('\0'); cut != std::string_view::npos) {
    text = json.substr(cut + 1);
    json = json.substr(0, cut);
  }
  const auto tokenizer = kvasir::TokenizerFromJson(json, json);
  if (!tokenizer) {
    KV_CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  for (const bool special : {true, false}) {
    const std::vector<int32_t> ids = tokenizer->Encode(text, {.parse_special = special});
    for (const int32_t id : ids) KV_CHECK(id >= 0 && id < tokenizer->n_vocab());
    (void)tokenizer->Decode(ids, {.special = special});
  }
  return 0;
}
