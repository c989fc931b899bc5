// What the sheets of kivi, vidkv, mikv, think and ages ask for, in sessions: which entries are
// stored how, and when.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class CodecMethods : public testing::Test {
 protected:
  std::unique_ptr<SessionImpl> Open(const std::string& spec) {
    return OpenSession(model_, {.kv = spec});
  }
  std::unique_ptr<SessionImpl> Fed(const std::string& spec, int n) {
    auto session = Open(spec);
    EXPECT_TRUE(session->Feed(RandomIds(n, 1), {}));
    return session;
  }
  // Token by token from the first.
  std::unique_ptr<SessionImpl> Stepped(const std::string& spec, int n) {
    auto session = Open(spec);
    const std::vector<int32_t> ids = RandomIds(n, 1);
    EXPECT_TRUE(session->Feed({ids.data(), 1}, {}));
    for (int i = 1; i < n; ++i) EXPECT_TRUE(session->Step(ids[i]));
    return session;
  }
  static const HeadCache& Head(const SessionImpl& session, int layer = 0, int head = 0) {
    return session.cache().layer(layer)[head];
  }
  static std::vector<float> Plane(const HeadCache& head, PlaneKind kind) {
    return ReadPlane(head, kind);
  }
  static std::string BuildError(const std::string& spec) {
    const auto program = Program::Build(spec);
    return program ? "" : program.error().message;
  }
  static float LogitError(const SessionImpl& a, const SessionImpl& b) {
    float worst = 0;
    for (size_t i = 0; i < a.logits().size(); ++i) {
      worst = std::max(worst, std::abs(a.logits()[i] - b.logits()[i]));
    }
    return worst;
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
};

// kivi.md and vidkv.md, test 1: a residual that the text does not fill is the full cache.
TEST_F(CodecMethods, TextsBelowTheResidualAreFull) {
  const std::vector<int32_t> prompt = RandomIds(150, 1), forced = RandomIds(30, 2);
  const auto full = Feed(*Open("full"), prompt, forced);
  for (const char* spec : {"kivi:bits=2,residual=192", "vidkv:residual=192", "vidkv:residual=256",
                           "kivi:bits=4,residual=256"}) {
    EXPECT_EQ(Feed(*Open(spec), prompt, forced), full) << spec;
  }
  EXPECT_NE(Feed(*Open("kivi:bits=2,residual=160"), prompt, forced), full);
}

// kivi.md, test 3. In layer 0 keys and values are those of the tokens alone, however they were fed.
TEST_F(CodecMethods, KiviCountsAreTheSheets) {
  struct Case {
    int n, k_staged, v_staged;
  };
  const auto check = [&](const std::string& spec, const Case& c) {
    const auto at_once = Fed(spec, c.n);
    const auto stepped = Stepped(spec, c.n);
    for (const auto* session : {at_once.get(), stepped.get()}) {
      for (int l = 0; l < 4; ++l) {
        EXPECT_EQ(Head(*session, l).n_staged(PlaneKind::kKeys), c.k_staged) << c.n;
        EXPECT_EQ(Head(*session, l).n_staged(PlaneKind::kValues), c.v_staged) << c.n;
        EXPECT_EQ(Head(*session, l).size(), c.n);
      }
    }
    for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
      EXPECT_EQ(Plane(Head(*at_once), kind), Plane(Head(*stepped), kind)) << spec << " " << c.n;
    }
  };
  for (const Case& c : {Case{127, 127, 127}, {128, 0, 128}, {129, 1, 128}, {300, 44, 128}}) {
    check("kivi:bits=2,residual=128", c);
    check("kivi:bits=2,residual=128,group_size=64", c);
  }
}

// kivi.md, test 6: planes of 64 slots; bits and grids of each, and the residual.
TEST_F(CodecMethods, KiviBytesAreThoseOfItsPlanes) {
  const auto session = Fed("kivi:bits=2,residual=64", 320);
  const KvReport report = session->kv();
  // Keys: all 320; values: 256 of 320. 4 layers of 2 heads, head_dim 32, a base of f32.
  const int64_t keys = 5 * 64 * (32 * 2 / 8 + 32 * 4 / 32);
  const int64_t values = 4 * 64 * (32 * 2 / 8 + 4), residual = 64 * 32 * 4;
  int64_t coded = 0;
  for (const auto& [codec, bytes] : report.by_codec) {
    if (codec != "facts" && codec != "f32") coded += bytes;
  }
  EXPECT_EQ(coded, 8 * (keys + values));
  EXPECT_EQ(report.by_codec.at("f32"), 8 * residual);
  EXPECT_GE(report.bytes_peak, report.bytes - report.by_codec.at("facts"));
}

TEST_F(CodecMethods, OptionsKeepWhatTheyName) {
  const auto session =
      Fed("kivi:bits=2,residual=32,first_layers=1,last_layers=2,sinks=4,window=10", 230);
  for (int l : {0, 2, 3}) EXPECT_EQ(Head(*session, l).n_staged(PlaneKind::kKeys), 230);
  const HeadCache& head = Head(*session, 1);
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 230 - 192);
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 4 + 32 + 10);
  EXPECT_EQ(head.Entries({PlaneKind::kKeys, head.format().k(), 0, 5}),
            (std::vector<int32_t>{0, 1, 2, 3, 196}));
}

// The more bits, the nearer to full.
TEST_F(CodecMethods, MoreBitsLoseLess) {
  const auto full = Fed("full", 230);
  float before = 0;
  for (const char* spec :
       {"q8", "kivi:bits=8,residual=32", "kivi:bits=4,residual=32", "kivi:bits=2,residual=32"}) {
    const auto session = Fed(spec, 230);
    auto plain = full->Fork();
    const int32_t id = 77;
    ASSERT_TRUE((*plain)->Step(id) && session->Step(id));
    const float error = LogitError(static_cast<SessionImpl&>(**plain), *session);
    EXPECT_GT(error, 0) << spec;
    EXPECT_GE(error * 3, before) << spec;
    before = error;
  }
}

// A session whose pages a fork shares goes on as one that nobody has forked, in all bits: of texts
// so long that half full pages would stay.
TEST_F(CodecMethods, ForkingChangesNoBit) {
  for (const char* spec : {"q4", "kivi:bits=2,residual=32", "ages", "vidkv", "think + q8",
                           "mikv:lo_bits=2 + h2o:budget=20%"}) {
    const auto forked = Fed(spec, 700), alone = Fed(spec, 700);
    const std::vector<int32_t> ids = RandomIds(130, 2);
    ASSERT_TRUE(forked->Step(ids[0]) && alone->Step(ids[0]));
    const auto fork = forked->Fork();
    for (size_t i = 1; i < ids.size(); ++i) {
      ASSERT_TRUE(forked->Step(ids[i]) && alone->Step(ids[i]));
      ASSERT_TRUE(std::ranges::equal(forked->logits(), alone->logits())) << spec << " " << i;
    }
    EXPECT_LE(Head(*forked).n_slots(), Head(*alone).n_slots()) << spec;
  }
}

// vidkv.md, tests 7 and 11.
TEST_F(CodecMethods, VidKvSplitsChannelsOnceAndAppends) {
  const std::vector<int32_t> ids = RandomIds(256, 1);
  const auto prompts = Open("vidkv"), steps = Open("vidkv");
  for (const auto* session : {prompts.get(), steps.get()}) {
    ASSERT_TRUE(const_cast<SessionImpl*>(session)->Feed({ids.data(), 128}, {}));
  }
  const KeyMapPtr split = Head(*prompts).key_map();
  ASSERT_TRUE(split);
  std::vector<uint8_t> channels = split->parts().channels;
  EXPECT_EQ(split->parts().transform_from, 16);
  EXPECT_TRUE(std::is_sorted(channels.begin(), channels.begin() + 16));
  EXPECT_TRUE(std::is_sorted(channels.begin() + 16, channels.end()));
  std::sort(channels.begin(), channels.end());
  for (int c = 0; c < 32; ++c) EXPECT_EQ(channels[c], c);
  ASSERT_TRUE(prompts->Feed({ids.data() + 128, 128}, {}));
  for (int i = 128; i < 256; ++i) ASSERT_TRUE(steps->Step(ids[i]));
  EXPECT_EQ(Head(*steps).n_staged(PlaneKind::kKeys), 0);
  for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
    EXPECT_EQ(Plane(Head(*prompts), kind), Plane(Head(*steps), kind));
  }
  EXPECT_EQ(Head(*prompts).key_map(), split);
}

TEST_F(CodecMethods, VidKvProtectsWhatIsLookedAt) {
  const auto session = Fed("vidkv:protect=30%", 256);
  const HeadCache& head = Head(*session, 1);
  EXPECT_EQ(head.n_stored(PlaneKind::kValues, ChannelPlane(2, 0)), 64);
  EXPECT_EQ(head.n_stored(PlaneKind::kValues, TernaryPlane(0)), 192);
  EXPECT_EQ(head.size(), 256);
}

TEST_F(CodecMethods, AgesMakesThreeTiers) {
  const auto session = Fed("ages:window=64,middle=96,bits=4", 300);
  const HeadCache& head = Head(*session);
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 76);  // 64, and what does not fill a block
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, Q8Plane(0)), 96);
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, ChannelPlane(4, 0)), 128);
  EXPECT_EQ(head.Entries({PlaneKind::kKeys, Q8Plane(0), 0, 1}), std::vector<int32_t>{128});
  const std::vector<int32_t> ids = RandomIds(60, 3);
  for (int32_t id : ids) ASSERT_TRUE(session->Step(id));
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, Q8Plane(0)), 96);
  EXPECT_EQ(head.size(), 360);
}

// mikv.md, tests 6 and 9; what the base keeps is what stays at full precision.
TEST_F(CodecMethods, MiKvKeepsAllAndDropsNothing) {
  const std::string base = "h2o:budget=20%";
  const auto evicted = Fed(base, 200), mixed = Fed("mikv:lo_bits=2 + " + base, 200),
             dropped = Fed("mikv:lo_bits=0 + " + base, 200);
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 2; ++h) {
      const HeadCache& head = Head(*mixed, l, h);
      EXPECT_EQ(head.size(), 200);
      EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 40);
      EXPECT_EQ(head.Entries({PlaneKind::kKeys, head.format().k(), 0, 40}),
                Head(*evicted, l, h).Orders());
      EXPECT_EQ(Head(*dropped, l, h).Orders(), Head(*evicted, l, h).Orders());
    }
  }
  // mikv.md, section 3.6: the share is of all tokens, the base's alone of the prompt's.
  std::vector<int32_t> low_before;
  const auto fixed = Fed("mikv:lo_bits=2,grow=false + " + base, 200);
  for (int32_t id : RandomIds(30, 5)) {
    ASSERT_TRUE(mixed->Step(id) && evicted->Step(id) && dropped->Step(id) && fixed->Step(id));
    const HeadCache& head = Head(*mixed, 2, 1);
    const int64_t n_high = head.size() / 5;
    EXPECT_EQ(head.n_staged(PlaneKind::kKeys), n_high);
    EXPECT_EQ(Head(*fixed, 2, 1).n_staged(PlaneKind::kKeys), 40);
    const PlaneFormat lo = TokenPlane(2, 0, 16);
    const auto low = head.Entries({PlaneKind::kKeys, lo, 0, head.n_stored(PlaneKind::kKeys, lo)});
    EXPECT_EQ(std::ssize(low) + n_high, head.size());
    EXPECT_TRUE(std::includes(low.begin(), low.end(), low_before.begin(), low_before.end()));
    low_before = low;
  }
  EXPECT_EQ(Head(*mixed).size(), 230);
  EXPECT_TRUE(std::ranges::equal(dropped->logits(), evicted->logits()));
}

// mikv.md, section 3.2: the balancer is of the prompt's queries, also where the first entry goes to
// low bits while generating, and in a session that was saved before that.
TEST_F(CodecMethods, MiKvBalancesLateEntriesByThePrompt) {
  const std::string path = testing::TempDir() + "/kvasir_mikv_late.bin";
  const auto at_once = Fed("mikv:lo_bits=2 + h2o:budget=199", 200),
             late = Fed("mikv:lo_bits=2 + h2o:budget=200", 200),
             saved = Open("mikv:lo_bits=2 + h2o:budget=200");
  ASSERT_TRUE(late->Save(path) && saved->Load(path));
  for (int32_t id : RandomIds(20, 5)) ASSERT_TRUE(late->Step(id) && saved->Step(id));
  EXPECT_TRUE(std::ranges::equal(late->logits(), saved->logits()));
  int n_equal = 0;  // a generated key is the largest of a channel now and then
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 2; ++h) {
      const auto& expected = Head(*at_once, l, h).key_map()->parts().balancer;
      const auto& balancer = Head(*late, l, h).key_map()->parts().balancer;
      for (int c = 0; c < 32; ++c) {
        EXPECT_LE(balancer[c], expected[c]);
        n_equal += balancer[c] == expected[c];
      }
    }
  }
  EXPECT_GE(n_equal, 8 * 32 - 20);
}

// mikv.md, test 1, and 8 bits near it.
TEST_F(CodecMethods, MiKvOfEverythingIsFull) {
  const auto full = Fed("full", 200), all = Fed("mikv:lo_bits=2 + h2o:budget=100%", 200);
  EXPECT_TRUE(std::ranges::equal(full->logits(), all->logits()));
  const auto fine = Fed("mikv:lo_bits=8 + h2o:budget=20%", 200);
  ASSERT_TRUE(full->Step(9) && fine->Step(9));
  EXPECT_LT(LogitError(*full, *fine), 0.05);
}

// think.md, tests 1, 7 and 8.
TEST_F(CodecMethods, ThinkNarrowsWhatIsNotRecent) {
  const auto none = Fed("think:ratio=0", 100), full = Fed("full", 100);
  ASSERT_TRUE(none->Step(5) && full->Step(5));
  EXPECT_TRUE(std::ranges::equal(none->logits(), full->logits()));
  const auto session = Fed("think:ratio=40%", 96);
  const HeadCache& head = Head(*session, 1);
  ASSERT_TRUE(head.key_map());
  EXPECT_EQ(head.key_map()->dim(), 32 - 12);
  EXPECT_TRUE(std::ranges::is_sorted(head.key_map()->parts().channels));
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 32);
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 96);
  EXPECT_EQ(head.bytes().keys,
            PlaneBytes(FloatPlane(CodecId::kF32, 20), PlaneKind::kKeys) + head.format().k_bytes());
  ASSERT_TRUE(session->Step(5));
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 33);  // generated tokens keep all channels
  ASSERT_TRUE(session->Feed(RandomIds(40, 6), {}));
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 73);  // and so does a second turn
}

// think.md, test 9.
TEST_F(CodecMethods, ThinkBeforeKiviPrunesAsItEncodes) {
  const auto session = Fed("think:ratio=40% + kivi:bits=2,residual=128", 300);
  const HeadCache& head = Head(*session, 1);
  const KeyMapPtr map = head.key_map();
  ASSERT_TRUE(map);
  EXPECT_EQ(map->dim(), 20);
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 44);
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, ChannelPlane(2, 20)), 256);
  for (int32_t id : RandomIds(84, 7)) ASSERT_TRUE(session->Step(id));
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 0);
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, ChannelPlane(2, 20)), 384);
  EXPECT_EQ(head.key_map(), map);
  // A prompt that is shorter than the residual chooses at the first flush.
  const auto late = Fed("think:ratio=40% + kivi:bits=2,residual=32", 20);
  EXPECT_FALSE(Head(*late).key_map());
  for (int32_t id : RandomIds(12, 7)) ASSERT_TRUE(late->Step(id));
  EXPECT_TRUE(Head(*late).key_map());
  EXPECT_EQ(Head(*late).n_stored(PlaneKind::kKeys, ChannelPlane(2, 20)), 32);
}

// The sheet's section 3.8. Channels are those in which the last 32 rows got most from attention.
TEST_F(CodecMethods, ThinkNarrowsValues) {
  const auto none = Fed("think:ratio=0,values=0", 100), full = Fed("full", 100);
  ASSERT_TRUE(none->Step(5) && full->Step(5));
  EXPECT_TRUE(std::ranges::equal(none->logits(), full->logits()));
  std::vector<std::vector<double>> energy(4,
                                          std::vector<double>(2 * 32));  // [layers][kv_heads * 32]
  model_->forward().SetProbe([&](int layer, MatView<const float> outputs) {
    ASSERT_EQ(outputs.shape[0], 96);
    const int64_t width = outputs.shape[1] / 2;  // of a KV head's group
    for (int64_t r = 96 - 32; r < 96; ++r) {
      for (int64_t i = 0; i < 2 * width; ++i) {
        const double x = outputs.row(r)[i];
        energy[layer][i / width * 32 + i % 32] += x * x;
      }
    }
  });
  const auto session = Fed("think:ratio=40%,values=40%", 96);
  model_->forward().SetProbe({});
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 2; ++h) {
      const HeadCache& head = Head(*session, l, h);
      ASSERT_TRUE(head.key_map() && head.value_map());
      const std::vector<uint8_t>& kept = head.value_map()->channels();
      ASSERT_EQ(kept.size(), 32u - 12);
      EXPECT_TRUE(std::ranges::is_sorted(kept));
      double least_kept = INFINITY, most_dropped = 0;
      for (int c = 0; c < 32; ++c) {
        const double e = energy[l][h * 32 + c];
        if (std::ranges::count(kept, c) > 0) {
          least_kept = std::min(least_kept, e);
        } else {
          most_dropped = std::max(most_dropped, e);
        }
      }
      EXPECT_GE(least_kept, most_dropped * (1 - 1e-5)) << l << " " << h;
      EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 32);
      EXPECT_EQ(head.n_staged(PlaneKind::kValues), 32);
      EXPECT_EQ(head.bytes().values, PlaneBytes(FloatPlane(CodecId::kF32, 20), PlaneKind::kValues) +
                                         head.format().v_bytes());
    }
  }
  const HeadCache& head = Head(*session, 1);
  const ValueMapPtr map = head.value_map();
  ASSERT_TRUE(session->Step(5));
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 33);  // generated tokens keep all channels
  ASSERT_TRUE(session->Feed(RandomIds(40, 6), {}));
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 73);  // and so does a second turn
  EXPECT_EQ(head.value_map(), map);
}

// What the next token sees is what it would see if the dropped channels were zeros: the more go,
// the further from full.
TEST_F(CodecMethods, MoreValueChannelsLoseMore) {
  const auto full = Fed("full", 230);
  ASSERT_TRUE(full->Step(9));
  float before = 0;
  for (const char* share : {"3%", "10%", "40%", "90%"}) {  // none of 32, 3, 12, 28
    const auto session = Fed(fmt::format("think:ratio=0,values={}", share), 230);
    ASSERT_TRUE(session->Step(9));
    const float error = LogitError(*full, *session);
    EXPECT_TRUE(before == 0 ? true : error > before) << share;
    EXPECT_EQ(error == 0, std::string(share) == "3%") << share;
    before = error;
  }
}

// With codecs: value channels go as values are encoded, a multiple of 8 stays.
TEST_F(CodecMethods, ThinkBeforeCodecsNarrowsValuesAsTheyAreEncoded) {
  const auto session = Fed("think:ratio=40%,values=40% + kivi:bits=2,residual=128", 300);
  const HeadCache& head = Head(*session, 1);
  const ValueMapPtr map = head.value_map();
  ASSERT_TRUE(map);
  EXPECT_EQ(map->dim(), 24);  // 20 of 32, and up
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 128);
  EXPECT_EQ(head.n_stored(PlaneKind::kValues, TokenPlane(2, 24)), 172);
  for (int32_t id : RandomIds(84, 7)) ASSERT_TRUE(session->Step(id));
  EXPECT_EQ(head.n_stored(PlaneKind::kValues, TokenPlane(2, 24)), 256);
  EXPECT_EQ(head.value_map(), map);
  const auto late = Fed("think:ratio=0,values=40% + kivi:bits=2,residual=32", 20);
  EXPECT_FALSE(Head(*late).value_map());
  for (int32_t id : RandomIds(13, 7)) ASSERT_TRUE(late->Step(id));
  EXPECT_TRUE(Head(*late).value_map());
  EXPECT_FALSE(Head(*late).key_map());
  EXPECT_EQ(Head(*late).n_stored(PlaneKind::kValues, TokenPlane(2, 24)), 1);
  const auto mixed = Fed("think:ratio=0,values=50% + mikv:lo_bits=4 + h2o:budget=20%", 200);
  ASSERT_TRUE(Head(*mixed, 1).value_map());
  EXPECT_EQ(Head(*mixed, 1).n_stored(PlaneKind::kValues, TokenPlane(4, 16, 16)), 160);
  EXPECT_EQ(Head(*mixed, 1).n_staged(PlaneKind::kValues), 40);
  const auto tiers = Fed("think:values=50% + ages:window=64,middle=96,bits=4", 300);
  EXPECT_EQ(Head(*tiers).n_stored(PlaneKind::kValues, Q8Plane(16)), 96);
  EXPECT_EQ(Head(*tiers).n_stored(PlaneKind::kValues, TokenPlane(4, 16)), 128);
}

// think.md, section 9: channels go first, what is left of them is balanced and encoded; what the
// base keeps has all channels.
TEST_F(CodecMethods, ThinkBeforeMiKvPrunesWhatGoesToLowBits) {
  const auto session = Fed("think:ratio=50% + mikv:lo_bits=4 + h2o:budget=20%", 200);
  const HeadCache& head = Head(*session, 1);
  const KeyMapPtr map = head.key_map();
  ASSERT_TRUE(map);
  EXPECT_EQ(map->dim(), 16);
  EXPECT_EQ(map->parts().balancer.size(), 16u);
  EXPECT_TRUE(std::ranges::is_sorted(map->parts().channels));
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 40);
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, TokenPlane(4, 16, 16)), 160);
  for (int32_t id : RandomIds(50, 7)) ASSERT_TRUE(session->Step(id));
  EXPECT_EQ(head.key_map(), map);
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 50);
  EXPECT_EQ(head.n_stored(PlaneKind::kKeys, TokenPlane(4, 16, 16)), 200);
  // No channel less: the same as without it.
  const auto none = Fed("think:ratio=0 + mikv:lo_bits=4 + h2o:budget=20%", 200);
  const auto plain = Fed("mikv:lo_bits=4 + h2o:budget=20%", 200);
  ASSERT_TRUE(none->Step(5) && plain->Step(5));
  EXPECT_TRUE(std::ranges::equal(none->logits(), plain->logits()));
}

// Evict, then encode what is left.
TEST_F(CodecMethods, CodecsWorkOnWhatEvictorsLeave) {
  const auto session = Fed("snapkv:budget=100,window=16 + kivi:bits=4,residual=32", 230);
  const auto evicted = Fed("snapkv:budget=100,window=16", 230);
  const HeadCache& head = Head(*session, 3, 1);
  EXPECT_EQ(head.Orders(), Head(*evicted, 3, 1).Orders());
  EXPECT_EQ(head.n_staged(PlaneKind::kKeys), 4);
  EXPECT_EQ(head.n_staged(PlaneKind::kValues), 32);
}

TEST_F(CodecMethods, WhatDoesNotCombineIsSaid) {
  const auto expect = [&](const std::string& spec, const std::string& part) {
    EXPECT_NE(BuildError(spec).find(part), std::string::npos) << spec << ": " << BuildError(spec);
  };
  expect("kivi + q4", "'kivi' and 'q4' both say how entries are stored");
  expect("kivi + snapkv", "stands after 'snapkv'");
  expect("mikv + h2o + kivi", "'mikv' and 'kivi' both");
  expect("adakv + mikv + h2o", "stands before all of them");
  expect("kivi + think", "write \"think + kivi\"");
  expect("mikv + h2o + think", "write \"think + mikv + h2o\"");
  EXPECT_EQ(BuildError("think + mikv + h2o:budget=20%"), "");
  expect("think + hadamard + q4", "both choose among the channels");
  expect("think + vidkv", "both choose among the channels");
  expect("hadamard", "write \"hadamard + kivi:bits=2\"");
  expect("hadamard + snapkv", "stands after 'snapkv'");
  expect("pyramidkv + kivi", "write \"pyramidkv + snapkv:budget=20% + kivi\"");
  expect("renumber + streaming + think", "cannot be given other positions");
  expect("renumber + streaming + hadamard + q4", "cannot be given other positions");
  expect("kivi:residual=100", "such as 96");
  expect("kivi:bits=3", "not in 2|4|8");
  expect("kivi:bits=0", "not in 2|4|8");
  expect("vidkv:key_bits=3", "not in 1..2");
  expect("think:ratio=100%", "not in 0..0.95");
  expect("think:values=1", "not in 0..0.95");
  expect("kivi + think:values=50%", "write \"think:values=50% + kivi\"");
  expect("renumber + streaming + think:ratio=0,values=50%", "cannot be given other positions");
  expect("mikv:lo_bits=5 + h2o", "not in 0|2|3|4|8");
  EXPECT_EQ(BuildError("renumber + streaming:budget=60 + kivi"), "");
  EXPECT_EQ(BuildError("expected:budget=50% + kivi"), "");
  EXPECT_EQ(BuildError("adakv + snapkv:budget=20% + think + kivi"), "");
}

// Streams whose positions move while generating, in 4 bits.
TEST_F(CodecMethods, EncodedStreamsMove) {
  const auto session = Fed("renumber + streaming:budget=96,sinks=4 + kivi:bits=4,residual=32", 230);
  for (int32_t id : RandomIds(100, 8)) ASSERT_TRUE(session->Step(id));
  for (int l = 0; l < 4; ++l) {
    const HeadCache& head = Head(*session, l);
    const std::vector<int32_t> positions = head.Positions();
    EXPECT_EQ(head.size(), 96);
    for (int i = 0; i < 96; ++i) EXPECT_EQ(positions[i], i);
  }
  for (float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit));
}

}  // namespace
}  // namespace kvasir::testing_
