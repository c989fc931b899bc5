// Hugging Face folders: the golden twins of GGUF files, and small folders written here.
#include "model/hf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"
#include "model/json_file.h"
#include "tests/model/temp_folder.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> Values(const TensorView& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.n_values()));
  EXPECT_TRUE(Dequantize(tensor.type, tensor.data, tensor.n_values(), values.data()));
  return values;
}

std::string Golden(const std::string& name) {
  return std::string(KVASIR_GOLDEN_DIR "/models/") + name;
}

// Row r of a GGUF `llama` q or k head comes from row (r / 2) + (r % 2) * head_dim / 2 of the
// original: neighbours rotate together instead of halves.
std::vector<float> UndoPermutation(const std::vector<float>& rows, int64_t n_cols, int64_t dim) {
  std::vector<float> out(rows.size());
  const int64_t n_rows = static_cast<int64_t>(rows.size()) / n_cols;
  for (int64_t row = 0; row < n_rows; ++row) {
    const int64_t head = row / dim, r = row % dim;
    const int64_t original = head * dim + r / 2 + (r % 2) * (dim / 2);
    std::copy_n(rows.begin() + row * n_cols, n_cols, out.begin() + original * n_cols);
  }
  return out;
}

void ExpectTwins(const ModelSource& gguf, const ModelSource& hf) {
  EXPECT_EQ(gguf.tensors().size(), hf.tensors().size());
  EXPECT_EQ(gguf.n_bytes(), hf.n_bytes());
  const bool permuted = !*gguf.metadata().Bool("kvasir.rope.neox");
  for (const TensorView& expected : gguf.tensors()) {
    SCOPED_TRACE(expected.name);
    const TensorView* found = hf.Find(expected.name);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->rank, expected.rank);
    EXPECT_TRUE(std::ranges::equal(found->shape, expected.shape));
    std::vector<float> wanted = Values(expected);
    const bool is_rotated =
        expected.name.ends_with("attn_q.weight") || expected.name.ends_with("attn_k.weight");
    if (permuted && is_rotated) wanted = UndoPermutation(wanted, expected.n_cols(), 32);
    EXPECT_EQ(Values(*found), wanted);
  }
  for (const auto& [key, value] : gguf.metadata().values()) {
    const bool is_shared = key.find(".attention.") != key.npos || key.find(".rope.") != key.npos ||
                           key.ends_with("_length") || key.ends_with("_count") ||
                           key.ends_with("_size") || key.ends_with("token_id") ||
                           key == "general.architecture" || key == "tokenizer.chat_template";
    if (!is_shared || key == "kvasir.rope.neox") continue;
    const MetaValue* found = hf.metadata().Find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_TRUE(*found == value) << key;
  }
}

TEST(HfModel, LlamaFolderEqualsItsGgufTwin) {
  auto gguf = OpenModel(Golden("llama.gguf"));
  auto hf = OpenModel(Golden("llama.hf"));
  ASSERT_TRUE(gguf) << gguf.error().message;
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_FALSE(*(*gguf)->metadata().Bool("kvasir.rope.neox"));
  EXPECT_TRUE(*(*hf)->metadata().Bool("kvasir.rope.neox"));
  ExpectTwins(**gguf, **hf);
}

TEST(HfModel, ShardedQwen3FolderEqualsItsGgufTwin) {
  auto gguf = OpenModel(Golden("qwen3.gguf"));
  auto hf = OpenModel(Golden("qwen3.hf"));
  ASSERT_TRUE(gguf) << gguf.error().message;
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_EQ((*hf)->files().size(), 2u);
  ExpectTwins(**gguf, **hf);
}

}  // namespace
}  // namespace kvasir
