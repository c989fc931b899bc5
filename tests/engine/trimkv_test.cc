// TRIM-KV in a session: gates against float64, budgets, files that do not fit.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "engine/token_gates.h"
#include "tests/engine/made_gates.h"
#include "tests/model/temp_folder.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

class TrimKv : public testing::Test {
 protected:
  std::string Spec(const SideFile& file, const std::string& more) {
    const Status status = WriteSideFile(file);
    if (!status) ADD_FAILURE() << status.error().message;
    return fmt::format("trimkv:gates=\"{}\",{}", file.path, more);
  }
  SideFile Gates(float bias = 3) {
    SideFile file = MadeGates(*model_, bias);
    file.path = folder_.path() + "/gates.safetensors";
    return file;
  }
  std::string ErrorOf(const SideFile& file) {
    const auto session = SessionImpl::Open(model_, {.kv = Spec(file, "budget=10")});
    return session ? std::string() : session.error().message;
  }
  TempFolder folder_;
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
};

TEST_F(TrimKv, GatesAreASmallNetwork) {
  constexpr int kHidden = 32, kWidth = 5, kHeads = 2, kRows = 19;
  const std::vector<int32_t> random = RandomIds(kWidth * kHidden + kHeads * kWidth + 9, 4);
  size_t at = 0;
  const auto take = [&](int n) {
    std::vector<float> x;
    for (int i = 0; i < n; ++i) x.push_back((random[at++ % random.size()] - 250) / 400.0f);
    return x;
  };
  const TokenGate gate{.width = kWidth,
                       .weight1 = take(kWidth * kHidden),
                       .bias1 = take(kWidth),
                       .weight2 = take(kHeads * kWidth),
                       .bias2 = take(kHeads)};
  const std::vector<float> x = take(kRows * kHidden);
  PackedGates packed({&gate, 1});
  std::vector<float> out = {7};  // appends
  ThreadPool pool(1);
  packed.Run(0, Mat(x.data(), kRows, kHidden), Activation::kSwiGlu, Isa::kAvx2, pool, out);
  ASSERT_EQ(out.size(), 1u + kRows * kHeads);
  for (int r = 0; r < kRows; ++r) {
    for (int h = 0; h < kHeads; ++h) {
      double z = gate.bias2[h];
      for (int w = 0; w < kWidth; ++w) {
        double u = gate.bias1[w];
        for (int c = 0; c < kHidden; ++c) {
          u += double{gate.weight1[w * kHidden + c]} * x[r * kHidden + c];
        }
        z += gate.weight2[h * kWidth + w] * u / (1 + std::exp(-u));
      }
      EXPECT_NEAR(out[1 + r * kHeads + h], z, 1e-4);
    }
  }
}

TEST_F(TrimKv, BoundsTheCacheAndKeepsFullWhileItFits) {
  const std::vector<int32_t> prompt = RandomIds(90, 31), forced = RandomIds(30, 32);
  auto full = OpenSession(model_);
  auto roomy = OpenSession(model_, {.kv = Spec(Gates(), "budget=120")});
  EXPECT_EQ(Feed(*roomy, prompt, forced), Feed(*full, prompt, forced));
  for (const int every : {1, 8}) {
    auto session =
        OpenSession(model_, {.kv = Spec(Gates(), fmt::format("budget=20,every={}", every))});
    ASSERT_TRUE(session->Feed(prompt, {}));
    int64_t held = 20;
    for (int32_t id : forced) {
      ASSERT_TRUE(session->Step(id));
      held = held + 1 < 20 + every ? held + 1 : 20;
      for (int l = 0; l < session->cache().n_layers(); ++l) {
        for (const HeadCache& head : session->cache().layer(l)) ASSERT_EQ(head.size(), held);
      }
    }
  }
}

// Gates that do not look at x are all alike: exactly the last entries stay, as streaming without
// sinks keeps them.
TEST_F(TrimKv, ConstantGatesAreASlidingWindow) {
  SideFile file = Gates();
  for (auto& [name, tensor] : file.tensors) {
    if (name.ends_with("linear2.weight")) {
      std::fill(tensor.values.begin(), tensor.values.end(), 0.0f);
    }
  }
  const std::vector<int32_t> prompt = RandomIds(90, 31), forced = RandomIds(30, 32);
  auto session = OpenSession(model_, {.kv = Spec(file, "budget=20")});
  auto streaming = OpenSession(model_, {.kv = "streaming:budget=20,sinks=0"});
  EXPECT_EQ(Feed(*session, prompt, forced), Feed(*streaming, prompt, forced));
}

// Weights that are finite, and sums of them that are not.
TEST_F(TrimKv, GatesThatOverflowAreAnError) {
  SideFile file = Gates();
  for (auto& [name, tensor] : file.tensors) {
    if (name.ends_with("weight")) {
      for (float& x : tensor.values) x *= 1e37f;
    }
  }
  auto session = OpenSession(model_, {.kv = Spec(file, "budget=20")});
  const Status status = session->Feed(RandomIds(30, 31), {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("the gates of layer 0 give numbers"));
}

TEST_F(TrimKv, FilesThatDoNotFitAreRefused) {
  EXPECT_EQ(ErrorOf(Gates()), "");
  SideFile other = Gates();
  other.model = "1234";
  EXPECT_THAT(ErrorOf(other), HasSubstr("another model"));
  SideFile nan = Gates();
  nan.tensors.begin()->second.values[0] = std::nanf("");
  EXPECT_THAT(ErrorOf(nan), HasSubstr("nan"));
  SideFile part = Gates();
  part.tensors.erase("model.layers.1.self_attn.retention_gate.linear1.weight");
  EXPECT_THAT(ErrorOf(part), HasSubstr("model.layers.1.self_attn.retention_gate.linear1.weight"));
  SideFile wide = Gates();
  wide.tensors["model.layers.0.self_attn.retention_gate.bias"] = {{3}, {1, 2, 3}};
  EXPECT_THAT(ErrorOf(wide), HasSubstr("retention_gate.bias"));
}

}  // namespace
}  // namespace kvasir::testing_
