// Every architecture against float64 references of transformers (tests/golden/models), and the
// methods' kept sets against kvpress (../shared/fixtures/methods, where it is there).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/kept_channels.h"
#include "tests/engine/engine_test_util.h"
#include "tests/paths.h"

namespace kvasir::testing_ {
namespace {

class Architectures : public testing::TestWithParam<std::string> {};

TEST_P(Architectures, MatchesFloat64) {
  const nlohmann::json golden = ReadJson(GoldenModel(GetParam() + ".json"));
  const std::vector<int32_t> prompt = golden["prompt_ids"], greedy = golden["greedy"];
  const std::vector<double> logprobs = golden["logprobs"];
  for (const std::string& cpu : SupportedCpus()) {
    const auto model = LoadModel(GoldenModel(GetParam() + ".gguf"), 2, cpu);
    ASSERT_NE(model, nullptr);
    // Through the prefill.
    auto session = OpenSession(model);
    ASSERT_TRUE(session->FeedScored(prompt, [&](int64_t row, std::span<const float> logits) {
      if (row + 1 == static_cast<int64_t>(prompt.size())) return;
      EXPECT_NEAR(LogProb(logits, prompt[row + 1]), logprobs[row], 1e-3) << cpu << " row " << row;
    }));
    const std::vector<double> last = golden["logits_last"];
    for (size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(session->logits()[i], last[i], 1e-3);
    for (int32_t id : greedy) {
      ASSERT_EQ(ArgMax(Isa::kAvx2, session->logits()), id) << cpu;
      ASSERT_TRUE(session->Step(id));
    }
    // Token by token.
    session = OpenSession(model);
    ASSERT_TRUE(session->Feed({prompt.data(), 1}, {}));
    for (size_t i = 1; i < prompt.size(); ++i) {
      ASSERT_NEAR(LogProb(session->logits(), prompt[i]), logprobs[i - 1], 1e-3) << cpu << " " << i;
      ASSERT_TRUE(session->Step(prompt[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Architectures,
                         testing::Values("llama", "llama-window", "llama-linear", "llama3-rope",
                                         "qwen2", "qwen2-yarn", "qwen3", "gemma2", "gemma3",
                                         "phi3"),
                         [](const testing::TestParamInfo<std::string>& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A tensor that the forward pass does not use would make every answer silently wrong.
TEST(Models, RefuseATensorThatHasNoPlace) {
  std::ifstream file(GoldenModel("llama.gguf"), std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::string length("\x0d\0\0\0\0\0\0\0", 8);
  const size_t at = bytes.find(length + "output.weight");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at + 8, 6, "outset");  // the head is then tied to the embedding, this one unused
  const std::string path = testing::TempDir() + "kvasir_unused_tensor.gguf";
  std::ofstream(path, std::ios::binary) << bytes;
  const auto model = Model::Load({.path = path});
  std::filesystem::remove(path);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("outset.weight has no place"), std::string::npos);
}

TEST(HuggingFaceFolders, GiveWhatTheirGgufGives) {
  for (const char* name : {"llama", "qwen3"}) {
    const nlohmann::json golden = ReadJson(GoldenModel(std::string(name) + ".json"));
    const std::vector<int32_t> prompt = golden["prompt_ids"];
    const std::vector<double> last = golden["logits_last"];
    auto session = OpenSession(LoadModel(GoldenModel(std::string(name) + ".hf")));
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(session->Feed(prompt, {}));
    for (size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(session->logits()[i], last[i], 1e-3);
  }
}

// No tighter than what int8 activations can do: llama.cpp's own error on the same prompt.
TEST(DefaultModel, IsAsFaithfulAsThePeer) {
  const std::string folder = SharedDir() + "/fixtures/smollm2";
  const auto path = FindModel("");
  if (!path || !std::filesystem::exists(folder)) {
    GTEST_SKIP() << "needs the default model (make model) and ../shared/fixtures/smollm2";
  }
  const auto model = LoadModel(*path, 2);
  ASSERT_NE(model, nullptr);
  // Not chat_sky in i16: on its 47 tokens other roundings fall as they may (mean difference 0.051
  // in bf16, 0.063 in f32, 0.065 in f16, 0.083 in i16), because int8 activations follow.
  using Case = std::pair<const char*, const char*>;
  for (const auto& [name, type] :
       {Case("chat_sky", ""), Case("code_tree", ""), Case("long_mpl", ""), Case("code_tree", "i16"),
        Case("long_mpl", "i16")}) {
    const nlohmann::json golden = ReadJson(folder + "/" + name + ".json");
    const std::vector<int32_t> prompt = golden["prompt_ids"], greedy = golden["greedy"];
    const std::vector<double> logprobs = golden["logprobs"], margins = golden["greedy_margin"];
    const nlohmann::json& peer = golden["yardstick"]["default_f16_kv"];
    EXPECT_EQ(model->Tokenize(golden["text"].get<std::string>(), false), prompt);
    auto session = OpenSession(model, {.kv_type = type});
    double sum = 0;
    ASSERT_TRUE(session->FeedScored(prompt, [&](int64_t row, std::span<const float> logits) {
      if (row + 1 == static_cast<int64_t>(prompt.size())) return;
      sum += std::abs(LogProb(logits, prompt[row + 1]) - logprobs[row]);
    }));
    const double mean = sum / static_cast<double>(logprobs.size());
    EXPECT_LE(mean, peer["mean_abs_logprob_diff"].get<double>()) << name << " " << type;
    for (size_t i = 0; i < greedy.size(); ++i) {
      if (margins[i] < 0.8) break;  // what int8 activations can turn
      ASSERT_EQ(ArgMax(Isa::kAvx2, session->logits()), greedy[i]) << name << " step " << i;
      ASSERT_TRUE(session->Step(greedy[i]));
    }
  }
}

// The file's own spec; for those that have none there, as their notes say.
std::string SpecOf(const nlohmann::json& golden) {
  if (golden.value("press", "") == "SimLayerKVPress") {
    const double kept = 1 - golden["compression_ratio"].get<double>();
    return fmt::format("simlayer:threshold={},recent={}", kept, static_cast<int>(600 * kept));
  }
  if (golden.value("press", "") == "MergingPress(SnapKVPress)") {
    return fmt::format(
        "merge:variant=kvpress + snapkv:variant=kvpress,window=64,kernel=5,budget={}",
        golden["n_kept"][0][0].get<int>());
  }
  return golden.value("spec", "");
}

// n_near_ties: cuts closer than float32 can tell, where one entry may be another.
void ExpectKept(const SessionImpl& session, const nlohmann::json& golden, size_t n_near_ties) {
  size_t n_other = 0;
  for (int l = 0; l < session.cache().n_layers(); ++l) {
    for (int h = 0; h < session.cache().n_kv_heads(); ++h) {
      const std::vector<int32_t> kept = golden["kept"][l][h];
      const std::vector<int32_t> ours = session.cache().layer(l)[h].Orders();
      if (n_near_ties == 0) {
        EXPECT_EQ(ours, kept) << session.program().spec() << " layer " << l << " head " << h;
      }
      std::vector<int32_t> other;
      std::set_difference(ours.begin(), ours.end(), kept.begin(), kept.end(),
                          std::back_inserter(other));
      n_other += other.size();
    }
  }
  EXPECT_LE(n_other, n_near_ties) << session.program().spec();
}

void ExpectChannels(const SessionImpl& session, const nlohmann::json& golden) {
  for (int l = 0; l < session.cache().n_layers(); ++l) {
    for (int h = 0; h < session.cache().n_kv_heads(); ++h) {
      const std::vector<int32_t> kept = golden["kept_channels"][l][h];
      EXPECT_EQ(KeptChannels(session.cache().layer(l)[h].key_map(), session.rope(l)), kept)
          << session.program().spec() << " layer " << l << " head " << h;
    }
  }
}

// Kept positions exactly; log-probabilities of a forced continuation on the compressed cache.
void ExpectMatch(const std::shared_ptr<LoadedModel>& model, const std::string& spec,
                 const nlohmann::json& golden, size_t n_near_ties = 0) {
  const auto program = Program::Build(spec);
  ASSERT_TRUE(program) << program.error().message;
  const std::vector<int32_t> prompt = golden["prompt_ids"], forced = golden["continuation_ids"];
  const std::vector<double> logprobs = golden["continuation_logprobs"];
  auto session = OpenSession(model, {.kv = spec});
  ASSERT_TRUE(session->Feed(prompt, {})) << spec;
  // What is held when the last log-probability is known, where the method acts while generating.
  const bool at_end = spec.starts_with("decode");
  if (!at_end) ExpectKept(*session, golden, n_near_ties);
  if (golden.contains("kept_channels")) ExpectChannels(*session, golden);
  for (size_t i = 0; i < forced.size(); ++i) {
    EXPECT_NEAR(LogProb(session->logits(), forced[i]), logprobs[i], 1e-3) << spec << " " << i;
    if (i + 1 < forced.size()) {
      ASSERT_TRUE(session->Step(forced[i]));
    }
  }
  if (at_end) ExpectKept(*session, golden, n_near_ties);
}

TEST(Kvpress, KeptSetsAndContinuationsMatch) {
  const std::string folder = SharedDir() + "/fixtures/methods/kvpress";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "needs ../shared/fixtures/methods";
  const auto model = LoadModel(GoldenModel("llama.gguf"), 2);
  int n_checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const nlohmann::json golden = ReadJson(entry.path().string());
    const std::string spec = SpecOf(golden);
    if (spec.empty()) continue;
    SCOPED_TRACE(entry.path());
    const bool near_tie =
        golden.value("label", "") == "lagkv_cross" && golden.value("compression_ratio", 0.0) == 0.5;
    ExpectMatch(model, spec, golden, near_tie ? 1 : 0);
    ++n_checked;
  }
  EXPECT_GE(n_checked, 45);
}

// What tools/references/kvpress_cases.py drew: a few that are kept here, and any number elsewhere.
TEST(Kvpress, DrawnParametersMatch) {
  std::vector<std::filesystem::path> files;
  const char* more = std::getenv("KVASIR_PARITY_DIR");
  for (const std::string& folder : {GoldenDir() + "/kvpress", std::string(more ? more : "")}) {
    if (folder.empty()) continue;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::map<std::string, std::shared_ptr<LoadedModel>> models;
  for (const std::filesystem::path& file : files) {
    const nlohmann::json golden = ReadJson(file.string());
    if (golden["smallest_cut_gap"].is_number() && golden["smallest_cut_gap"] < 1e-5) continue;
    const std::filesystem::path path = golden["model"].get<std::string>();
    auto& model = models[path.string()];
    if (!model) model = LoadModel(path.is_absolute() ? path.string() : GoldenModel(path.string()));
    SCOPED_TRACE(file);
    ExpectMatch(model, golden["spec"], golden);
  }
}

}  // namespace
}  // namespace kvasir::testing_
