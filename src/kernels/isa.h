// Instruction sets that the CPU kernels are compiled for. Chosen once at start (`--cpu` forces one)
// and passed to whoever needs it: no global state, so tests run every path in one process.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace kvasir {

// Each includes the ones before it.
enum class Isa : uint8_t {
  kAvx2,        // AVX2, FMA, F16C, BMI2
  kAvx512,      // F, BW, VL, DQ, CD
  kAvx512Vnni,  // + VNNI, BF16, VBMI (Zen 4)
  kAmx,         // + AMX tiles of int8 (Sapphire Rapids)
};

std::string_view IsaName(Isa isa);  // "avx2", "avx512", "avx512vnni", "amx"
bool CpuSupports(Isa isa);
std::span<const Isa> AllIsas();
// The best one of this CPU; an error where it lacks even AVX2.
Result<Isa> BestIsa();
// By name; an error that lists the names, or says what this CPU lacks.
Result<Isa> ParseIsa(std::string_view name);

}  // namespace kvasir
