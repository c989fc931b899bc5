// TextStream: the tokens of an answer to text, in whole UTF-8 characters, up to a stop text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/kvasir.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {

// Lets text out up to a stop text, and holds back an end that may become one.
class StopFilter {
 public:
  explicit StopFilter(const std::vector<std::string>& stop);
  std::string Push(std::string_view text);
  std::string Flush();
  bool stopped() const { return stopped_by_ != nullptr; }
  const std::string* stopped_by() const { return stopped_by_; }

 private:
  size_t MaybeStart() const;

  std::vector<std::string> stop_;
  std::string held_;
  const std::string* stopped_by_ = nullptr;
};

class TextStream {
 public:
  TextStream(const Model& model, const std::vector<std::string>& stop)
      : model_(&model), filter_(stop) {}

  // The text that is certain once token `id`, which follows `before`, has come.
  std::string Push(std::span<const int32_t> before, int32_t id);
  // At the end: what was held back, unless a stop text came.
  std::string Flush();
  bool stopped() const { return filter_.stopped(); }
  const std::string* stopped_by() const { return filter_.stopped_by(); }

 private:
  const Model* model_;
  Utf8Stream characters_;
  StopFilter filter_;
};

// The bytes that a token adds after the one before it: the first token of a text may lose a space.
std::string BytesAfter(const Model& model, std::span<const int32_t> before, int32_t id);

}  // namespace kvasir
