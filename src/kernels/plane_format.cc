#include "kernels/plane_format.h"

namespace kvasir {

Status CheckFormat(const PlaneFormat& format, PlaneKind kind) {
  const bool keys = kind == PlaneKind::kKeys;
  const char* plane = keys ? "keys" : "values";
  const int dim = format.dim, bits = format.bits, group = format.group;
  if (format.codec > CodecId::kTernary) {
    return Fail("codec {} of {}: there is no such codec", static_cast<int>(format.codec), plane);
  }
  const int step = keys ? 1 : ValueStep(format.codec);
  if (dim < 1 || dim > kMostChannels || dim % step != 0) {
    return Fail("{} channels of {} in {}: a multiple of {} up to {} is needed", dim, plane,
                FormatName(format), step, kMostChannels);
  }
  if ((format.codec == CodecId::kSplit && !keys) || (format.codec == CodecId::kTernary && keys)) {
    return Fail("codec {} does not encode {}", FormatName(format), plane);
  }
  const bool token = format.codec == CodecId::kToken, channel = format.codec == CodecId::kChannel;
  const bool good_bits = bits == 2 || bits == 4 || bits == 8 || (token && bits == 3);
  if ((token || channel) && !good_bits) {
    return Fail("{} bits of {}: 2, 4 or 8{} are possible", bits, plane, token ? ", or 3" : "");
  }
  if ((token || format.codec == CodecId::kQ8) && (group < 8 || group % 8 != 0)) {
    return Fail("groups of {} channels of {}: a multiple of 8 is needed", group, plane);
  }
  if (channel && group != kGroupSlots && group != kPageEntries) {
    return Fail("groups of {} {} a channel: {} or {} are possible", group, plane, kGroupSlots,
                kPageEntries);
  }
  if (format.codec == CodecId::kSplit && (format.wide < 0 || format.wide > dim)) {
    return Fail("{} of {} channels in 2 bits", format.wide, dim);
  }
  return {};
}

std::string FormatName(const PlaneFormat& format) {
  const char* scales = format.f32_scales ? "+f32" : "";
  const int bits = format.bits, group = format.group;
  switch (format.codec) {
    case CodecId::kF32:
      return "f32";
    case CodecId::kF16:
      return "f16";
    case CodecId::kBF16:
      return "bf16";
    case CodecId::kI16:
      return "i16";
    case CodecId::kQ8:
      return group == 32 ? fmt::format("q8{}", scales) : fmt::format("q8/{}{}", group, scales);
    case CodecId::kToken:
      return bits == 4 && group == 32 ? fmt::format("q4{}", scales)
                                      : fmt::format("token{}/{}{}", bits, group, scales);
    case CodecId::kChannel:
      return group == kGroupSlots ? fmt::format("channel{}{}", bits, scales)
                                  : fmt::format("channel{}/{}{}", bits, group, scales);
    case CodecId::kSplit:
      return fmt::format("split{}{}", format.wide, scales);
    case CodecId::kTernary:
      return fmt::format("ternary{}", scales);
  }
  return "?";
}

Result<PlaneFormat> ParseFormat(std::string_view name, int dim) {
  if (name == "f32") return FloatPlane(CodecId::kF32, dim);
  if (name == "f16") return FloatPlane(CodecId::kF16, dim);
  if (name == "bf16") return FloatPlane(CodecId::kBF16, dim);
  if (name == "i16") return I16Plane(dim);
  if (name == "q8") return Q8Plane(dim);
  if (name == "q4") return TokenPlane(4, dim);
  return Fail("no codec '{}': f32, f16, bf16, i16, q8 or q4", name);
}

}  // namespace kvasir
