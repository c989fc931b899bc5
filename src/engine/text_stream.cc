#include "engine/text_stream.h"

#include <algorithm>
#include <utility>

namespace kvasir {

StopFilter::StopFilter(const std::vector<std::string>& stop) {
  for (const std::string& text : stop) {
    if (!text.empty()) stop_.push_back(text);
  }
}

std::string StopFilter::Push(std::string_view text) {
  held_ += text;
  size_t end = std::string::npos;
  for (const std::string& stop : stop_) {
    const size_t at = held_.find(stop);
    if (at >= end) continue;
    end = at;
    stopped_by_ = &stop;
  }
  if (!stopped()) end = held_.size() - MaybeStart();
  std::string out = held_.substr(0, end);
  held_.erase(0, end);
  return out;
}

std::string StopFilter::Flush() { return stopped() ? std::string() : std::exchange(held_, {}); }

// Length of the longest end of held_ that begins a stop text.
size_t StopFilter::MaybeStart() const {
  size_t longest = 0;
  for (const std::string& stop : stop_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
    }
  }
  return longest;
}

std::string TextStream::Push(std::span<const int32_t> before, int32_t id) {
  return filter_.Push(characters_.Push(BytesAfter(*model_, before, id)));
}

std::string TextStream::Flush() {
  if (stopped()) return "";
  std::string text = filter_.Push(characters_.Flush());
  return text + filter_.Flush();
}

std::string BytesAfter(const Model& model, std::span<const int32_t> before, int32_t id) {
  std::vector<int32_t> ids(before.end() - std::min<size_t>(before.size(), 1), before.end());
  const size_t known = model.Detokenize(ids).size();
  ids.push_back(id);
  const std::string all = model.Detokenize(ids);
  return all.substr(std::min(known, all.size()));
}

}  // namespace kvasir
