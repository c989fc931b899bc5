#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

// knorm keeps the shortest keys: 0 and 2. Entries 1 and 3 go: 1 is at 45 degrees from both, nearest
// to 0 by being earlier; 3 is opposite of 0, at right angles to 2.
const Rows kKeys = {{1, 0}, {2, 2}, {0, 1}, {-3, 0}};
const Rows kValues = {{1, 0}, {0, 2}, {5, 0}, {7, 0}};

TEST(Merge, KvpressMixesValuesAndLeavesKeys) {
  ActingLayer layer("merge:variant=kvpress + knorm:budget=2");
  layer.Append(kKeys, kValues);
  layer.Act({0, 0, 0, 0});
  EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 2));
  EXPECT_THAT(ReadRows(layer.head(), PlaneKind::kKeys, 2),
              ElementsAre(ElementsAre(1, 0), ElementsAre(0, 1)));
  // a = cos 45° * 2 / (2 + 1); entry 3 has cosine 0 with entry 2: weight 0.
  const float a = std::sqrt(.5f) * 2 / 3;
  const Rows values = ReadRows(layer.head(), PlaneKind::kValues, 2);
  EXPECT_THAT(values[0],
              ElementsAre(FloatNear(1 / (1 + a), 1e-5f), FloatNear(2 * a / (1 + a), 1e-5f)));
  EXPECT_THAT(values[1], ElementsAre(5, 0));
}

TEST(Merge, PaperMergesWhatIsAlikeAboveTheMean) {
  ActingLayer layer("merge + knorm:budget=2");
  layer.Append(kKeys, kValues);
  layer.Act({0, 0, 0, 0});
  // The mean cosine of 0.707 and 0 is 0.354: entry 3 goes.
  const double u = std::exp(std::sqrt(.5)), e = std::exp(1.0);
  const Rows keys = ReadRows(layer.head(), PlaneKind::kKeys, 2),
             values = ReadRows(layer.head(), PlaneKind::kValues, 2);
  EXPECT_NEAR(keys[0][0], (e * 1 + u * 2) / (e + u), 1e-5);
  EXPECT_NEAR(keys[0][1], u * 2 / (e + u), 1e-5);
  EXPECT_NEAR(values[0][0], e / (e + u), 1e-5);
  EXPECT_THAT(values[1], ElementsAre(5, 0));
  EXPECT_THAT(layer.head().Column(kCountColumn), ElementsAre(2, 1));
  EXPECT_THAT(layer.head().Column(kBiasColumn), ElementsAre(0, 0));
}

TEST(Merge, CountsAddTheirLogarithm) {
  ActingLayer layer("merge:counts=true,least=-1 + knorm:budget=2");
  layer.Append(kKeys, kValues);
  layer.Act({0, 0, 0, 0});
  EXPECT_THAT(layer.head().Column(kCountColumn), ElementsAre(2, 2));
  EXPECT_THAT(layer.head().Column(kBiasColumn),
              ElementsAre(FloatNear(std::log(2.0f), 1e-6f), FloatNear(std::log(2.0f), 1e-6f)));
}

// Whatever wraps the base beside it, and wherever it stands.
TEST(Merge, ActsAfterAllOtherWrappers) {
  for (const std::string spec : {"merge:least=-1 + protect:sinks=0,window=1 + knorm:budget=2",
                                 "protect:sinks=0,window=1 + merge:least=-1 + knorm:budget=2"}) {
    ActingLayer layer(spec);
    layer.Append(kKeys, kValues);
    layer.Act({0, 0, 0, 0});
    EXPECT_THAT(layer.head().Orders(), ElementsAre(0, 3)) << spec;
    const std::vector<float> counts = layer.head().Column(kCountColumn);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0f), 4) << spec;
  }
}

TEST(Merge, WorksAroundABaseThatOnlyDrops) {
  ActingLayer layer("merge:least=-1 + streaming:budget=20,sinks=4");
  layer.Append(RandomRows(100, 1), RandomRows(100, 2));
  layer.Act(std::vector<float>(100));
  EXPECT_EQ(layer.head().size(), 20);
  for (int i = 0; i < 30; ++i) {
    layer.Append(RandomRows(1, 5 + i), RandomRows(1, 50 + i));
    layer.Act(std::vector<float>(21), Moment::kDecode);
    const std::vector<float> counts = layer.head().Column(kCountColumn);
    ASSERT_EQ(layer.head().size(), 20);
    ASSERT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0f), 101 + i);
  }
}

TEST(Merge, OneMethodDecidesWhatBecomesOfWhatGoes) {
  const auto error = [](std::string_view spec) {
    const auto program = Program::Build(spec);
    return program ? std::string() : program.error().message;
  };
  EXPECT_THAT(error("merge + kvmerger"), HasSubstr("'merge' and 'kvmerger' both decide"));
  EXPECT_THAT(error("merge + razor"), HasSubstr("both decide"));
  EXPECT_THAT(error("renumber + kvmerger"), HasSubstr("'renumber' moves keys"));
  EXPECT_THAT(error("renumber + merge + tova"), HasSubstr("'renumber' moves keys"));
  EXPECT_THAT(error("adakv + kvmerger"), HasSubstr("'kvmerger' writes none"));
  EXPECT_EQ(error("decode + merge + tova"), "");
  EXPECT_EQ(error("merge + adakv + snapkv"), "");
}

}  // namespace
}  // namespace kvasir
