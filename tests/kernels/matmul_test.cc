#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"

namespace kvasir {
namespace {

std::vector<float> RandomRows(int64_t rows, int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * n));
  for (float& v : x) v = normal(random);
  for (size_t i = 7; i < x.size(); i += 97) x[i] *= 40.0f;  // outliers, as activations have
  return x;
}

float RandomScale(std::mt19937& random) {
  return std::ldexp(static_cast<float>(random() % 2047) - 1023.0f, -16);
}

void PutHalf(std::byte* at, float value) {
  const F16 half = ToF16(value);
  std::memcpy(at, &half, sizeof half);
}

// Where the f16 scales of a block lie; every other byte may be anything.
std::vector<int> HalvesOf(TensorType type) {
  using enum TensorType;
  switch (type) {
    case kQ4_1:
    case kQ5_1:
    case kQ4_K:
    case kQ5_K:
      return {0, 2};
    case kQ2_K:
      return {80, 82};
    case kQ3_K:
      return {108};
    case kQ6_K:
      return {208};
    case kTQ1_0:
      return {52};
    case kTQ2_0:
      return {64};
    case kMXFP4:
    case kF32:
    case kBF16:
    case kNVFP4:
      return {};
    default:
      return {0};  // all others begin with their scale
  }
}

// A matrix of random blocks, with what it stands for by Dequantize.
struct Weights {
  WeightRef ref;
  std::vector<std::byte> bytes;
  std::vector<float> values;

  Weights(TensorType type, int64_t n_out, int64_t n_in, uint32_t seed) {
    std::mt19937 random(seed);
    const TensorTypeInfo& info = InfoOf(type);
    const int64_t n_blocks = n_out * (n_in / info.block_values);
    bytes.resize(static_cast<size_t>(n_blocks * info.block_bytes));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    for (int64_t b = 0; b < n_blocks; ++b) {
      std::byte* block = bytes.data() + b * info.block_bytes;
      for (const int at : HalvesOf(type)) PutHalf(block + at, RandomScale(random));
      if (type == TensorType::kMXFP4) *block = static_cast<std::byte>(110 + random() % 20);
      if (type == TensorType::kBF16) block[1] = static_cast<std::byte>(0x3e + random() % 2 * 0x80);
      if (type == TensorType::kF32) {
        const float value = RandomScale(random) * 7.13f;
        std::memcpy(block, &value, sizeof value);
      }
    }
    ref = {type, n_out, n_in, bytes.data()};
    values.resize(static_cast<size_t>(n_out * n_in));
    EXPECT_TRUE(Dequantize(type, bytes.data(), n_out * n_in, values.data()));
  }
};

struct Sum {
  double value, magnitude;
};

// The product in double, of activations as they are or as int8 blocks stand for them.
Sum Reference(const Weights& w, int64_t out, const float* x, bool quantised) {
  Sum sum = {0, 0};
  const int64_t n = w.ref.n_cols;
  const float* weights = w.values.data() + out * n;
  for (int64_t first = 0; first < n; first += 32) {
    const int64_t last = std::min(first + 32, n);
    double most = 0;
    for (int64_t k = first; k < last; ++k) most = std::max(most, std::abs(double{x[k]}));
    for (int64_t k = first; k < last; ++k) {
      double value = x[k];
      if (quantised) value = std::nearbyint(value * 127 / most) * (most / 127);
      sum.value += value * weights[k];
      sum.magnitude += std::abs(value * weights[k]);
    }
  }
  return sum;
}

std::vector<float> Multiply(const PackedMatrix& w, const std::vector<float>& x, int64_t rows,
                            ThreadPool& pool, bool precise = false) {
  Activations activations;
  activations.Set(Mat(x.data(), rows, w.n_in()));
  std::vector<float> y(static_cast<size_t>(rows * w.n_out()), 12345.0f);
  const MatMulJob job = {.weights = &w, .y = Mat(y.data(), rows, w.n_out()), .precise = precise};
  MatMul(activations, {&job, 1}, pool);
  return y;
}

PackedMatrix Pack(Isa isa, const Weights& w, ThreadPool& pool, WeightArena& arena) {
  Result<PackedMatrix> packed = PackWeights(isa, w.ref, pool, arena);
  EXPECT_TRUE(packed) << packed.error().message;
  return std::move(*packed);
}

bool IsFloat(TensorType type) {
  using enum TensorType;
  return type == kF32 || type == kF16 || type == kBF16 || type == kNVFP4 || type == kIQ2_XXS;
}

constexpr TensorType kTypes[] = {
    TensorType::kQ4_0,  TensorType::kQ4_1,  TensorType::kQ5_0,   TensorType::kQ5_1,
    TensorType::kQ8_0,  TensorType::kQ2_K,  TensorType::kQ3_K,   TensorType::kQ4_K,
    TensorType::kQ5_K,  TensorType::kQ6_K,  TensorType::kIQ4_NL, TensorType::kIQ4_XS,
    TensorType::kTQ1_0, TensorType::kTQ2_0, TensorType::kMXFP4,  TensorType::kF32,
    TensorType::kF16,   TensorType::kBF16,  TensorType::kNVFP4,  TensorType::kIQ2_XXS,
};

class MatMulOn : public testing::TestWithParam<std::tuple<Isa, TensorType>> {
 protected:
  void SetUp() override {
    if (!CpuSupports(isa())) GTEST_SKIP() << "this CPU lacks " << IsaName(isa());
  }
  static Isa isa() { return std::get<0>(GetParam()); }
  static TensorType type() { return std::get<1>(GetParam()); }
};

// Rounding of a chain of n_in / 32 (or n_in) multiply-adds, of scales and of quantised activations.
TEST_P(MatMulOn, MatchesDouble) {
  ThreadPool pool(2);
  WeightArena arena;
  const int64_t step = InfoOf(type()).block_values;
  for (const int64_t n_in : {int64_t{32}, int64_t{64}, int64_t{96}, int64_t{576}, int64_t{1536}}) {
    const int64_t n = step == 1 ? n_in + 5 : (n_in + step - 1) / step * step;
    for (const int64_t n_out : {1, 7, 8, 16, 19, 40}) {
      const Weights weights(type(), n_out, n, static_cast<uint32_t>(n + n_out));
      const PackedMatrix packed = Pack(isa(), weights, pool, arena);
      const int64_t rows = n_out == 19 ? 23 : 3;
      const std::vector<float> x = RandomRows(rows, n, 5);
      const std::vector<float> y = Multiply(packed, x, rows, pool);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < n_out; ++o) {
          const Sum sum = Reference(weights, o, x.data() + r * n, !IsFloat(type()));
          ASSERT_NEAR(sum.value, y[static_cast<size_t>(r * n_out + o)], sum.magnitude * 2e-6)
              << "row " << r << " output " << o << " of " << n_out << " x " << n;
        }
      }
    }
  }
}

// Equal bits: a row alone or among any number of rows, one thread or two, this Isa or AVX2.
TEST_P(MatMulOn, BitsDependOnTheRowAlone) {
  ThreadPool one(1), two(2);
  WeightArena arena;
  const int64_t n_in = InfoOf(type()).block_values == 256 ? 512 : 192, n_out = 37;
  const Weights weights(type(), n_out, n_in, 3);
  const PackedMatrix packed = Pack(isa(), weights, two, arena);
  const std::vector<float> x = RandomRows(70, n_in, 4);
  std::vector<float> alone;
  for (int64_t r = 0; r < 70; ++r) {
    const auto begin = x.begin() + r * n_in;
    const std::vector<float> y = Multiply(packed, {begin, begin + n_in}, 1, one);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int64_t rows = 1; rows <= 70; ++rows) {
    const size_t n = static_cast<size_t>(rows * n_out);
    for (ThreadPool* pool : {&one, &two}) {
      const std::vector<float> y = Multiply(packed, x, rows, *pool);
      ASSERT_EQ(0, std::memcmp(y.data(), alone.data(), n * sizeof(float))) << rows << " rows";
    }
  }
  const PackedMatrix narrow = Pack(Isa::kAvx2, weights, one, arena);
  EXPECT_EQ(alone, Multiply(narrow, x, 70, one));
}

// More rows than fit a chunk of the cache, many panels, two threads.
TEST_P(MatMulOn, LongPromptsMatchSingleRows) {
  ThreadPool one(1), two(2);
  WeightArena arena;
  const int64_t n_in = 1536, n_out = 24, rows = 517;
  const Weights weights(type(), n_out, n_in, 8);
  const PackedMatrix packed = Pack(isa(), weights, two, arena);
  const std::vector<float> x = RandomRows(rows, n_in, 9);
  const std::vector<float> y = Multiply(packed, x, rows, two);
  for (const int64_t r : {0, 15, 16, 100, 255, 256, 257, 511, 512, 516}) {
    const auto begin = x.begin() + r * n_in;
    const std::vector<float> row = Multiply(packed, {begin, begin + n_in}, 1, one);
    for (int64_t o = 0; o < n_out; ++o) {
      ASSERT_EQ(row[static_cast<size_t>(o)], y[static_cast<size_t>(r * n_out + o)]) << r;
    }
  }
}

TEST_P(MatMulOn, UnpackRowGivesTheDequantisedWeights) {
  ThreadPool pool(1);
  WeightArena arena;
  const int64_t n_in = InfoOf(type()).block_values == 1 ? 37 : 768, n_out = 21;
  const Weights weights(type(), n_out, n_in, 6);
  const PackedMatrix packed = Pack(isa(), weights, pool, arena);
  std::vector<float> row(static_cast<size_t>(n_in));
  for (int64_t r = 0; r < n_out; ++r) {
    UnpackRow(packed, r, row.data());
    for (int64_t k = 0; k < n_in; ++k) {
      ASSERT_EQ(weights.values[static_cast<size_t>(r * n_in + k)], row[static_cast<size_t>(k)])
          << "row " << r << " value " << k;
    }
  }
}

TEST_P(MatMulOn, AddsBiasAndAccumulates) {
  ThreadPool pool(2);
  WeightArena arena;
  const int64_t n_in = 256, n_out = 27, rows = 5, stride = 40;
  const Weights weights(type(), n_out, n_in, 1);
  const PackedMatrix packed = Pack(isa(), weights, pool, arena);
  const std::vector<float> x = RandomRows(rows, n_in, 2), bias = RandomRows(1, n_out, 3);
  const std::vector<float> plain = Multiply(packed, x, rows, pool);
  std::vector<float> y(static_cast<size_t>(rows * stride), -1.5f), z = y, before = y;
  Activations activations;
  activations.Set(Mat(x.data(), rows, n_in));
  // Two jobs of one call, rows of y apart from each other.
  const MatMulJob jobs[] = {
      {.weights = &packed, .y = Mat(y.data(), rows, n_out, stride), .bias = bias.data()},
      {.weights = &packed,
       .y = Mat(z.data(), rows, n_out, stride),
       .bias = bias.data(),
       .accumulate = true}};
  MatMul(activations, jobs, pool);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < stride; ++o) {
      const size_t at = static_cast<size_t>(r * stride + o);
      if (o >= n_out) {  // between the rows: untouched
        EXPECT_EQ(before[at], y[at]);
        EXPECT_EQ(before[at], z[at]);
        continue;
      }
      const float sum = plain[static_cast<size_t>(r * n_out + o)] + bias[static_cast<size_t>(o)];
      EXPECT_EQ(sum, y[at]);
      EXPECT_EQ(-1.5f + sum, z[at]);
    }
  }
}

// The second pass takes the error of int8 activations down by its steps, 254; rounding of f32 and
// of the steps leaves at least a factor of 50. Its bits depend on the row alone as well.
TEST_P(MatMulOn, PreciseJobsMatchUnquantisedActivations) {
  ThreadPool pool(2);
  WeightArena arena;
  const int64_t n_in = 768, n_out = 21, rows = 19;
  const Weights weights(type(), n_out, n_in, 11);
  const PackedMatrix packed = Pack(isa(), weights, pool, arena);
  const std::vector<float> x = RandomRows(rows, n_in, 12);
  const std::vector<float> plain = Multiply(packed, x, rows, pool);
  const std::vector<float> precise = Multiply(packed, x, rows, pool, true);
  double plain_error = 0, precise_error = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < n_out; ++o) {
      const double exact = Reference(weights, o, x.data() + r * n_in, false).value;
      plain_error += std::pow(plain[static_cast<size_t>(r * n_out + o)] - exact, 2);
      precise_error += std::pow(precise[static_cast<size_t>(r * n_out + o)] - exact, 2);
    }
    const auto begin = x.begin() + r * n_in;
    const std::vector<float> row = Multiply(packed, {begin, begin + n_in}, 1, pool, true);
    ASSERT_EQ(0, std::memcmp(row.data(), &precise[static_cast<size_t>(r * n_out)],
                             row.size() * sizeof(float)));
  }
  if (IsFloat(type())) {
    EXPECT_EQ(plain, precise);
  } else {
    EXPECT_LT(precise_error * 50 * 50, plain_error);
  }
}

std::string TestName(const testing::TestParamInfo<std::tuple<Isa, TensorType>>& info) {
  return std::string(IsaName(std::get<0>(info.param))) + "_" +
         std::string(InfoOf(std::get<1>(info.param)).name);
}
INSTANTIATE_TEST_SUITE_P(All, MatMulOn,
                         testing::Combine(testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                                          testing::ValuesIn(kTypes)),
                         TestName);

// Worked by hand. Weights 3 * code, activations whose largest is 127: all products are integers.
TEST(MatMul, MultipliesByHand) {
  ThreadPool pool(1);
  WeightArena arena;
  std::byte block[34] = {};
  PutHalf(block, 3.0f);
  block[2] = static_cast<std::byte>(-128);  // the lowest code there is
  block[3] = static_cast<std::byte>(127);
  block[33] = static_cast<std::byte>(-1);
  std::vector<float> x(32);
  x[0] = -127, x[1] = 2, x[31] = 127;
  for (const Isa isa : AllIsas()) {
    if (!CpuSupports(isa)) continue;
    auto packed = PackWeights(isa, {TensorType::kQ8_0, 1, 32, block}, pool, arena);
    ASSERT_TRUE(packed);
    EXPECT_EQ(3.0f * (128 * 127 + 127 * 2 - 127), Multiply(*packed, x, 1, pool)[0]);
  }
}

// The widest sums of 16-bit pairs there can be: all codes and activations at their ends.
TEST(MatMul, DoesNotSaturate) {
  ThreadPool pool(1);
  WeightArena arena;
  for (const int8_t code : {int8_t{-128}, int8_t{127}}) {
    std::vector<std::byte> row(34, static_cast<std::byte>(code));
    PutHalf(row.data(), 1.0f);
    std::vector<std::byte> nibbles(20, static_cast<std::byte>(0xff));
    PutHalf(nibbles.data(), 1.0f);
    PutHalf(nibbles.data() + 2, 0.0f);
    const std::vector<float> x(32, -127.0f);
    for (const Isa isa : AllIsas()) {
      if (!CpuSupports(isa)) continue;
      auto wide = PackWeights(isa, {TensorType::kQ8_0, 1, 32, row.data()}, pool, arena);
      auto narrow = PackWeights(isa, {TensorType::kQ4_1, 1, 32, nibbles.data()}, pool, arena);
      EXPECT_EQ(-127.0f * 32 * code, Multiply(*wide, x, 1, pool)[0]);
      EXPECT_EQ(-127.0f * 32 * 15, Multiply(*narrow, x, 1, pool)[0]);
    }
  }
}

TEST(MatMul, KeepsNotANumberVisible) {
  ThreadPool pool(1);
  WeightArena arena;
  const Weights weights(TensorType::kQ4_1, 3, 64, 1);
  for (const Isa isa : AllIsas()) {
    if (!CpuSupports(isa)) continue;
    const PackedMatrix packed = Pack(isa, weights, pool, arena);
    for (const size_t at : {0, 13, 31, 63}) {
      std::vector<float> x(128, 1.0f);
      x[at] = std::nanf("");
      const std::vector<float> y = Multiply(packed, x, 2, pool);
      for (int o = 0; o < 3; ++o) EXPECT_TRUE(std::isnan(y[static_cast<size_t>(o)]));
      for (int o = 3; o < 6; ++o) EXPECT_TRUE(std::isfinite(y[static_cast<size_t>(o)]));
    }
    const std::vector<float> tiny(64, 1e-40f);
    for (const float y : Multiply(packed, tiny, 1, pool)) EXPECT_EQ(0.0f, y);
  }
}

TEST(MatMul, SeesNewActivationsAfterSet) {
  ThreadPool pool(1);
  WeightArena arena;
  const Weights ints(TensorType::kQ8_0, 9, 64, 1), floats(TensorType::kF32, 9, 64, 2);
  const Isa isa = *BestIsa();
  const PackedMatrix a = Pack(isa, ints, pool, arena), b = Pack(isa, floats, pool, arena);
  Activations activations;
  for (const int64_t rows : {40, 3}) {
    const std::vector<float> x = RandomRows(rows, 64, static_cast<uint32_t>(rows));
    std::vector<float> ya(static_cast<size_t>(rows * 9)), yb = ya;
    const MatMulJob jobs[] = {{.weights = &a, .y = Mat(ya.data(), rows, 9)},
                              {.weights = &b, .y = Mat(yb.data(), rows, 9)}};
    activations.Set(Mat(x.data(), rows, 64));
    MatMul(activations, jobs, pool);
    EXPECT_EQ(Multiply(a, x, rows, pool), ya);
    EXPECT_EQ(Multiply(b, x, rows, pool), yb);
  }
}

// A precise job after a plain one of the same call: the residuals are made in time.
TEST(MatMul, MixesPreciseAndPlainJobs) {
  ThreadPool pool(2);
  WeightArena arena;
  const Weights weights(TensorType::kQ4_1, 30, 96, 1);
  const PackedMatrix packed = Pack(*BestIsa(), weights, pool, arena);
  const std::vector<float> x = RandomRows(5, 96, 2);
  const std::vector<float> bias(30, 64.0f);
  std::vector<float> plain(150), precise(150), sum(150, 8.0f);
  Activations activations;
  activations.Set(Mat(x.data(), 5, 96));
  const MatMulJob jobs[] = {
      {.weights = &packed, .y = Mat(plain.data(), 5, 30)},
      {.weights = &packed, .y = Mat(precise.data(), 5, 30), .precise = true},
      {.weights = &packed,
       .y = Mat(sum.data(), 5, 30),
       .bias = bias.data(),
       .accumulate = true,
       .precise = true},
  };
  MatMul(activations, jobs, pool);
  EXPECT_EQ(Multiply(packed, x, 5, pool), plain);
  EXPECT_EQ(Multiply(packed, x, 5, pool, true), precise);
  EXPECT_NE(plain, precise);
  for (size_t i = 0; i < sum.size(); ++i) {  // the bias once; two more roundings
    EXPECT_NEAR(72.0 + precise[i], sum[i], 1e-6 * (72.0 + std::abs(precise[i])));
  }
}

TEST(PackWeights, RefusesOddRows) {
  ThreadPool pool(1);
  WeightArena arena;
  const std::byte bytes[64] = {};
  const auto packed = PackWeights(Isa::kAvx2, {TensorType::kQ4_1, 1, 33, bytes}, pool, arena);
  ASSERT_FALSE(packed);
  EXPECT_EQ("Q4_1 weights with rows of 33 values: must be a multiple of 32",
            packed.error().message);
  EXPECT_FALSE(PackWeights(Isa::kAvx2, {TensorType::kF32, 0, 4, bytes}, pool, arena));
}

}  // namespace
}  // namespace kvasir
