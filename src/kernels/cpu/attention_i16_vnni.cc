#include <immintrin.h>

#include <type_traits>

#include "hwy/base.h"
#include "kernels/cpu/attention_i16.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/i16_codes.h"

#if HWY_COMPILER_GCC_ACTUAL  // of its own intrinsics, which start from undefined registers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

HWY_PUSH_ATTRIBUTES("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni")
namespace kvasir::cpu {
namespace {

#include "kernels/cpu/attention_i16-inl.h"
#include "kernels/cpu/attention_i16_avx512-inl.h"

struct Avx512Vnni : Avx512Ints {
  // As a statement: from the intrinsic GCC 12 makes copies of all sums.
  static HWY_INLINE void AddPairs(I& sum, I x, I w) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  }
};

}  // namespace

const I16Table kI16Avx512Vnni = {Avx512Vnni::kQueries, &Logits<Avx512Vnni>, &Values<Avx512Vnni>};

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
