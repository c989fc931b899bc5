// The generator behind every generated sample: SplitMix64 (Steele, Lea, Flood 2014), seeded by a
// hash of what the sample is. The same (task, length, index, seed) gives the same sample on every
// machine. A change of what is drawn changes the samples: raise kGeneratorVersion then.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::eval {

inline constexpr int kGeneratorVersion = 2;

class Random {
 public:
  explicit Random(uint64_t state) : state_(state) {}
  // The stream of a sample.
  static Random For(std::string_view task, int64_t length, int64_t index, uint64_t seed);

  uint64_t Next();
  int64_t Below(int64_t n);  // 0 … n - 1, each equally likely. REQUIRES: n > 0
  int64_t Between(int64_t low, int64_t high) { return low + Below(high - low + 1); }  // both ends
  double Unit();                                                                      // [0, 1)
  // k different numbers of 0 … n - 1, in the order drawn. REQUIRES: k <= n
  std::vector<int64_t> Distinct(int64_t n, int64_t k);
  template <class T>
  void Shuffle(std::vector<T>& x) {
    for (size_t i = x.size(); i > 1; --i) {
      std::swap(x[i - 1], x[static_cast<size_t>(Below(static_cast<int64_t>(i)))]);
    }
  }
  template <class List>
  const auto& Pick(const List& list) {
    return list[static_cast<size_t>(Below(static_cast<int64_t>(std::size(list))))];
  }

  std::string Digits(int n);               // the first is not 0
  std::string Uuid();                      // version 4, lower-case
  std::string Letters(int n, char first);  // n letters from `first` ('A' or 'a') on

 private:
  uint64_t state_;
};

// FNV-1a; also names texts in result files.
uint64_t HashText(std::string_view text);
std::string Hex(uint64_t value);  // 16 digits

}  // namespace kvasir::eval
