// SentencePiece and unigram: ids equal those of PyPI's `sentencepiece`
// (tools/references/tokenizer_sentencepiece.py), and rules worked by hand.
#include <random>

#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

// The GGUF metadata that a reference model was written as.
Metadata ReadMetadata(const std::string& path) {
  Metadata metadata;
  const nlohmann::json keys = nlohmann::json::parse(ReadAll(path));
  for (const auto& [key, value] : keys.items()) {
    if (value.is_string()) {
      metadata.Set(key, value.get<std::string>());
    } else if (value.is_boolean()) {
      metadata.Set(key, value.get<bool>());
    } else if (value.is_number()) {
      metadata.Set(key, value.get<int64_t>());
    } else if (key.ends_with("scores")) {
      metadata.Set(key, value.get<std::vector<float>>());
    } else if (key.ends_with("tokens")) {
      metadata.Set(key, value.get<std::vector<std::string>>());
    } else {
      metadata.Set(key, value.get<std::vector<int64_t>>());
    }
  }
  return metadata;
}

class SentencePiece : public ::testing::TestWithParam<const char*> {
 protected:
  std::string Path(const char* ending) const {
    return GoldenDir() + "/tokenizer/" + GetParam() + ending;
  }
};

TEST_P(SentencePiece, IdsEqualTheReference) {
  const Result<Tokenizer> tokenizer = TokenizerFromMetadata(ReadMetadata(Path(".json")));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  ExpectVectors(*tokenizer, ReadVectors(Path(".jsonl")));
}

INSTANTIATE_TEST_SUITE_P(Models, SentencePiece,
                         ::testing::Values("spm_bpe", "spm_bpe_user", "spm_bpe_unk", "spm_unigram",
                                           "spm_unigram_bytes"),
                         [](const auto& param) { return std::string(param.param); });

TEST(SentencePieceBytes, RandomBytesComeBack) {
  for (const char* name : {"spm_bpe", "spm_unigram_bytes"}) {
    const std::string path = GoldenDir() + "/tokenizer/" + name + ".json";
    const Result<Tokenizer> tokenizer = TokenizerFromMetadata(ReadMetadata(path));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    std::mt19937 random(3);
    for (int i = 0; i < 200; ++i) {
      std::string text;
      for (size_t n = random() % 200; n > 0; --n) text.push_back(static_cast<char>(random()));
      EncodeNotes notes;
      const std::vector<int32_t> ids =
          tokenizer->Encode(text, {.parse_special = false, .add_special = false, .notes = &notes});
      EXPECT_EQ(tokenizer->Decode(ids), text);
      EXPECT_EQ(notes.dropped_bytes, 0);
    }
  }
}

}  // namespace
}  // namespace kvasir
