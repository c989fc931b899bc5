#include "eval/random.h"

#include <fmt/core.h>

#include <unordered_set>

#include "base/result.h"

namespace kvasir::eval {

Random Random::For(std::string_view task, int64_t length, int64_t index, uint64_t seed) {
  Random random(HashText(fmt::format("{}|{}|{}|{}", task, length, index, seed)));
  random.Next();  // neighbouring hashes part at once
  return random;
}

uint64_t Random::Next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int64_t Random::Below(int64_t n) {
  KV_CHECK(n > 0);
  const auto bound = static_cast<uint64_t>(n);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;  // a multiple of n: no bias
  uint64_t value = Next();
  while (value >= limit) value = Next();
  return static_cast<int64_t>(value % bound);
}

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

std::vector<int64_t> Random::Distinct(int64_t n, int64_t k) {
  KV_CHECK(k <= n);
  std::vector<int64_t> drawn;
  std::unordered_set<int64_t> seen;
  if (2 * k < n) {
    while (static_cast<int64_t>(drawn.size()) < k) {
      const int64_t value = Below(n);
      if (seen.insert(value).second) drawn.push_back(value);
    }
    return drawn;
  }
  drawn.resize(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) drawn[i] = i;
  Shuffle(drawn);
  drawn.resize(static_cast<size_t>(k));
  return drawn;
}

std::string Random::Digits(int n) {
  std::string text(1, static_cast<char>('1' + Below(9)));
  while (static_cast<int>(text.size()) < n) text += static_cast<char>('0' + Below(10));
  return text;
}

std::string Random::Uuid() {
  const uint64_t high = (Next() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (Next() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffff);
}

std::string Random::Letters(int n, char first) {
  std::string text;
  while (static_cast<int>(text.size()) < n) text += static_cast<char>(first + Below(26));
  return text;
}

uint64_t HashText(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash;
}

std::string Hex(uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace kvasir::eval
