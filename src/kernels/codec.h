// Codecs: how the bytes of a K or V plane of 64 slots encode keys or values. Layouts are known here
// and in the kernels that read them, nowhere else.
//
// Keys are channel-major, [head_dim][64 slots]: 16 keys fill a vector, a dot product needs no
// horizontal sum, and a tile of many query rows reads the same bytes as a single decode row.
// Values are token-major, [64 slots][head_dim]. q8 and q4 have an f16 scale (q4: and a minimum) for
// every 32 channels of an entry, so an entry is encoded the moment it is appended. A head_dim that
// is an odd multiple of 16 ends in a group of 16.
//
// f16 and bf16 round to nearest even; f16 saturates at +-65504, so that finite values stay finite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "kernels/attention.h"

namespace kvasir {

enum class PlaneKind : uint8_t { kKeys, kValues };

std::string_view CodecName(CodecId codec);            // "f32", "f16", "bf16", "q8", "q4"
Result<CodecId> ParseCodec(std::string_view name);
// Bytes of a plane of 64 slots; a multiple of 128. head_dim is a multiple of 16 up to 256.
int64_t PlaneBytes(CodecId codec, PlaneKind kind, int head_dim);

// Writes n vectors of head_dim floats (rows x_stride floats apart) into slots [slot, slot + n).
void EncodeEntries(Isa isa, CodecId codec, PlaneKind kind, int head_dim, const float* x,
                   int64_t x_stride, int slot, int n, std::byte* plane);
// Reads slots [slot, slot + n) back as floats.
void DecodeEntries(CodecId codec, PlaneKind kind, int head_dim, const std::byte* plane, int slot,
                   int n, float* x, int64_t x_stride);
// Copies the encoded bytes of one entry between two planes of the same codec: exact.
void CopyEntry(CodecId codec, PlaneKind kind, int head_dim, const std::byte* from, int from_slot,
               std::byte* to, int to_slot);

}  // namespace kvasir
