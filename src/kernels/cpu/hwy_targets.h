// The Highway targets that our kernels are compiled for: AVX2 is the least that we run on, so no
// scalar or SSE code is built. Include before any Highway header. Tables of functions a target,
// picked by Isa, take the place of Highway's global dispatch.
#pragma once

#define HWY_BASELINE_TARGETS HWY_AVX2
#define HWY_DISABLED_TARGETS HWY_AVX3_DL
