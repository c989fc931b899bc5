#include "kernels/tensor_type.h"

#include <cstring>

#include "kernels/quants.h"

namespace kvasir {
namespace {

struct TypeRow {
  TensorType type;
  TensorTypeInfo info;
};

// Bytes of a block as a sum of its fields: scales first where the format has them first.
constexpr TypeRow kTypes[] = {
    {TensorType::kF32, {"F32", 1, 4}},
    {TensorType::kF16, {"F16", 1, 2}},
    {TensorType::kQ4_0, {"Q4_0", 32, 2 + 16}},
    {TensorType::kQ4_1, {"Q4_1", 32, 2 + 2 + 16}},
    {TensorType::kQ5_0, {"Q5_0", 32, 2 + 4 + 16}},
    {TensorType::kQ5_1, {"Q5_1", 32, 2 + 2 + 4 + 16}},
    {TensorType::kQ8_0, {"Q8_0", 32, 2 + 32}},
    {TensorType::kQ2_K, {"Q2_K", 256, 16 + 64 + 2 + 2}},
    {TensorType::kQ3_K, {"Q3_K", 256, 32 + 64 + 12 + 2}},
    {TensorType::kQ4_K, {"Q4_K", 256, 2 + 2 + 12 + 128}},
    {TensorType::kQ5_K, {"Q5_K", 256, 2 + 2 + 12 + 32 + 128}},
    {TensorType::kQ6_K, {"Q6_K", 256, 128 + 64 + 16 + 2}},
    {TensorType::kIQ2_XXS, {"IQ2_XXS", 256, 2 + 64}},
    {TensorType::kIQ2_XS, {"IQ2_XS", 256, 2 + 64 + 8}},
    {TensorType::kIQ3_XXS, {"IQ3_XXS", 256, 2 + 64 + 32}},
    {TensorType::kIQ1_S, {"IQ1_S", 256, 2 + 32 + 16}},
    {TensorType::kIQ4_NL, {"IQ4_NL", 32, 2 + 16}},
    {TensorType::kIQ3_S, {"IQ3_S", 256, 2 + 64 + 8 + 32 + 4}},
    {TensorType::kIQ2_S, {"IQ2_S", 256, 2 + 32 + 32 + 8 + 8}},
    {TensorType::kIQ4_XS, {"IQ4_XS", 256, 2 + 2 + 4 + 128}},
    {TensorType::kI8, {"I8", 1, 1}},
    {TensorType::kI16, {"I16", 1, 2}},
    {TensorType::kI32, {"I32", 1, 4}},
    {TensorType::kI64, {"I64", 1, 8}},
    {TensorType::kF64, {"F64", 1, 8}},
    {TensorType::kIQ1_M, {"IQ1_M", 256, 32 + 16 + 8}},
    {TensorType::kBF16, {"BF16", 1, 2}},
    {TensorType::kTQ1_0, {"TQ1_0", 256, 48 + 4 + 2}},
    {TensorType::kTQ2_0, {"TQ2_0", 256, 64 + 2}},
    {TensorType::kMXFP4, {"MXFP4", 32, 1 + 16}},
    {TensorType::kNVFP4, {"NVFP4", 64, 4 + 32}},
};

template <class T>
void Convert(const std::byte* values, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, values + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    out[i] = static_cast<float>(value);
  }
}

BlockDecoder FindDecoder(TensorType type) {
  for (const auto find :
       {FindPlainDecoder, FindKDecoder, FindTernaryDecoder, FindCodebookDecoder}) {
    if (const BlockDecoder decode = find(type)) return decode;
  }
  return nullptr;
}

}  // namespace

const TensorTypeInfo* FindTensorType(uint32_t gguf_id) {
  for (const TypeRow& row : kTypes) {
    if (static_cast<uint32_t>(row.type) == gguf_id) return &row.info;
  }
  return nullptr;
}

const TensorTypeInfo& InfoOf(TensorType type) {
  const TensorTypeInfo* info = FindTensorType(static_cast<uint32_t>(type));
  KV_CHECK(info != nullptr);
  return *info;
}

Status Dequantize(TensorType type, const std::byte* blocks, int64_t n, float* out) {
  const TensorTypeInfo& info = InfoOf(type);
  if (n < 0 || n % info.block_values != 0) {
    return Fail("{} values of type {}: must be a multiple of {}", n, info.name, info.block_values);
  }
  switch (type) {
    case TensorType::kF32:
      Convert<float>(blocks, n, out);
      return {};
    case TensorType::kF64:
      Convert<double>(blocks, n, out);
      return {};
    case TensorType::kI8:
      Convert<int8_t>(blocks, n, out);
      return {};
    case TensorType::kI16:
      Convert<int16_t>(blocks, n, out);
      return {};
    case TensorType::kI32:
      Convert<int32_t>(blocks, n, out);
      return {};
    case TensorType::kI64:
      Convert<int64_t>(blocks, n, out);
      return {};
    default:
      break;
  }
  const BlockDecoder decode = FindDecoder(type);
  KV_CHECK(decode != nullptr);
  const uint8_t* block = reinterpret_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < n; i += info.block_values, block += info.block_bytes) {
    decode(block, out + i);
  }
  return {};
}

}  // namespace kvasir
