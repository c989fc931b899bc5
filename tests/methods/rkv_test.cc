// R-KV: redundancy of keys by hand, importance by given votes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "methods/registry.h"

namespace kvasir {
namespace {

using testing::ElementsAre;

class GivenVotes final : public Ops {
 public:
  explicit GivenVotes(std::vector<float> votes) : votes_(std::move(votes)) {}
  std::vector<std::vector<float>> AttentionMass(const LayerView&,
                                                const ScoreRequest& request) override {
    EXPECT_EQ(request.over_group, GroupBy::kMax);
    return {votes_};
  }
  std::vector<float> OutputNorms(const LayerView&, int) override { return {}; }
  QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
  std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }

 private:
  const std::vector<float> votes_;
};

// What stays of entries whose keys point along these channels, the last of which voted.
std::vector<int32_t> Kept(const std::string& spec, const std::vector<int>& channels,
                          const std::vector<float>& votes, Moment moment = Moment::kPromptEnd) {
  const auto program = Program::Build(spec);
  if (!program) {
    ADD_FAILURE() << program.error().message;
    return {};
  }
  const auto n = static_cast<int64_t>(channels.size());
  PagePool pool;
  std::vector<HeadCache> heads;
  heads.emplace_back(pool, HeadFormat{.head_dim = 16, .k_plane = {.codec = CodecId::kF32}});
  std::vector<SlotRange> slots;
  EXPECT_TRUE(heads[0].Append(n, 0, slots));
  std::vector<float> keys(n * 16);
  for (int64_t i = 0; i < n; ++i) {
    keys[i * 16 + channels[i]] = 1.0f + static_cast<float>(i);  // lengths do not matter
  }
  for (const SlotRange& range : slots) {
    EncodeEntries(Isa::kAvx2, heads[0].format().k(), PlaneKind::kKeys, keys.data() + range.row * 16,
                  16, range.slot, range.n, range.k);
  }
  const ModelInfo model{.n_layers = 1, .n_q_heads = 2, .n_kv_heads = 1, .head_dim = 16};
  const LayerView at{
      .model = model, .moment = moment, .n_prompt = n, .heads = heads, .n_last_queries = 1};
  GivenVotes ops(votes);
  LayerPlan plan(heads);
  (*program)->Compress(at, ops, plan);
  return plan.Resolve(0).value_or(std::vector<int32_t>{-1});
}

// Entries 0, 2 and 4 point along one channel. Each spares the newest other of them: 0 and 2 spare
// 4, 4 spares 2. Sums of cosines: 2 for entry 0, 1 for entry 2, none for 4 and the others.
TEST(RKv, OfLikeKeysTheNewestStay) {
  const std::vector<int> channels = {0, 1, 0, 2, 0, 3};
  const std::vector<float> none(6);
  EXPECT_THAT(Kept("rkv:budget=4,window=1,kernel=1,lambda=0", channels, none),
              ElementsAre(1, 3, 4, 5));
  EXPECT_THAT(Kept("rkv:budget=5,window=1,kernel=1,lambda=0,spare=0", channels, none),
              ElementsAre(0, 1, 2, 3, 5));
}

TEST(RKv, ImportanceAloneIsAttention) {
  const std::vector<int> channels = {0, 1, 0, 2, 0, 3};
  EXPECT_THAT(
      Kept("rkv:budget=3,window=1,kernel=1,lambda=1", channels, {.5f, .1f, .3f, .05f, 0, 0}),
      ElementsAre(0, 2, 5));
  EXPECT_THAT(Kept("rkv:budget=3,window=1,kernel=3,lambda=1", channels, {.1f, 0, 0, .5f, 0, 0}),
              ElementsAre(2, 3, 5));
}

TEST(RKv, WaitsWhileGenerating) {
  const std::vector<int> channels = {0, 1, 0, 2, 0, 3};
  const std::vector<float> none(6);
  const auto kept = [&](int budget, int every) {
    return Kept(fmt::format("rkv:budget={},every={},window=1", budget, every), channels, none,
                Moment::kDecode);
  };
  EXPECT_THAT(kept(3, 4), ElementsAre(-1));
  EXPECT_EQ(kept(3, 3).size(), 3u);
}

}  // namespace
}  // namespace kvasir
