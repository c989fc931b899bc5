#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>

#include "tests/kernels/attention_case.h"
#include "tests/kernels/formats.h"
#include "tests/kernels/rounding_bound.h"

namespace kvasir {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Queries and results of one job.
struct Rows {
  int n, group, head_dim;
  std::vector<float> q, out, lse;
  std::vector<int32_t> order;

  Rows(HeadCase& head, int n_rows, int n_group, int first_order)
      : n(n_rows), group(n_group), head_dim(head.head_dim()) {
    q = head.Normal(int64_t{n} * group * head_dim, 1.0f);
    out.assign(q.size(), -1.0f);
    lse.assign(n * group, -1.0f);
    for (int i = 0; i < n; ++i) order.push_back(first_order + i);
  }
  int64_t stride() const { return int64_t{group} * head_dim; }
  // Rows [begin, begin + count) as a job.
  AttendJob Job(std::span<const RunRef> runs, int begin, int count, int window = 0) {
    return {.runs = runs,
            .q = q.data() + begin * stride(),
            .q_order = order.data() + begin,
            .out = out.data() + begin * stride(),
            .lse = lse.data() + begin * group,
            .n_rows = count,
            .group = group,
            .head_dim = head_dim,
            .q_stride = stride(),
            .out_stride = stride(),
            .mask = {.window = window}};
  }
};

class Attention : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU lacks " << IsaName(GetParam());
  }

  void Run(const LogitSpec& spec, std::span<const AttendJob> jobs, int n_threads = 1) {
    ThreadPool pool(n_threads);
    Attend(GetParam(), spec, jobs, pool, scratch_);
  }

  // Runs all rows as one job and compares with float64. f32 logits up to ~50 carry 3e-6; that is
  // the relative error of each weight. What rounding of weights may cost comes on top, and `most`
  // bounds both together.
  void Check(const HeadCase& head, Rows& rows, const LogitSpec& spec, int window = 0,
             double tolerance = 1e-5, const RoundingBound* rounding = nullptr, double most = 0) {
    most = std::max(most, tolerance);
    const std::vector<RunRef> runs = head.Runs();
    const AttendJob job = rows.Job(runs, 0, rows.n, window);
    Run(spec, {&job, 1});
    for (int row = 0; row < rows.n; ++row) {
      for (int g = 0; g < rows.group; ++g) {
        const float* q = rows.q.data() + row * rows.stride() + g * rows.head_dim;
        const std::vector<double> logits = head.Logits(spec, q, 0, rows.order[row], window);
        double lse;
        const std::vector<double> expected = head.Attend(logits, &lse);
        QueryBound more{.lse = 0, .out = std::vector<double>(rows.head_dim)};
        if (rounding != nullptr) more = rounding->Of(q, spec.scale, logits, lse, expected);
        if (std::isinf(lse)) {
          EXPECT_EQ(rows.lse[row * rows.group + g], -kInf);
        } else {
          ASSERT_NEAR(rows.lse[row * rows.group + g], lse, std::min(tolerance + more.lse, most))
              << "row " << row;
        }
        for (int c = 0; c < rows.head_dim; ++c) {
          const double actual = rows.out[row * rows.stride() + g * rows.head_dim + c];
          // Channel 1 has outliers of 50, and low bits as much larger steps.
          const double spread = c == 1 && tolerance > 1e-5 ? 20 : 1;
          const double f32 = 3 * tolerance * (spread + std::abs(expected[c]));
          const double all = 3 * most * ((c == 1 && most > 1e-5 ? 20 : 1) + std::abs(expected[c]));
          ASSERT_NEAR(actual, expected[c], std::min(f32 + more.out[c], all))
              << "row " << row << " g " << g << " channel " << c;
        }
      }
    }
  }

  AttentionScratch scratch_;
};

// One query, two keys, worked by hand: logits 0 and ln 3, weights 1/4 and 3/4.
TEST_P(Attention, WorkedByHand) {
  HeadCase head(GetParam(), 16, 1);
  head.AddRun(CodecId::kF32, CodecId::kF32, 2);
  std::vector<float> k(32, 0.0f), v(32, 0.0f);
  k[16] = std::log(3.0f) * 2;  // entry 1, channel 0; the scale is 1/2
  v[0] = 4.0f, v[16] = 8.0f, v[17] = 4.0f;
  auto* page = const_cast<std::byte*>(head.refs()[0].k);
  EncodeEntries(GetParam(), FloatPlane(CodecId::kF32, 16), PlaneKind::kKeys, k.data(), 16, 0, 2,
                page);
  page = const_cast<std::byte*>(head.refs()[0].v);
  EncodeEntries(GetParam(), FloatPlane(CodecId::kF32, 16), PlaneKind::kValues, v.data(), 16, 0, 2,
                page);
  Rows rows(head, 2, 1, 0);  // row 0 sees entry 0 alone
  std::fill(rows.q.begin(), rows.q.end(), 0.0f);
  rows.q[0] = rows.q[16] = 1.0f;
  const std::vector<RunRef> runs = head.Runs();
  const AttendJob job = rows.Job(runs, 0, 2);
  Run({.scale = 0.5f}, {&job, 1});
  EXPECT_EQ(rows.out[0], 4.0f);
  EXPECT_EQ(rows.out[1], 0.0f);
  EXPECT_NEAR(rows.out[16], 7.0f, 1e-6);
  EXPECT_NEAR(rows.out[17], 3.0f, 1e-6);
  EXPECT_EQ(rows.lse[0], 0.0f);
  EXPECT_NEAR(rows.lse[1], std::log(4.0f), 1e-6);
}

// The same with channel 1 alone: weights 1/4 and 3/4 of 0 and 4.
TEST_P(Attention, NarrowValuesWorkedByHand) {
  HeadCase head(GetParam(), 16, 1);
  const PlaneFormat f32 = FloatPlane(CodecId::kF32, 16), one = FloatPlane(CodecId::kF32, 1);
  const auto values = [](int i, int c) { return c == 1 && i == 1 ? 4.0f : c == 1 ? 0.0f : NAN; };
  head.AddNarrowRun(f32, one, 2, {1}, values);
  std::vector<float> k(32, 0.0f);
  k[16] = std::log(3.0f) * 2;
  EncodeEntries(GetParam(), f32, PlaneKind::kKeys, k.data(), 16, 0, 2,
                const_cast<std::byte*>(head.refs()[0].k));
  Rows rows(head, 1, 1, 1);
  std::fill(rows.q.begin(), rows.q.end(), 0.0f);
  rows.q[0] = 1.0f;
  const std::vector<RunRef> runs = head.Runs();
  const AttendJob job = rows.Job(runs, 0, 1);
  Run({.scale = 0.5f}, {&job, 1});
  for (int c = 0; c < 16; ++c) {
    EXPECT_NEAR(rows.out[c], c == 1 ? 3.0f : 0.0f, c == 1 ? 1e-6 : 0) << c;
  }
}

// What rounding queries and probabilities may cost (kernels/attention.h) for numbers of spread 1,
// coarsely: less than a tenth of a step of the codec, which is 1.3 for two bits and 0.25 for four.
// rounding_bound.h is the bound that leaves no room.
double ToleranceOf(const PlaneFormat& format) {
  if (IsFloat(format.codec)) return 1e-5;
  if (format.codec == CodecId::kI16) return 1e-3;  // queries of 256 channels
  return MostInteger(format) == 127 ? 1e-1 : 2e-4;
}

// Every key format with values in f16, and every value format with keys in f16. Rounding of weights
// for codes has a bound of its own for each number.
TEST_P(Attention, MatchesDoubleForEveryFormatAndHeadSize) {
  for (int d = 16; d <= 256; d += 16) {
    const PlaneFormat f16 = FloatPlane(CodecId::kF16, d);
    const auto check = [&](const PlaneFormat& k, const PlaneFormat& v) {
      HeadCase head(GetParam(), d, d);
      head.AddRun(k, v, 160);
      const bool coded = IsCoded(k) || IsCoded(v);
      const double most = std::max(ToleranceOf(k), ToleranceOf(v));
      const RoundingBound rounding(head.Runs()[0]);
      SCOPED_TRACE(FormatName(k) + " " + FormatName(v) + " dim " + std::to_string(d));
      for (int n_rows : {1, 7}) {
        Rows rows(head, n_rows, 3, 160 - n_rows);
        Check(head, rows, {.scale = 1.0f / std::sqrt(static_cast<float>(d))}, 0,
              coded ? 1e-5 : most, coded ? &rounding : nullptr, most);
        if (HasFatalFailure()) return;
      }
    };
    for (const PlaneFormat& k : FormatsOf(PlaneKind::kKeys, d)) check(k, f16);
    for (const PlaneFormat& v : FormatsOf(PlaneKind::kValues, d)) check(f16, v);
  }
}

// n of d channels, spread over them.
std::vector<uint8_t> SomeOf(int n, int d) {
  std::vector<uint8_t> channels;
  for (int i = 0; i < n; ++i) channels.push_back(static_cast<uint8_t>((i + 1) * d / n - 1));
  return channels;
}

// Every value format with fewer channels than the head has, between runs that have all or others.
TEST_P(Attention, NarrowValuesMatchDoubleForEveryFormat) {
  for (int d : {16, 32, 64, 80, 128, 256}) {
    const PlaneFormat f16 = FloatPlane(CodecId::kF16, d);
    for (int n : {1, 7, 8, d / 2, d / 2 + 8, d - 3, d}) {
      for (const PlaneFormat& v : FormatsOf(PlaneKind::kValues, n)) {
        if (!CheckFormat(v, PlaneKind::kValues)) continue;
        HeadCase head(GetParam(), d, d + n);
        head.AddNarrowRun(f16, v, 160, SomeOf(n, d));
        head.AddRun(f16, f16, 100);
        head.AddNarrowRun(f16, v, 32, SomeOf(n, d));
        head.AddNarrowRun(f16, FloatPlane(CodecId::kF16, 5), 80, SomeOf(5, d));
        head.Kill([](int page, int slot) { return (page * 7 + slot * 3) % 11 == 0; });
        for (int n_rows : {1, 7}) {
          Rows rows(head, n_rows, 3, 8 * 64 - n_rows);
          SCOPED_TRACE(FormatName(v) + " " + std::to_string(n) + " of " + std::to_string(d));
          Check(head, rows, {.scale = 1.0f / std::sqrt(static_cast<float>(d))}, 0, ToleranceOf(v));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// A channel that is not stored is a channel of zeros, to the bit where numbers are floats.
TEST_P(Attention, NarrowValuesAreWholeOnesWithZeros) {
  for (int d : {16, 64, 128}) {
    for (CodecId codec : {CodecId::kF32, CodecId::kF16, CodecId::kBF16}) {
      for (int n : {1, 9, d * 3 / 5, d - 1}) {
        const std::vector<uint8_t> channels = SomeOf(n, d);
        const auto values = [&](int i, int c) {
          const bool stored = std::ranges::count(channels, c) > 0;
          return stored ? std::sin(static_cast<float>(i * 37 + c * 11)) : 0.0f;
        };
        const PlaneFormat f16 = FloatPlane(CodecId::kF16, d);
        HeadCase narrow(GetParam(), d, 3), whole(GetParam(), d, 3);
        for (int run = 0; run < 2; ++run) {
          narrow.AddNarrowRun(f16, FloatPlane(codec, n), 700, channels, values);
          whole.AddRun(f16, FloatPlane(codec, d), 700, nullptr, values);
          for (HeadCase* head : {&narrow, &whole}) head->AddRun(f16, f16, 90);
        }
        for (int n_rows : {1, 3, 50}) {
          Rows a(narrow, n_rows, 3, 26 * 64 - n_rows), b(whole, n_rows, 3, 26 * 64 - n_rows);
          const std::vector<RunRef> a_runs = narrow.Runs(), b_runs = whole.Runs();
          const AttendJob jobs[] = {a.Job(a_runs, 0, n_rows), b.Job(b_runs, 0, n_rows)};
          Run({.scale = 0.125f}, jobs, 2);
          EXPECT_EQ(a.out, b.out) << d << " " << n;
        }
      }
    }
  }
}

// Numbers that rounding keeps as they are, so that every code counts: keys are integers, queries
// too, up to the largest weight in every eight channels; probabilities are equal.
TEST_P(Attention, LowBitsAreExactWhereRoundingIs) {
  for (int d : {16, 48, 64, 80, 96, 128, 256}) {
    const PlaneFormat f32 = FloatPlane(CodecId::kF32, d);
    std::mt19937 random(d);
    // From 0 to `most` in each eight channels of each entry, and in each channel of 32 slots.
    const auto grid = [&](int most) {
      return [&random, most](int i, int c) {
        if (c % 8 < 2 || i % 32 < 2) return static_cast<float>((c % 8 < 2 ? c % 8 : i % 32) * most);
        return static_cast<float>(random() % (most + 1));
      };
    };
    const auto fill_of = [&](const PlaneFormat& format) -> HeadCase::Fill {
      const HeadCase::Fill numbers = grid(format.bits == 0 ? 3 : (1 << format.bits) - 1);
      return [&random, format, numbers](int i, int c) {
        const bool sign = format.codec == CodecId::kSplit && c >= format.wide;
        if (sign) return random() % 2 == 0 ? 1.0f : -1.0f;
        if (format.codec == CodecId::kTernary) return static_cast<float>(random() % 3) - 1.0f;
        if (format.codec == CodecId::kQ8) return c % 8 == 0 ? 127.0f : random() % 255 - 127.0f;
        return numbers(i, c);
      };
    };
    const HeadCase::Fill plain = [&](int, int) { return static_cast<float>(random() % 5) - 2; };
    const auto check = [&](const PlaneFormat& k, const PlaneFormat& v, bool keys) {
      HeadCase head(GetParam(), d, d);
      head.AddRun(k, v, 64 * 9 + 32, keys ? fill_of(k) : plain, keys ? plain : fill_of(v));
      head.Kill([](int page, int slot) { return (page * 7 + slot * 3) % 11 == 0; });
      const bool eight_bits = ToleranceOf(k) > 1e-3;
      const int most = eight_bits ? 127 : 32639;
      const int k_bits = k.codec == CodecId::kQ8 ? 8 : k.bits;
      const LogitSpec spec{.scale = eight_bits ? 0x1p-9f : std::ldexp(1.0f, -17 - k_bits)};
      for (int n_rows : {1, 6, 40}) {
        Rows rows(head, n_rows, 3, 64 * 9 + 20 - n_rows);
        for (size_t i = 0; i < rows.q.size(); ++i) {
          const int q = static_cast<int>(random() % (2 * most + 1)) - most;
          rows.q[i] = static_cast<float>(!keys ? 0 : i % 8 == 2 || i % 8 == 7 ? most : q);
        }
        SCOPED_TRACE(FormatName(k) + " " + FormatName(v) + " dim " + std::to_string(d));
        Check(head, rows, spec, n_rows == 6 ? 333 : 0);
        if (HasFatalFailure()) return;
      }
    };
    for (const PlaneFormat& k : LowBitFormats(PlaneKind::kKeys, d)) check(k, f32, true);
    for (const PlaneFormat& v : LowBitFormats(PlaneKind::kValues, d)) check(f32, v, false);
  }
}

// Sums of products at their largest, and of either sign: keys along their queries, values all
// alike, probabilities equal or one above all others.
TEST_P(Attention, IntegersOfSixteenBitsDoNotOverflow) {
  for (int d : {16, 64, 80, 256}) {
    for (float sign : {1.0f, -1.0f}) {
      const auto check = [&](const HeadCase::Fill& keys, float q_of_each) {
        HeadCase head(GetParam(), d, d);
        head.AddRun(I16Plane(d), I16Plane(d), 64 * 9, keys, [&](int, int) { return sign; });
        for (int n_rows : {1, 40}) {
          Rows rows(head, n_rows, 3, 64 * 9 - n_rows);
          for (size_t i = 0; i < rows.q.size(); ++i) {
            rows.q[i] = q_of_each != 0 ? q_of_each : i % d == 5 ? 3.0f : 0.0f;
          }
          Check(head, rows, {.scale = 1.0f}, 0, 2e-3);
          if (HasFatalFailure()) return;
        }
      };
      check([&](int, int) { return sign; }, sign * 3e-2f);
      check([&](int, int c) { return c == 5 ? sign : 0.0f; }, 0);
      check([&](int i, int c) { return c == 5 && i == 7 ? 40.0f : 0.0f; }, 0);
    }
  }
}

TEST_P(Attention, MatchesDoubleForEveryGroup) {
  for (int group = 1; group <= 9; ++group) {
    for (int n_rows : {1, 2, 5}) {
      HeadCase head(GetParam(), 64, group);
      head.AddRun(CodecId::kF16, CodecId::kF16, 200);
      Rows rows(head, n_rows, group, 200 - n_rows);
      Check(head, rows, {.scale = 0.125f});
    }
  }
}

TEST_P(Attention, MatchesDoubleAroundPageAndSplitEdges) {
  for (int n : {1, 2, 63, 64, 65, 127, 128, 511, 512, 513, 575, 576, 1023, 1024, 1025, 1600}) {
    for (int n_rows : {1, std::min(n, 20)}) {
      HeadCase head(GetParam(), 32, n);
      head.AddRun(CodecId::kF16, CodecId::kF16, n);
      Rows rows(head, n_rows, 2, n - n_rows);
      Check(head, rows, {.scale = 0.25f});
    }
  }
}

TEST_P(Attention, MixesCodecsBetweenRuns) {
  HeadCase head(GetParam(), 64, 3);
  const PlaneFormat f16 = FloatPlane(CodecId::kF16, 64);
  head.AddRun(TokenPlane(4, 64), Q8Plane(64), 128);
  head.AddRun(f16, TokenPlane(4, 64), 64);
  head.AddRun(CodecId::kBF16, CodecId::kF32, 320);
  head.AddRun(CodecId::kF32, CodecId::kBF16, 100);
  for (int n_rows : {1, 9}) {
    Rows rows(head, n_rows, 4, 612 - n_rows);
    Check(head, rows, {.scale = 0.125f}, 0, 2e-4);
  }
}

TEST_P(Attention, WindowBiasSoftcapHolesAndOrders) {
  const auto holes = [](int page, int slot) { return (page * 7 + slot * 3) % 5 == 0; };
  for (int window : {0, 1, 30, 64, 100, 700}) {
    for (float softcap : {0.0f, 5.0f}) {
      for (bool shuffle : {false, true}) {
        HeadCase head(GetParam(), 64, window + 17);
        head.AddRun(FloatPlane(CodecId::kF16, 64), Q8Plane(64), 900);
        head.AddBias();
        head.Kill(holes);
        if (shuffle) head.Shuffle();
        for (int n_rows : {1, 6}) {
          Rows rows(head, n_rows, 3, 890 - n_rows);
          Check(head, rows, {.scale = 0.125f, .softcap = softcap}, window, 2e-4);
        }
      }
    }
  }
}

// A row before all keys, or whose window holds only dead slots.
TEST_P(Attention, RowsThatSeeNothingGetZeros) {
  HeadCase head(GetParam(), 64, 5);
  head.AddRun(CodecId::kF16, CodecId::kF16, 128);
  head.Kill([](int page, int slot) { return page == 0 && slot < 40; });
  Rows rows(head, 60, 1, -10);
  Check(head, rows, {.scale = 0.125f});
  EXPECT_EQ(rows.lse[49], -kInf);
  EXPECT_NE(rows.lse[50], -kInf);  // order 40
}

TEST_P(Attention, EachRunHasItsOwnQueries) {
  HeadCase head(GetParam(), 64, 6);
  head.AddRun(CodecId::kF16, CodecId::kF16, 100);
  head.AddRun(CodecId::kF16, CodecId::kF16, 600);
  const std::vector<RunRef> runs = head.Runs();
  for (int n_rows : {1, 40}) {
    Rows rows(head, n_rows, 3, 740 - n_rows), other(head, n_rows, 3, 0);
    const float* run_q[] = {rows.q.data(), other.q.data()};
    AttendJob job = rows.Job(runs, 0, n_rows);
    job.q = nullptr;
    job.run_q = run_q;
    const LogitSpec spec{.scale = 0.125f};
    Run(spec, {&job, 1});
    for (int row = 0; row < n_rows; ++row) {
      for (int g = 0; g < 3; ++g) {
        const int64_t at = row * rows.stride() + g * 64;
        std::vector<float> both(rows.q.begin() + at, rows.q.begin() + at + 64);
        both.insert(both.end(), other.q.begin() + at, other.q.begin() + at + 64);
        double lse;
        const std::vector<double> expected =
            head.Attend(head.Logits(spec, both.data(), 64, rows.order[row], 0), &lse);
        for (int c = 0; c < 64; ++c) ASSERT_NEAR(rows.out[at + c], expected[c], 1e-4);
      }
    }
  }
}

// The contract on determinism: the same bits alone, together, in chunks, over threads, with other
// jobs, and on every instruction set.
TEST_P(Attention, BitsOfARowDependOnNothingElse) {
  const std::vector<PlaneFormat> formats = FormatsOf(PlaneKind::kKeys, 80);
  const std::vector<PlaneFormat> values = FormatsOf(PlaneKind::kValues, 80);
  for (size_t f = 0; f < formats.size(); ++f) {
    for (int window : {0, 300}) {
      HeadCase head(GetParam(), 80, 11);
      head.AddRun(formats[f], values[f % values.size()], 704);
      head.AddNarrowRun(FloatPlane(CodecId::kF16, 80), FloatPlane(CodecId::kF16, 37), 200,
                        SomeOf(37, 80));
      head.AddRun(CodecId::kF16, CodecId::kF16, 300);
      head.Kill([](int page, int slot) { return page % 3 == 1 && slot % 4 == 0; });
      const int n = 77;
      Rows rows(head, n, 3, 1200 - n);
      const std::vector<RunRef> runs = head.Runs(), cut = head.Runs(true);
      const LogitSpec spec{.scale = 0.11f};
      const AttendJob all = rows.Job(runs, 0, n, window);
      Run(spec, {&all, 1});
      const std::vector<float> out = rows.out, lse = rows.lse;
      const auto expect_same = [&](const char* what) {
        EXPECT_EQ(std::memcmp(out.data(), rows.out.data(), out.size() * 4), 0)
            << what << " " << FormatName(formats[f]) << " "
            << FormatName(values[f % values.size()]);
        EXPECT_EQ(std::memcmp(lse.data(), rows.lse.data(), lse.size() * 4), 0) << what;
        std::fill(rows.out.begin(), rows.out.end(), -1.0f);
      };
      std::vector<AttendJob> jobs;
      for (int i = 0; i < n; ++i) jobs.push_back(rows.Job(runs, i, 1, window));
      Run(spec, jobs);
      expect_same("alone");
      for (int chunk : {2, 5, 32, 50}) {
        jobs.clear();
        for (int i = 0; i < n; i += chunk) {
          jobs.push_back(rows.Job(runs, i, std::min(chunk, n - i), window));
        }
        Run(spec, jobs, 2);
        expect_same("in chunks");
      }
      for (int n_threads : {2, 3, 7}) {
        Run(spec, {&all, 1}, n_threads);
        expect_same("over threads");
        jobs.assign(1, rows.Job(runs, n - 1, 1, window));
        jobs.push_back(rows.Job(runs, 0, n - 1, window));
        Run(spec, jobs, n_threads);
        expect_same("decode beside prefill");
      }
      const AttendJob pieces = rows.Job(cut, 0, n, window);
      Run(spec, {&pieces, 1}, 2);
      expect_same("in other runs");
      ThreadPool pool(1);
      Attend(Isa::kAvx2, spec, {&all, 1}, pool, scratch_);
      expect_same("on AVX2");
    }
  }
}

TEST_P(Attention, ASingleRowIsSharedOutWithTheSameBits) {
  HeadCase head(GetParam(), 64, 12);
  head.AddRun(CodecId::kF16, CodecId::kF16, 5000);
  Rows rows(head, 1, 3, 4999);
  const std::vector<RunRef> runs = head.Runs();
  const AttendJob job = rows.Job(runs, 0, 1);
  Run({.scale = 0.125f}, {&job, 1});
  const std::vector<float> out = rows.out;
  for (int n_threads : {2, 4, 16}) {
    std::fill(rows.out.begin(), rows.out.end(), -1.0f);
    Run({.scale = 0.125f}, {&job, 1}, n_threads);
    EXPECT_EQ(std::memcmp(out.data(), rows.out.data(), out.size() * 4), 0);
  }
}

TEST_P(Attention, MassMatchesDouble) {
  for (GroupReduce reduce : {GroupReduce::kMean, GroupReduce::kMax, GroupReduce::kSum}) {
    for (int n_rows : {1, 8, 70}) {
      HeadCase head(GetParam(), 64, n_rows);
      head.AddRun(CodecId::kF16, CodecId::kF16, 400);
      head.AddRun(TokenPlane(4, 64), FloatPlane(CodecId::kF16, 64), 300);
      head.AddBias();
      head.Kill([](int page, int slot) { return page % 2 == 1 && slot % 3 == 0; });
      Rows rows(head, n_rows, 3, 690 - n_rows);
      const std::vector<RunRef> runs = head.Runs();
      const AttendJob attend = rows.Job(runs, 0, n_rows, 500);
      const LogitSpec spec{.scale = 0.125f, .softcap = 20.0f};
      Run(spec, {&attend, 1}, 2);
      std::vector<float> weight(n_rows), mass(head.n_slots(), -1.0f), again = mass;
      for (int i = 0; i < n_rows; ++i) weight[i] = 1.0f / (1 + i);
      MassJob job{.runs = runs,
                  .q = rows.q.data(),
                  .q_order = rows.order.data(),
                  .lse = rows.lse.data(),
                  .row_weight = weight.data(),
                  .mass = mass.data(),
                  .n_rows = n_rows,
                  .group = 3,
                  .head_dim = 64,
                  .q_stride = rows.stride(),
                  .mask = {.window = 500},
                  .over_group = reduce};
      ThreadPool one(1), three(3);
      AttentionMass(GetParam(), spec, {&job, 1}, one, scratch_);
      job.mass = again.data();
      AttentionMass(GetParam(), spec, {&job, 1}, three, scratch_);
      EXPECT_EQ(std::memcmp(mass.data(), again.data(), mass.size() * 4), 0);

      std::vector<std::vector<double>> sums(3, std::vector<double>(head.n_slots()));
      for (int row = 0; row < n_rows; ++row) {
        for (int g = 0; g < 3; ++g) {
          const float* q = rows.q.data() + row * rows.stride() + g * 64;
          const std::vector<double> logits = head.Logits(spec, q, 0, rows.order[row], 500);
          double lse;
          head.Attend(logits, &lse);
          for (int i = 0; i < head.n_slots(); ++i) {
            sums[g][i] += weight[row] * std::exp(logits[i] - lse);
          }
        }
      }
      for (int i = 0; i < head.n_slots(); ++i) {
        const double sum = sums[0][i] + sums[1][i] + sums[2][i];
        const double expected = reduce == GroupReduce::kSum ? sum
                                : reduce == GroupReduce::kMean
                                    ? sum / 3
                                    : std::max({sums[0][i], sums[1][i], sums[2][i]});
        // Keys in 4 bits meet queries in 16.
        ASSERT_NEAR(mass[i], expected, (i < 448 ? 1e-4 : 5e-4) * expected + 1e-9) << i;
      }
    }
  }
}

// The mass of one row over all slots is 1.
TEST_P(Attention, MassOfARowSumsToOne) {
  HeadCase head(GetParam(), 128, 4);
  head.AddRun(CodecId::kBF16, CodecId::kF16, 1300);
  Rows rows(head, 1, 1, 1299);
  const std::vector<RunRef> runs = head.Runs();
  const AttendJob attend = rows.Job(runs, 0, 1);
  Run({.scale = 0.1f}, {&attend, 1});
  std::vector<float> mass(head.n_slots());
  const MassJob job{.runs = runs,
                    .q = rows.q.data(),
                    .q_order = rows.order.data(),
                    .lse = rows.lse.data(),
                    .mass = mass.data(),
                    .n_rows = 1,
                    .head_dim = 128,
                    .q_stride = 128,
                    .mask = {}};
  ThreadPool pool(2);
  AttentionMass(GetParam(), {.scale = 0.1f}, {&job, 1}, pool, scratch_);
  double sum = 0;
  for (float m : mass) sum += m;
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, Attention, testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
