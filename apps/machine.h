// What this machine can do at best, measured: the floors that benchmarks are held against.
#pragma once

#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace kvasir::cli {

// Bytes per second that all threads of the pool read together, from a buffer much larger than the
// caches. Takes about 0.3 s and 512 MiB.
double MeasureReadBandwidth(ThreadPool& pool);

// Operations per second (a multiply-add is two) of all threads together, out of registers.
double MeasureFloatPeak(ThreadPool& pool, Isa isa);
double MeasureInt8Peak(ThreadPool& pool, Isa isa);  // products of 8-bit, sums of 32-bit integers

}  // namespace kvasir::cli
