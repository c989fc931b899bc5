// Ids equal those of `tokenizers` and llama.cpp (tests/golden/tokenizer, made by ../shared's
// scripts), for GGUF files and for Hugging Face folders.
#include <random>

#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

struct Case {
  const char* model;    // in models/
  const char* vectors;  // in tokenizer/
};

class Fixtures : public ::testing::TestWithParam<Case> {};

TEST_P(Fixtures, IdsEqualTheReferences) {
  const std::string model = FindData(std::string("models/") + GetParam().model,
                                     std::string("models/") + GetParam().model);
  const std::string vectors = FindData(std::string("tokenizer/") + GetParam().vectors,
                                       std::string("tokenizer/") + GetParam().vectors);
  if (model.empty() || vectors.empty()) GTEST_SKIP() << "no " << GetParam().model;
  const std::optional<Tokenizer> tokenizer = TokenizerOf(model);
  ASSERT_TRUE(tokenizer);
  ExpectVectors(*tokenizer, ReadVectors(vectors));
}

INSTANTIATE_TEST_SUITE_P(Models, Fixtures,
                         ::testing::Values(Case{"llama.gguf", "tiny_smollm.jsonl"},
                                           Case{"llama.hf", "tiny_smollm.jsonl"},
                                           Case{"phi3.gguf", "tiny_gpt-2.jsonl"},
                                           Case{"llama3-rope.gguf", "tiny_llama-bpe.jsonl"},
                                           Case{"qwen2.gguf", "tiny_qwen2.jsonl"},
                                           Case{"qwen3.hf", "tiny_qwen2.jsonl"}),
                         [](const auto& param) {
                           std::string name = param.param.model;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST(Folder, GenerationConfigAddsEnds) {
  Metadata metadata;
  metadata.Set("kvasir.tokenizer_json",
               std::string(R"({"model":{"vocab":{"a":0,"b":1},"merges":[]}})"));
  metadata.Set("kvasir.eos_token_ids", std::vector<int64_t>{1});
  metadata.Set("tokenizer.ggml.bos_token_id", int64_t{0});
  const Result<Tokenizer> made = TokenizerFromMetadata(metadata);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->IsEog(1));
  EXPECT_EQ(made->bos(), 0);
  metadata.Set("kvasir.eos_token_ids", std::vector<int64_t>{2});
  EXPECT_FALSE(TokenizerFromMetadata(metadata));
}

TEST(Gguf, WhatIsMissingOrOfAWrongTypeIsAnError) {
  Metadata metadata;
  const auto message = [&] {
    const Result<Tokenizer> made = TokenizerFromMetadata(metadata);
    return made ? std::string() : made.error().message;
  };
  EXPECT_NE(message().find("tokenizer.ggml.model"), std::string::npos);
  metadata.Set("tokenizer.ggml.model", std::string("bert"));
  EXPECT_NE(message().find("bert"), std::string::npos);
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  EXPECT_NE(message().find("tokenizer.ggml.tokens"), std::string::npos);
  metadata.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"});
  EXPECT_NE(message().find("tokenizer.ggml.merges"), std::string::npos);
  metadata.Set("tokenizer.ggml.merges", std::vector<std::string>{"ab"});
  EXPECT_NE(message().find("entry 0"), std::string::npos);
  metadata.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  EXPECT_EQ(message(), "");
  metadata.Set("tokenizer.ggml.eos_token_id", int64_t{3});
  EXPECT_NE(message().find("eos_token_id: 3"), std::string::npos);
  metadata.Set("tokenizer.ggml.eos_token_id", std::string("2"));
  EXPECT_NE(message().find("eos_token_id"), std::string::npos);
}

TEST(SmolLm2Tokenizer, IdsEqualTheReferences) {
  const std::string vectors = SharedDir() + "/fixtures/tokenizer/smollm2.jsonl";
  if (DefaultModel().empty() || !std::filesystem::exists(vectors)) {
    GTEST_SKIP() << "needs KVASIR_MODEL and ../shared";
  }
  const std::optional<Tokenizer> tokenizer = TokenizerOf(DefaultModel());
  ASSERT_TRUE(tokenizer);
  ExpectVectors(*tokenizer, ReadVectors(vectors));
}

// The 21 bytes that SmolLM2's vocabulary lacks.
bool SmolLm2Lacks(uint8_t byte) {
  return byte == 0x04 || byte == 0x06 || byte == 0x13 || byte == 0x14 || byte == 0x16 ||
         byte == 0x1d || byte == 0xc0 || byte == 0xc1 || byte == 0xf1 || byte == 0xf2 ||
         byte >= 0xf5;
}

TEST(SmolLm2Tokenizer, RandomBytesComeBackAndMissingOnesAreCounted) {
  if (DefaultModel().empty()) GTEST_SKIP() << "needs KVASIR_MODEL";
  const std::optional<Tokenizer> tokenizer = TokenizerOf(DefaultModel());
  ASSERT_TRUE(tokenizer);
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::string text, expected;
    int64_t lacking = 0;
    for (size_t n = random() % 300; n > 0; --n) {
      const auto byte = static_cast<uint8_t>(random() % (i % 2 == 0 ? 256 : 128));
      text.push_back(static_cast<char>(byte));
      if (SmolLm2Lacks(byte)) {
        ++lacking;
      } else {
        expected.push_back(static_cast<char>(byte));
      }
    }
    EncodeNotes notes;
    const std::vector<int32_t> ids = tokenizer->Encode(text, {.notes = &notes});
    EXPECT_EQ(tokenizer->Decode(ids), expected);
    EXPECT_EQ(notes.dropped_bytes, lacking);
  }
}

TEST(SmolLm2Tokenizer, KnowsItsEnds) {
  if (DefaultModel().empty()) GTEST_SKIP() << "needs KVASIR_MODEL";
  const std::optional<Tokenizer> tokenizer = TokenizerOf(DefaultModel());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->Lookup("<|im_end|>"), 2);
  EXPECT_EQ(tokenizer->Lookup(" the"), 260);
  EXPECT_TRUE(tokenizer->IsEog(2));
  EXPECT_TRUE(tokenizer->IsEog(0));   // <|endoftext|>
  EXPECT_FALSE(tokenizer->IsEog(1));  // <|im_start|>
  EXPECT_TRUE(tokenizer->IsSpecial(1));
  EXPECT_FALSE(tokenizer->IsSpecial(260));
  EXPECT_TRUE(tokenizer->prefix_ids().empty());
}

}  // namespace
}  // namespace kvasir
