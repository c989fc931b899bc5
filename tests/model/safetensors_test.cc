#include "model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/model/safetensors_bytes.h"
#include "tests/model/temp_folder.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Parses a copy that ends exactly where the bytes end, so that sanitizers see any read beyond.
std::string OpenError(const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto entries = ParseSafetensors(std::as_bytes(std::span(exact)), "test.safetensors");
  return entries ? "no error" : entries.error().message;
}

TEST(Safetensors, ReadsEntriesInTheOrderOfTheData) {
  const std::string bytes = RawSafetensors(
      R"({"__metadata__": {"format": "pt", "any": "text"},
          "late": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
          "scalar": {"data_offsets": [0, 4], "shape": [], "dtype": "F32"}}   )",
      std::string(16, 'x'));
  const auto entries = ParseSafetensors(std::as_bytes(std::span(bytes)), "test.safetensors");
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 2u);
  const SafetensorsEntry &scalar = (*entries)[0], &late = (*entries)[1];
  EXPECT_EQ(scalar.name, "scalar");
  EXPECT_TRUE(scalar.shape.empty());
  EXPECT_EQ(late.name, "late");
  EXPECT_EQ(late.type, TensorType::kBF16);
  EXPECT_THAT(late.shape, ElementsAre(2, 3));
  EXPECT_EQ(late.data.data() - scalar.data.data(), 4);
  EXPECT_EQ(late.data.size(), 12u);
}

TEST(Safetensors, KnowsEveryDtype) {
  struct Case {
    const char* dtype;
    size_t bytes;
    std::optional<TensorType> type;
  };
  for (const Case& c : {Case{"F64", 8, TensorType::kF64}, Case{"F32", 4, TensorType::kF32},
                        Case{"F16", 2, TensorType::kF16}, Case{"BF16", 2, TensorType::kBF16},
                        Case{"I64", 8, TensorType::kI64}, Case{"I32", 4, TensorType::kI32},
                        Case{"I16", 2, TensorType::kI16}, Case{"I8", 1, TensorType::kI8},
                        Case{"U8", 1, {}}, Case{"BOOL", 1, {}}, Case{"F8_E4M3", 1, {}}}) {
    const std::string bytes =
        SafetensorsBytes().Add("w", c.dtype, "[3]", std::string(3 * c.bytes, 0)).Build();
    const auto entries = ParseSafetensors(std::as_bytes(std::span(bytes)), "test.safetensors");
    ASSERT_TRUE(entries) << entries.error().message;
    EXPECT_EQ((*entries)[0].type, c.type) << c.dtype;
  }
}

TEST(Safetensors, RefusesHostileFilesByNamingTheField) {
  const auto one = [](const std::string& entry) {
    return RawSafetensors(R"({"w": )" + entry + "}", std::string(16, 0));
  };
  const std::string deep(100000, '[');
  struct Case {
    std::string bytes, mentions;
  };
  const Case cases[] = {
      {"", "truncated"},
      {std::string(8, '\xff') + "{}", "18446744073709551615"},
      {RawSafetensors("{}", "").substr(0, 9), "truncated"},
      {RawSafetensors("", ""), "header"},
      {RawSafetensors("[]", ""), "must be a JSON object"},
      {RawSafetensors("7", ""), "must be a JSON object"},
      {RawSafetensors("{\"w\": ", ""), "header"},
      {RawSafetensors("{\"w\": " + deep, ""), "'w': an array has no place here"},
      {RawSafetensors("{\"w\": 1}", ""), "'w': a number"},
      {RawSafetensors("{\"\xff\": 1}", ""), "UTF-8"},
      {RawSafetensors(R"({"__metadata__": {"a": 1}})", ""), "a number"},
      {RawSafetensors(R"({"": {}})", ""), "empty name"},
      {one(R"({"dtype": "F32", "shape": [1]})"), "'w' lacks"},
      {one(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1})"), "'x'"},
      {one(R"({"dtype": "F32", "dtype": "F32", "shape": [1]})"), "'dtype' is there twice"},
      {one(R"({"dtype": "F32", "shape": "1", "data_offsets": [0, 4]})"), "'shape': a string"},
      {one(R"({"dtype": "F32", "shape": [[1]], "data_offsets": [0, 4]})"), "'shape': an array"},
      {one(R"({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]})"), "'shape': a negative"},
      {one(R"({"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]})"), "'shape': a fraction"},
      {one(R"({"dtype": 4, "shape": [1], "data_offsets": [0, 4]})"), "'dtype': a number"},
      {one(R"({"dtype": "F31", "shape": [1], "data_offsets": [0, 4]})"), "unknown dtype 'F31'"},
      {one(R"({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]})"), "[begin, end]"},
      {one(R"({"dtype": "F32", "shape": [1], "data_offsets": [0]})"), "[begin, end]"},
      {one(R"({"dtype": "F32", "shape": [1], "data_offsets": [16, 20]})"), "truncated"},
      {one(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]})"), "needs 8 bytes"},
      {one(R"({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})"), "empty dimension"},
      {one(R"({"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]})"),
       "shape larger than the data"},
      {one(R"({"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1], "data_offsets": [0, 4]})"),
       "more than 8 numbers"},
      {RawSafetensors(R"({"v": {"dtype": "I8", "shape": [3], "data_offsets": [0, 3]},
                          "w": {"dtype": "I8", "shape": [3], "data_offsets": [2, 5]}})",
                      std::string(5, 0)),
       "'v' and 'w' overlap"},
      {RawSafetensors(R"({"w": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]},
                          "w": {"dtype": "I8", "shape": [1], "data_offsets": [1, 2]}})",
                      std::string(2, 0)),
       "'w' is there twice"},
  };
  for (const Case& c : cases) {
    const std::string error = OpenError(c.bytes);
    EXPECT_THAT(error, HasSubstr("test.safetensors: ")) << c.mentions;
    EXPECT_THAT(error, HasSubstr(c.mentions));
  }
}

TEST(Safetensors, AFileTruncatedAtAnyPercentIsAnError) {
  const std::string bytes =
      ReadBytes(GoldenDir() + "/models/qwen3.hf/model-00001-of-00002.safetensors");
  ASSERT_FALSE(bytes.empty());
  for (size_t percent = 0; percent < 100; ++percent) {
    EXPECT_THAT(OpenError(bytes.substr(0, bytes.size() * percent / 100)), HasSubstr("truncated"))
        << percent;
  }
}

TEST(Safetensors, ChangedBytesNeverCrash) {
  const std::string bytes =
      SafetensorsBytes().F32("model.a", {2, 3}, 1).F32("model.b", {4}, 2).Build();
  std::mt19937 random(7);
  int n_errors = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 1 + i % 3; ++k) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    n_errors += OpenError(changed) == "no error" ? 0 : 1;
  }
  EXPECT_GT(n_errors, 5000);
}

}  // namespace
}  // namespace kvasir
