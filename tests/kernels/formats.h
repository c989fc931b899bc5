// The formats that tests of kernels go through.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/plane_format.h"

namespace kvasir {

inline std::vector<PlaneFormat> FloatFormats(int dim) {
  return {FloatPlane(CodecId::kF32, dim), FloatPlane(CodecId::kF16, dim),
          FloatPlane(CodecId::kBF16, dim)};
}

// Every mechanism in every width; keys also with fewer channels than the head has.
inline std::vector<PlaneFormat> LowBitFormats(PlaneKind kind, int dim) {
  std::vector<PlaneFormat> formats = {Q8Plane(dim)};
  for (int bits : {2, 3, 4, 8}) {
    formats.push_back(TokenPlane(bits, dim));
    formats.push_back(TokenPlane(bits, dim, std::max(8, dim / 16 * 8)));  // half a head
  }
  for (int bits : {2, 4, 8}) {
    formats.push_back(ChannelPlane(bits, dim));
    formats.push_back(ChannelPlane(bits, dim, 64));  // one grid a page
  }
  if (kind == PlaneKind::kValues) {
    formats.push_back(TernaryPlane(dim));
    formats.push_back(TernaryPlane(dim, TernaryScale::kMean));
  } else {
    for (int wide : {0, dim / 10, dim / 2, dim}) formats.push_back(SplitPlane(wide, dim));
    const int fewer = dim * 3 / 5;
    formats.push_back(TokenPlane(4, fewer));
    formats.push_back(ChannelPlane(2, fewer));
    formats.push_back(SplitPlane(fewer / 3, fewer));
  }
  PlaneFormat precise = ChannelPlane(2, dim);
  precise.f32_scales = true;
  formats.push_back(precise);
  precise = TokenPlane(4, dim);
  precise.f32_scales = true;
  formats.push_back(precise);
  return formats;
}

inline std::vector<PlaneFormat> FormatsOf(PlaneKind kind, int dim) {
  std::vector<PlaneFormat> formats = FloatFormats(dim);
  formats.push_back(I16Plane(dim));
  if (kind == PlaneKind::kKeys) {
    formats.push_back(FloatPlane(CodecId::kF16, dim * 3 / 5));
    formats.push_back(I16Plane(dim * 3 / 5));
  }
  for (const PlaneFormat& format : LowBitFormats(kind, dim)) formats.push_back(format);
  return formats;
}

}  // namespace kvasir
