// What this machine can do at best, measured: the floors that benchmarks are held against.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace kvasir::cli {

// Bytes per second that all threads of the pool read together, the same n_bytes again and again.
// Takes that much memory.
double MeasureReadBandwidth(ThreadPool& pool, int64_t n_bytes);

// Operations per second (a multiply-add is two) of all threads together, out of registers.
double MeasureFloatPeak(ThreadPool& pool, Isa isa);
double MeasureInt8Peak(ThreadPool& pool, Isa isa);  // products of 8-bit, sums of 32-bit integers

}  // namespace kvasir::cli
