#include "kernels/cpu/i16_codes.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace kvasir::cpu {
namespace {

constexpr float kLargest = 32767.0f;
constexpr double kNorm = 46300.0;  // rounding may add 8

float LargestOf(const float* x, int n) {
  float largest = 0.0f;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  return largest;
}

// Rounds to nearest even; infinities become the largest integers. Returns the step, one that can be
// divided by and whose multiples are finite.
float Round(const float* x, int n, float step, int16_t* codes) {
  if (step == 0.0f) {
    std::fill_n(codes, n, int16_t{0});
    return step;
  }
  step = std::clamp(step, FLT_MIN, FLT_MAX / (kLargest + 1));  // a NaN stays
  const float inverse = 1.0f / step;
  for (int i = 0; i < n; ++i) {
    const float code = std::clamp(x[i] * inverse, -kLargest, kLargest);
    constexpr float kMagic = 0x1.8p23f;  // adding it rounds to an integer in the low bits
    codes[i] = static_cast<int16_t>(std::bit_cast<int32_t>(code + kMagic));
  }
  return step;
}

// f(place in the plane) for every integer of an entry, in the order of the channels.
template <class F>
void ForEach(PlaneKind kind, int dim, int slot, const F& f) {
  if (kind == PlaneKind::kKeys) {
    for (int c = 0; c < dim; ++c) f(c, (c / 2 * kPageEntries + slot) * 2 + c % 2);
  } else {
    for (int c = 0; c < dim; ++c) f(c, (slot / 2 * dim + c) * 2 + slot % 2);
  }
}

int16_t* CodesOf(std::byte* plane) { return reinterpret_cast<int16_t*>(plane); }
const int16_t* CodesOf(const std::byte* plane) { return reinterpret_cast<const int16_t*>(plane); }

// The zero beside an odd last channel.
void FillPair(PlaneKind kind, int dim, int slot, std::byte* plane) {
  if (kind == PlaneKind::kValues || dim % 2 == 0) return;
  CodesOf(plane)[(dim / 2 * kPageEntries + slot) * 2 + 1] = 0;
}

}  // namespace

float KeyCodes(const float* x, int n, int16_t* codes) {
  double sums[4] = {};  // four chains, in an order of their own
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int k = 0; k < 4; ++k) sums[k] += static_cast<double>(x[i + k]) * x[i + k];
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(x[i]) * x[i];
  const double norm = std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
  const auto by_norm = static_cast<float>(norm / kNorm);
  return Round(x, n, std::max(by_norm, LargestOf(x, n) / kLargest), codes);
}

float ValueCodes(const float* x, int n, int16_t* codes) {
  return Round(x, n, LargestOf(x, n) / kLargest, codes);
}

void EncodeI16(PlaneKind kind, int dim, const float* x, int slot, std::byte* plane) {
  int16_t codes[kMostChannels];
  const float step = kind == PlaneKind::kKeys ? KeyCodes(x, dim, codes) : ValueCodes(x, dim, codes);
  int16_t* to = CodesOf(plane);
  ForEach(kind, dim, slot, [&](int c, int at) { to[at] = codes[c]; });
  FillPair(kind, dim, slot, plane);
  std::memcpy(plane + I16Layout(kind, dim).scales + slot * sizeof step, &step, sizeof step);
}

void DecodeI16(PlaneKind kind, int dim, const std::byte* plane, int slot, float* x) {
  float step;
  std::memcpy(&step, plane + I16Layout(kind, dim).scales + slot * sizeof step, sizeof step);
  const int16_t* from = CodesOf(plane);
  ForEach(kind, dim, slot, [&](int c, int at) { x[c] = static_cast<float>(from[at]) * step; });
}

void CopyI16(PlaneKind kind, int dim, const std::byte* from, int from_slot, std::byte* to,
             int to_slot) {
  int16_t codes[kMostChannels];
  ForEach(kind, dim, from_slot, [&](int c, int at) { codes[c] = CodesOf(from)[at]; });
  ForEach(kind, dim, to_slot, [&](int c, int at) { CodesOf(to)[at] = codes[c]; });
  FillPair(kind, dim, to_slot, to);
  const int64_t scales = I16Layout(kind, dim).scales;
  std::memmove(to + scales + to_slot * sizeof(float), from + scales + from_slot * sizeof(float),
               sizeof(float));
}

}  // namespace kvasir::cpu
