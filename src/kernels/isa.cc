#include "kernels/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace kvasir {
namespace {

constexpr std::array kIsas = {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAmx};

// clang 14 does not know "f16c" in __builtin_cpu_supports.
bool HasF16c() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

// Linux gives a process the tiles' registers when it asks for them.
bool MayUseTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  unsigned a, b, c, d;
  constexpr unsigned kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d & kAmxTile) == 0 || (d & kAmxInt8) == 0) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Vnni:
      return "avx512vnni";
    case Isa::kAmx:
      return "amx";
  }
  return "?";
}

bool CpuSupports(Isa isa) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c() &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni") &&
                    __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi");
  switch (isa) {
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
      return avx512;
    case Isa::kAvx512Vnni:
      return vnni;
    case Isa::kAmx:
      return vnni && MayUseTiles();
  }
  return false;
}

std::span<const Isa> AllIsas() { return kIsas; }

Result<Isa> BestIsa() {
  for (auto isa = kIsas.rbegin(); isa != kIsas.rend(); ++isa) {
    if (CpuSupports(*isa)) return *isa;
  }
  return Fail("this CPU lacks AVX2, FMA, F16C or BMI2, the least that kvasir runs on");
}

Result<Isa> ParseIsa(std::string_view name) {
  for (Isa isa : kIsas) {
    if (IsaName(isa) != name) continue;
    if (!CpuSupports(isa)) return Fail("--cpu {}: this CPU does not have it", name);
    return isa;
  }
  return Fail("--cpu {}: no such path (avx2, avx512, avx512vnni, amx)", name);
}

}  // namespace kvasir
