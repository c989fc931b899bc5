#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/half.h"
#include "kernels/cpu/matmul_layout.h"
#include "kernels/matmul.h"
#include "kernels/matmul_blocks.h"

namespace kvasir {
namespace {

using cpu::PanelFormat;
using cpu::PanelShape;

PackedKind KindOf(TensorType type) {
  if (const BlockFormat* format = FindBlockFormat(type)) return format->kind;
  if (type == TensorType::kF16) return PackedKind::kF16;
  if (type == TensorType::kBF16) return PackedKind::kBF16;
  return PackedKind::kF32;
}

// One panel being filled or read.
struct Panel {
  PanelFormat format;
  PanelShape shape;
  int lanes, code8_offset;
  std::byte* bytes;

  std::byte* Quad(int64_t block, int v, int lane) const {
    return bytes + block * shape.block_bytes + (v * lanes + lane) * 4;
  }
  // Scale (part 0) or minimum (part 1) of a group.
  std::byte* Scale(int64_t block, int group, int part, int lane) const {
    const int size = format.half_scales ? 2 : 4, parts = format.has_min ? 2 : 1;
    return bytes + block * shape.block_bytes + shape.value_bytes +
           ((group * parts + part) * lanes + lane) * size;
  }
  std::byte* Float(int64_t k, int lane) const {
    return bytes + (k * lanes + lane) * (format.bits / 8);
  }

  void PutScale(std::byte* at, float value) const {
    if (format.half_scales) {
      const F16 half = ToF16(value);
      std::memcpy(at, &half, sizeof half);
    } else {
      std::memcpy(at, &value, sizeof value);
    }
  }
  float GetScale(const std::byte* at) const {
    F16 half;
    float value;
    if (!format.half_scales) return std::memcpy(&value, at, sizeof value), value;
    return std::memcpy(&half, at, sizeof half), ToFloat(half);
  }

  // 32 codes of a row and their scales.
  void PutBlock(int64_t block, int lane, const uint8_t* codes, const float* scale,
                const float* min) const {
    uint32_t quads[8];
    std::memcpy(quads, codes, sizeof quads);
    const uint32_t offset = static_cast<uint32_t>(code8_offset) * 0x01010101u;
    for (int v = 0; v < format.bits; ++v) {
      const uint32_t quad = format.bits == 4 ? quads[v] | quads[v + 4] << 4 : quads[v] ^ offset;
      std::memcpy(Quad(block, v, lane), &quad, sizeof quad);
    }
    for (int g = 0; g < format.groups; ++g) {
      PutScale(Scale(block, g, 0, lane), scale[g]);
      if (format.has_min) PutScale(Scale(block, g, 1, lane), min[g]);
    }
  }
  void GetBlock(int64_t block, int lane, float* out) const {
    const float zero = format.bits == 8 ? code8_offset : format.has_min ? 0.0f : 8.0f;
    for (int i = 0; i < 32; ++i) {
      const int v = i / 4 % format.bits, g = i * format.groups / 32;
      const auto byte = std::to_integer<uint8_t>(Quad(block, v, lane)[i % 4]);
      float code = byte;
      if (format.bits == 4) code = i / 4 < 4 ? byte & 15 : byte >> 4;
      if (format.bits == 8 && code8_offset == 0) code = static_cast<int8_t>(byte);
      const float value = (code - zero) * GetScale(Scale(block, g, 0, lane));
      out[i] = format.has_min ? value + GetScale(Scale(block, g, 1, lane)) : value;
    }
  }
};

Status PackQuantisedRow(const WeightRef& weights, int64_t row, const Panel& panel, int lane) {
  const BlockFormat& format = *FindBlockFormat(weights.type);
  const TensorTypeInfo& info = InfoOf(weights.type);
  const int64_t n_blocks = weights.n_cols / info.block_values;
  const auto* block =
      reinterpret_cast<const uint8_t*>(weights.data) + row * n_blocks * info.block_bytes;
  const int groups = panel.format.groups;
  SplitBlock split;
  for (int64_t b = 0, at = 0; b < n_blocks; ++b, block += info.block_bytes) {
    KV_RETURN_IF_ERROR(SplitBlocks(weights.type, format, block, 1, &split));
    for (int i = 0; i < info.block_values / 32; ++i, ++at) {
      panel.PutBlock(at, lane, split.codes + 32 * i, split.scale + groups * i,
                     split.min + groups * i);
    }
  }
  return {};
}

// Rows of `Float`s of the packed size.
template <class Float>
void PackFloatRow(const Float* from, int64_t n, const Panel& panel, int lane) {
  Float* to = reinterpret_cast<Float*>(panel.bytes) + lane;
  for (int64_t k = 0; k < n; ++k) {
    std::memcpy(to + k * panel.lanes, from + k, sizeof(Float));  // the file may be unaligned
  }
}

Status PackRow(const WeightRef& weights, int64_t row, const Panel& panel, int lane,
               std::vector<float>& scratch) {
  if (panel.format.groups != 0) return PackQuantisedRow(weights, row, panel, lane);
  const int64_t n = weights.n_cols;
  const TensorTypeInfo& info = InfoOf(weights.type);
  const std::byte* from = weights.data + row * (n / info.block_values) * info.block_bytes;
  if (panel.format.bits == 16) {
    PackFloatRow(reinterpret_cast<const uint16_t*>(from), n, panel, lane);
  } else if (weights.type == TensorType::kF32) {
    PackFloatRow(reinterpret_cast<const float*>(from), n, panel, lane);
  } else {
    scratch.resize(static_cast<size_t>(n));
    KV_RETURN_IF_ERROR(Dequantize(weights.type, from, n, scratch.data()));
    PackFloatRow(scratch.data(), n, panel, lane);
  }
  return {};
}

}  // namespace

std::byte* WeightArena::Allocate(size_t n_bytes) {
  constexpr size_t kHugePage = size_t{2} << 20, kLargest = size_t{64} << 20;
  n_bytes = (n_bytes + 63) / 64 * 64;
  if (n_bytes > left_) {
    // As much again as there is, in whole huge pages; what is never touched is never there.
    left_ = std::max(n_bytes, std::min(n_bytes_, kLargest));
    left_ = (left_ + kHugePage - 1) / kHugePage * kHugePage;
    chunks_.emplace_back(left_ + kHugePage);
    void* at = chunks_.back().data();
    size_t space = chunks_.back().size();
    at_ = static_cast<std::byte*>(std::align(kHugePage, left_, at, space));
    (void)madvise(at_, left_, MADV_HUGEPAGE);  // a wish: small pages work too
  }
  std::byte* result = at_;
  at_ += n_bytes;
  left_ -= n_bytes;
  n_bytes_ += n_bytes;
  return result;
}

Result<PackedMatrix> PackWeights(Isa isa, const WeightRef& weights, ThreadPool& pool,
                                 WeightArena& arena) {
  const TensorTypeInfo& info = InfoOf(weights.type);
  if (weights.n_rows <= 0 || weights.n_cols <= 0) {
    return Fail("{} weights of {} x {}: both must be positive", info.name, weights.n_rows,
                weights.n_cols);
  }
  if (weights.n_cols % info.block_values != 0) {
    return Fail("{} weights with rows of {} values: must be a multiple of {}", info.name,
                weights.n_cols, info.block_values);
  }
  const PackedKind kind = KindOf(weights.type);
  const cpu::MatMulKernels& kernels = KernelsOf(isa);
  const PanelShape shape(kind, kernels.lanes, weights.n_cols);
  const int64_t n_panels = (weights.n_rows + kernels.lanes - 1) / kernels.lanes;
  PackedMatrix packed;
  MatMulAccess::NBytes(packed) = static_cast<size_t>(n_panels * shape.bytes);
  MatMulAccess::Bytes(packed) = arena.Allocate(packed.n_bytes());
  MatMulAccess::NOut(packed) = weights.n_rows;
  MatMulAccess::NIn(packed) = weights.n_cols;
  MatMulAccess::IsaOf(packed) = isa;
  MatMulAccess::Kind(packed) = kind;

  // Types that cannot be read fail for every row alike.
  std::vector<Status> failures(static_cast<size_t>(pool.n_threads()));
  std::vector<std::vector<float>> scratch(static_cast<size_t>(pool.n_threads()));
  pool.For(n_panels, [&](int64_t p, int thread) {
    const Panel panel = {cpu::FormatOf(kind), shape, kernels.lanes, kernels.code8_offset,
                         MatMulAccess::Bytes(packed) + p * shape.bytes};
    std::memset(panel.bytes, 0, static_cast<size_t>(shape.bytes));
    for (int lane = 0; lane < kernels.lanes; ++lane) {
      const int64_t row = p * kernels.lanes + lane;
      if (row >= weights.n_rows) break;
      Status status = PackRow(weights, row, panel, lane, scratch[static_cast<size_t>(thread)]);
      if (!status) failures[static_cast<size_t>(thread)] = std::move(status);
    }
  });
  for (Status& failure : failures) KV_RETURN_IF_ERROR(std::move(failure));
  return packed;
}

void UnpackRow(const PackedMatrix& weights, int64_t row, float* out) {
  KV_CHECK(row >= 0 && row < weights.n_out());
  const PackedKind kind = MatMulAccess::Kind(weights);
  const cpu::MatMulKernels& kernels = KernelsOf(MatMulAccess::IsaOf(weights));
  const PanelShape shape(kind, kernels.lanes, weights.n_in());
  const Panel panel = {cpu::FormatOf(kind), shape, kernels.lanes, kernels.code8_offset,
                       MatMulAccess::Bytes(weights) + row / kernels.lanes * shape.bytes};
  const int lane = static_cast<int>(row % kernels.lanes);
  if (panel.format.groups != 0) {
    for (int64_t b = 0; b < shape.n_blocks; ++b) panel.GetBlock(b, lane, out + 32 * b);
    return;
  }
  for (int64_t k = 0; k < weights.n_in(); ++k) {
    uint16_t half;
    if (kind == PackedKind::kF32) {
      std::memcpy(out + k, panel.Float(k, lane), sizeof(float));
    } else {
      std::memcpy(&half, panel.Float(k, lane), sizeof half);
      out[k] = kind == PackedKind::kF16 ? ToFloat(F16{half}) : ToFloat(BF16{half});
    }
  }
}

}  // namespace kvasir
