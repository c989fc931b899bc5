#include "eval/excerpt.h"

#include <algorithm>

namespace kvasir::eval {
namespace {

constexpr size_t kAround = 100;  // bytes before and after an answer

bool IsInside(std::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

// The nearest beginning of a character at or before `at`.
size_t Floor(std::string_view text, size_t at) {
  while (at > 0 && IsInside(text, at)) --at;
  return std::min(at, text.size());
}

int64_t CountCharacters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

std::string Clip(std::string_view text, size_t n) {
  if (text.size() <= n) return std::string(text);
  return std::string(text.substr(0, Floor(text, n))) + "…";
}

Json Excerpt(std::string_view text, std::span<const std::string> answers, size_t n) {
  if (text.size() <= n) return Json::array({std::string(text)});
  std::vector<Span> pieces = {{0, n / 3}, {text.size() - n / 3, text.size()}};
  size_t left = n - 2 * (n / 3);
  for (const std::string& answer : answers) {
    const size_t at = answer.size() < 3 ? std::string_view::npos : text.find(answer);
    const size_t size = answer.size() + 2 * kAround;
    if (at == std::string_view::npos || size > left) continue;
    left -= size;
    pieces.push_back(
        {at - std::min(at, kAround), std::min(at + answer.size() + kAround, text.size())});
  }
  std::sort(pieces.begin(), pieces.end(), [](Span a, Span b) { return a.begin < b.begin; });
  Json excerpt = Json::array();
  size_t end = 0;
  std::string piece;
  for (const Span& span : pieces) {
    const size_t begin = Floor(text, std::max(span.begin, end));
    if (begin > end) {
      excerpt.push_back(std::move(piece));
      excerpt.push_back(CountCharacters(text.substr(end, begin - end)));
      piece.clear();
    }
    const size_t stop = std::max(Floor(text, span.end), begin);
    piece += text.substr(begin, stop - begin);
    end = std::max(end, stop);
  }
  excerpt.push_back(std::move(piece));
  return excerpt;
}

std::vector<std::string> CoarseMap(std::span<const std::string> lines, size_t n_each) {
  std::vector<std::string> coarse;
  for (size_t first = 0; first < lines.size(); first += n_each) {
    const auto some = lines.subspan(first, std::min(n_each, lines.size() - first));
    std::string line(some[0].size(), '0');
    for (size_t i = 0; i < line.size(); ++i) {
      size_t sum = 0;
      for (const std::string& each : some)
        sum += i < each.size() ? static_cast<size_t>(each[i] - '0') : 0;
      line[i] = static_cast<char>('0' + (2 * sum + some.size()) / (2 * some.size()));
    }
    coarse.push_back(std::move(line));
  }
  return coarse;
}

}  // namespace kvasir::eval
