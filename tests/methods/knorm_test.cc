#include <gmock/gmock.h>

#include "tests/methods/acting.h"

namespace kvasir {
namespace {

using testing::ElementsAre;

const Rows kKeys = {{3, 0}, {1, 1}, {0, -1}, {2, 2}, {0, 0.5f}};  // norms 3, 1.41, 1, 2.83, 0.5

std::vector<int32_t> Kept(const std::string& spec, int layer) {
  ActingLayer acting(spec, 1, 4, layer);
  acting.Append(kKeys, kKeys);
  acting.Act(std::vector<float>(kKeys.size()));
  return acting.head().Orders();
}

TEST(Knorm, KeepsTheShortestKeysInEveryLayer) {
  for (int layer = 0; layer < 4; ++layer) {
    EXPECT_THAT(Kept("knorm:budget=3", layer), ElementsAre(1, 2, 4)) << layer;
    EXPECT_THAT(Kept("knorm:budget=40%", layer), ElementsAre(2, 4)) << layer;
  }
}

// The paper's two: they come on top of what the others keep.
TEST(Knorm, FirstLayersStayWholeBesideTheBudget) {
  for (int layer = 0; layer < 2; ++layer) {
    EXPECT_THAT(Kept("knorm:budget=3,first_layers=2", layer), ElementsAre(0, 1, 2, 3, 4)) << layer;
  }
  for (int layer = 2; layer < 4; ++layer) {
    EXPECT_THAT(Kept("knorm:budget=3,first_layers=2", layer), ElementsAre(1, 2, 4)) << layer;
  }
}

TEST(Knorm, WrappersLeaveWholeLayersWhole) {
  for (const char* wrapper : {"protect:sinks=1,window=1", "adakv", "chunkkv:chunk=2", "merge"}) {
    const std::string spec = std::string(wrapper) + " + knorm:budget=3,first_layers=1";
    EXPECT_EQ(Kept(spec, 0).size(), kKeys.size()) << spec;
    EXPECT_LE(Kept(spec, 1).size(), 3u) << spec;
  }
}

}  // namespace
}  // namespace kvasir
