#include "model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/model/gguf_bytes.h"
#include "tests/model/temp_folder.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string GoldenModel(const std::string& name) { return GoldenDir() + "/models/" + name; }

// Parses a copy that ends exactly where the bytes end, so that sanitizers see any read beyond.
Result<GgufFile> Parse(const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  auto file = ParseGguf(std::as_bytes(std::span(exact)), "test.gguf");
  if (file) {
    for (TensorView& tensor : file->tensors) tensor.data = nullptr;
  }
  return file;
}

std::string ErrorOf(const std::string& bytes) {
  const auto file = Parse(bytes);
  return file ? "no error" : file.error().message;
}

TEST(Gguf, ReadsEveryTypeOfValue) {
  using B = GgufBytes;
  const auto file = Parse(GgufBytes()
                              .Key("u8", 0, B::Raw<uint8_t>(200))
                              .Key("i8", 1, B::Raw<int8_t>(-5))
                              .Key("u16", 2, B::Raw<uint16_t>(60000))
                              .Key("i16", 3, B::Raw<int16_t>(-600))
                              .Key("u32", 4, B::Raw<uint32_t>(4000000000u))
                              .Key("i32", 5, B::Raw<int32_t>(-70000))
                              .Key("f32", 6, B::Raw(0.1f))
                              .Key("bool", 7, B::Raw<uint8_t>(1))
                              .String("string", "hello")
                              .Key("u64", 10, B::Raw<uint64_t>(~uint64_t{0}))
                              .Key("i64", 11, B::Raw<int64_t>(-1))
                              .Key("f64", 12, B::Raw(0.1))
                              .Build());
  ASSERT_TRUE(file) << file.error().message;
  const Metadata& m = file->metadata;
  EXPECT_EQ(*m.I64("u8"), 200);
  EXPECT_EQ(*m.I64("i8"), -5);
  EXPECT_EQ(*m.I64("u16"), 60000);
  EXPECT_EQ(*m.I64("i16"), -600);
  EXPECT_EQ(*m.I64("u32"), 4000000000);
  EXPECT_EQ(*m.I64("i32"), -70000);
  EXPECT_EQ(*m.F64("f32"), static_cast<double>(0.1f));
  EXPECT_TRUE(*m.Bool("bool"));
  EXPECT_EQ(*m.String("string"), "hello");
  EXPECT_EQ(*m.U64("u64"), ~uint64_t{0});
  EXPECT_EQ(*m.I64("i64"), -1);
  EXPECT_EQ(*m.F64("f64"), 0.1);
}

TEST(Gguf, ReadsArrays) {
  using B = GgufBytes;
  const auto array = [](uint32_t type, uint64_t n, const std::string& values) {
    return B::Raw(type) + B::Raw(n) + values;
  };
  const auto file = Parse(GgufBytes()
                              .Key("strings", 9, array(8, 2, B::Text("a") + B::Text("")))
                              .Key("floats", 9, array(6, 2, B::Raw(1.5f) + B::Raw(-2.0f)))
                              .Key("ints", 9, array(5, 2, B::Raw<int32_t>(-3) + B::Raw<int32_t>(4)))
                              .Key("bools", 9, array(7, 2, B::Raw<uint8_t>(1) + B::Raw<uint8_t>(0)))
                              .Key("none", 9, array(8, 0, ""))
                              .Build());
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_THAT(*file->metadata.Strings("strings"), ElementsAre("a", ""));
  EXPECT_THAT(*file->metadata.Floats("floats"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(*file->metadata.Ints("ints"), ElementsAre(-3, 4));
  EXPECT_THAT(*file->metadata.Ints("bools"), ElementsAre(1, 0));
  EXPECT_TRUE(file->metadata.Strings("none")->empty());
}

TEST(Gguf, ShapesAreOutermostFirstAndDataIsWhereTheTableSays) {
  GgufBytes gguf;
  gguf.Tensor("one", {1, 2, 3}).Entry("two", {2, 3}, 0, 64).Data(64 + 24);
  std::string bytes = gguf.Build();
  const float last = 42;
  std::memcpy(bytes.data() + bytes.size() - 4, &last, 4);
  const auto file = ParseGguf(std::as_bytes(std::span(bytes)), "test.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const TensorView &one = file->tensors[0], &two = file->tensors[1];
  EXPECT_EQ(one.rank, 1);
  EXPECT_EQ(one.n_cols(), 3);
  EXPECT_EQ(two.rank, 2);
  EXPECT_THAT(two.shape, ElementsAre(3, 2, 1, 1));
  EXPECT_EQ(two.n_bytes, 24u);
  float value;
  std::memcpy(&value, two.data + 20, 4);
  EXPECT_EQ(value, 42);
}

TEST(Gguf, ReadsVersion2AndAnotherAlignment) {
  GgufBytes gguf;
  gguf.version = 2;
  gguf.alignment = 64;
  gguf.U32("general.alignment", 64).Tensor("a", {1}).Tensor("b", {2});
  const std::string bytes = gguf.Build();
  const auto file = ParseGguf(std::as_bytes(std::span(bytes)), "test.gguf");
  ASSERT_TRUE(file) << file.error().message;
  float value;
  std::memcpy(&value, file->tensors[1].data, 4);
  EXPECT_EQ(value, 2);
  EXPECT_EQ(file->tensors[1].data - file->tensors[0].data, 64);
}

struct Hostile {
  std::string name, bytes;
  std::vector<std::string> mentions;  // what the error must say
};

std::vector<Hostile> HostileFiles() {
  using B = GgufBytes;
  constexpr uint64_t kHuge = ~uint64_t{0};
  const auto array = [](uint32_t type, uint64_t n) { return B::Raw(type) + B::Raw(n); };
  const auto entry = [](std::vector<uint64_t> dims, uint32_t type = 0, uint64_t offset = 0) {
    return GgufBytes().Entry("w", std::move(dims), type, offset).Data(64).Build();
  };
  GgufBytes version1, big_endian, aligned0, aligned48;
  version1.version = 1;
  big_endian.version = 0x03000000;
  aligned0.U32("general.alignment", 0).Tensor("w", {1});
  aligned48.U32("general.alignment", 48).Tensor("w", {1});
  const GgufBytes one = GgufBytes().U32("a", 1).Tensor("w", {1});
  return {
      {"Empty", "", {"magic", "truncated"}},
      {"OtherMagic", "PK\3\4 this is some other kind of file", {"not a GGUF file"}},
      {"Version1", version1.Build(), {"version 1", "2 and 3"}},
      {"BigEndian", big_endian.Build(), {"big-endian"}},
      {"TooManyKeys", one.Build(kHuge, 1), {"metadata count", "18446744073709551615"}},
      {"TooManyTensors", one.Build(1, kHuge), {"tensor count"}},
      {"OneKeyTooMany", GgufBytes().U32("a", 1).Build(2, 0), {"metadata"}},
      {"LongKey",
       "GGUF" + B::Raw(3) + B::Raw<uint64_t>(0) + B::Raw<uint64_t>(1) + B::Raw(kHuge) +
           std::string(64, 'x'),
       {"metadata key 0", "truncated"}},
      {"EmptyKey", GgufBytes().U32("", 1).Build(), {"key 0 is empty"}},
      {"SameKeyTwice", GgufBytes().U32("a.b", 1).U32("a.b", 2).Build(), {"'a.b'", "twice"}},
      {"LongString", GgufBytes().Key("s", 8, B::Raw(kHuge)).Build(), {"'s'", "truncated"}},
      {"UnknownType", GgufBytes().Key("s", 13, B::Raw(kHuge)).Build(), {"'s'", "type 13"}},
      {"BoolOfTwo", GgufBytes().Key("s", 7, "\2").Build(), {"'s'", "boolean of value 2"}},
      {"ArrayOfArrays", GgufBytes().Key("s", 9, array(9, 1)).Build(), {"'s'", "array of arrays"}},
      {"ArrayOfUnknown", GgufBytes().Key("s", 9, array(77, 1)).Build(), {"'s'", "type 77"}},
      {"LongArray", GgufBytes().Key("s", 9, array(0, kHuge)).Build(), {"'s': its count"}},
      {"LongStringArray", GgufBytes().Key("s", 9, array(8, 1 << 30)).Build(), {"'s': its count"}},
      {"HugeInArray",
       GgufBytes().Key("s", 9, array(10, 1) + B::Raw(kHuge)).Build(),
       {"'s'", "2^63"}},
      {"Alignment0", aligned0.Build(), {"general.alignment", "power of two"}},
      {"Alignment48", aligned48.Build(), {"general.alignment", "48"}},
      {"AlignmentString",
       GgufBytes().String("general.alignment", "x").Build(),
       {"general.alignment", "string"}},
      {"EmptyTensorName", GgufBytes().Tensor("", {1}).Build(), {"tensor 0 has an empty name"}},
      {"Rank5", entry({1, 1, 1, 1, 1}), {"'w'", "5 dimensions"}},
      {"ZeroDimension", entry({4, 0}), {"'w'", "empty dimension"}},
      {"ProductOverflows", entry({kHuge, kHuge, 2, 2}), {"'w'", "impossibly large"}},
      {"ProductWrapsToSmall", entry({uint64_t{1} << 32, uint64_t{1} << 32}), {"impossibly large"}},
      {"PartOfABlock", entry({33}, 2), {"'w'", "Q4_0", "multiple of 32"}},
      {"RemovedTensorType", entry({32}, 4), {"'w'", "tensor type 4"}},
      {"UnknownTensorType", entry({32}, 1000), {"'w'", "tensor type 1000"}},
      {"OffsetNotAligned", entry({1}, 0, 4), {"'w'", "offset 4", "alignment 32"}},
      {"OffsetBeyondTheEnd", entry({1}, 0, 1 << 20), {"'w'", "truncated"}},
      {"OffsetWraps", entry({8}, 0, kHuge - 31), {"'w'", "truncated"}},
      {"DataBeyondTheEnd", entry({17}), {"'w'", "68 bytes", "64 bytes", "truncated"}},
      {"Overlap",
       GgufBytes().Entry("v", {9}, 0, 0).Entry("w", {8}, 0, 32).Data(64).Build(),
       {"'v'", "'w'", "overlap"}},
      {"Inside",
       GgufBytes().Entry("v", {1}, 0, 32).Entry("w", {16}, 0, 0).Data(64).Build(),
       {"'v'", "'w'", "overlap"}},
      {"ControlCharacters", GgufBytes().Key("a\n\x1b[2J", 99, "").Build(), {"'a\\x0a\\x1b[2J'"}},
  };
}

TEST(Gguf, RefusesHostileFilesByNamingTheField) {
  for (const Hostile& file : HostileFiles()) {
    const std::string error = ErrorOf(file.bytes);
    EXPECT_THAT(error, HasSubstr("test.gguf: ")) << file.name;
    for (const std::string& mention : file.mentions) {
      EXPECT_THAT(error, HasSubstr(mention)) << file.name;
    }
  }
}

TEST(Gguf, TheSameTensorTwiceIsAnError) {
  const TempFolder folder;
  const std::string path =
      folder.Write("twice.gguf", GgufBytes().Tensor("w", {1}).Tensor("w", {2}).Build());
  const auto source = OpenModel(path);
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error().message, AllOf(HasSubstr(path), HasSubstr("'w' is there twice")));
}

TEST(Gguf, EveryTruncationOfASmallFileIsAnError) {
  const std::string bytes =
      GgufBytes().String("general.architecture", "x").U32("n", 1).Tensor("w", {1, 2, 3}).Build();
  ASSERT_TRUE(Parse(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THAT(ErrorOf(bytes.substr(0, n)), HasSubstr("truncated")) << n;
  }
}

TEST(Gguf, AModelTruncatedAtAnyPercentIsAnError) {
  const std::string bytes = ReadBytes(GoldenModel("qwen2.gguf"));
  ASSERT_FALSE(bytes.empty());
  for (size_t percent = 0; percent < 100; ++percent) {
    EXPECT_THAT(ErrorOf(bytes.substr(0, bytes.size() * percent / 100)), HasSubstr("truncated"))
        << percent;
  }
}

// A slow fuzzer's first minute: whatever a byte is changed to, the parser ends with an answer.
TEST(Gguf, ChangedBytesNeverCrash) {
  using B = GgufBytes;
  const std::string bytes =
      GgufBytes()
          .String("general.architecture", "llama")
          .U32("general.alignment", 32)
          .Key("list", 9, B::Raw<uint32_t>(8) + B::Raw<uint64_t>(2) + B::Text("a") + B::Text("b"))
          .Key("numbers", 9, B::Raw<uint32_t>(6) + B::Raw<uint64_t>(2) + B::Raw(1.f) + B::Raw(2.f))
          .Tensor("v", {1, 2, 3})
          .Tensor("w", {4})
          .Build();
  std::mt19937 random(7);
  int n_errors = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 1 + i % 3; ++k) {
      changed[random() % changed.size()] = static_cast<char>(i % 2 == 0 ? 0xff : random());
    }
    n_errors += Parse(changed) ? 0 : 1;
  }
  EXPECT_GT(n_errors, 5000);
}

TEST(Gguf, GoldenModelsOpen) {
  for (const char* name :
       {"llama", "llama3-rope", "qwen2", "qwen2-yarn", "qwen3", "gemma2", "gemma3", "phi3"}) {
    const auto source = OpenModel(GoldenModel(std::string(name) + ".gguf"));
    ASSERT_TRUE(source) << source.error().message;
    const Metadata& metadata = (*source)->metadata();
    const std::string_view architecture = *metadata.String("general.architecture");
    EXPECT_EQ(*metadata.Bool("kvasir.rope.neox"), architecture != "llama") << name;
    EXPECT_EQ(metadata.Strings("tokenizer.ggml.tokens")->size(), 512u);
    const auto embedding = (*source)->Tensor("token_embd.weight");
    ASSERT_TRUE(embedding);
    EXPECT_EQ((*embedding)->n_rows(), 512);
    EXPECT_FALSE((*source)->Tensor("token_embd"));
  }
}

TEST(Gguf, LongropeFactorsWithoutATypeGetIt) {
  const TempFolder folder;
  GgufBytes gguf;
  gguf.String("general.architecture", "phi3").Tensor("rope_factors_long.weight", {1, 2});
  const auto bare = OpenModel(folder.Write("bare.gguf", gguf.Build()));
  EXPECT_EQ(*(*bare)->metadata().String("phi3.rope.scaling.type"), "longrope");
  gguf.String("phi3.rope.scaling.type", "none");
  const auto typed = OpenModel(folder.Write("typed.gguf", gguf.Build()));
  EXPECT_EQ(*(*typed)->metadata().String("phi3.rope.scaling.type"), "none");
}

TEST(Gguf, MissingFilesAndFoldersSaySo) {
  const TempFolder folder;
  EXPECT_THAT(OpenModel(folder.path() + "/none.gguf").error().message,
              AllOf(HasSubstr("none.gguf"), HasSubstr("No such file")));
  EXPECT_THAT(OpenModel(folder.path()).error().message, HasSubstr("config.json"));
  EXPECT_THAT(OpenModel("/dev/null").error().message, HasSubstr("not a regular file"));
  const std::string path =
      folder.Write("typed.gguf", GgufBytes().U32("general.architecture", 1).Build());
  EXPECT_THAT(OpenModel(path).error().message,
              AllOf(HasSubstr(path), HasSubstr("general.architecture"), HasSubstr("string")));
}

// ---- Split files -------------------------------------------------------------------------------

GgufBytes Shard(uint16_t number, uint16_t count, int32_t n_tensors = 3) {
  GgufBytes gguf;
  if (number == 0) gguf.String("general.architecture", "llama");
  gguf.Key("split.no", 2, GgufBytes::Raw(number));
  gguf.Key("split.count", 2, GgufBytes::Raw(count));
  gguf.Key("split.tensors.count", 5, GgufBytes::Raw(n_tensors));
  return gguf;
}

TEST(GgufShards, OpenFromTheFirstAndEqualTheWholeFile) {
  const TempFolder folder;
  const std::string first = folder.Write("m-00001-of-00003.gguf", Shard(0, 3).Build());
  folder.Write("m-00002-of-00003.gguf", Shard(1, 3).Tensor("a", {1}).Tensor("b", {2}).Build());
  folder.Write("m-00003-of-00003.gguf", Shard(2, 3).Tensor("c", {3}).Build());
  const std::string whole = folder.Write("whole.gguf", GgufBytes()
                                                           .String("general.architecture", "llama")
                                                           .Tensor("a", {1})
                                                           .Tensor("b", {2})
                                                           .Tensor("c", {3})
                                                           .Build());
  const auto split = OpenModel(first);
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_EQ((*split)->files().size(), 3u);
  EXPECT_EQ((*split)->tensors().size(), 3u);
  EXPECT_FALSE((*split)->metadata().Has("split.no"));
  float value;
  std::memcpy(&value, (*split)->Find("c")->data, 4);
  EXPECT_EQ(value, 3);
  EXPECT_EQ((*split)->fingerprint(), (*OpenModel(whole))->fingerprint());
}

TEST(GgufShards, WrongSetsAreRefused) {
  const TempFolder folder;
  const auto error = [&](const std::string& first) { return OpenModel(first).error().message; };
  const std::string first = folder.Write("m-00001-of-00002.gguf", Shard(0, 2).Build());
  EXPECT_THAT(error(first), AllOf(HasSubstr("m-00002-of-00002.gguf"), HasSubstr("No such file")));

  const std::string second = folder.path() + "/m-00002-of-00002.gguf";
  folder.Write("m-00002-of-00002.gguf", Shard(1, 2).Tensor("a", {1}).Build());
  EXPECT_THAT(error(first), HasSubstr("split.tensors.count is 3"));
  EXPECT_THAT(error(second), HasSubstr("open the first"));

  folder.Write("m-00002-of-00002.gguf", Shard(1, 7).Tensor("a", {1}).Build());
  EXPECT_THAT(error(first), HasSubstr("split.count 7; expected 1 and 2"));
  folder.Write("m-00002-of-00002.gguf", GgufBytes().Tensor("a", {1}).Build());
  EXPECT_THAT(error(first), HasSubstr("split.no"));
  EXPECT_THAT(error(folder.Write("renamed.gguf", Shard(0, 2).Build())),
              HasSubstr("-00001-of-00002.gguf"));
  EXPECT_THAT(error(folder.Write("zero.gguf", Shard(0, 0).Build())), HasSubstr("split.count"));

  const std::string twice =
      folder.Write("t-00001-of-00002.gguf", Shard(0, 2).Tensor("a", {1}).Build());
  folder.Write("t-00002-of-00002.gguf", Shard(1, 2).Tensor("a", {1}).Build());
  EXPECT_THAT(error(twice), HasSubstr("'a' is there twice"));
}

// ---- The source --------------------------------------------------------------------------------

TEST(ModelSource, FingerprintIsOfTheContentNotThePath) {
  const TempFolder folder;
  const auto fingerprint = [&](const std::string& name, const GgufBytes& gguf) {
    return (*OpenModel(folder.Write(name, gguf.Build())))->fingerprint();
  };
  const std::vector<float> values(5000, 0.5f);
  std::vector<float> other = values;
  other.back() = 0.25f;
  const std::string base = fingerprint("a.gguf", GgufBytes().U32("n", 1).Tensor("w", values));
  EXPECT_EQ(base.size(), 32u);
  EXPECT_EQ(base, fingerprint("b.gguf", GgufBytes().U32("n", 1).Tensor("w", values)));
  EXPECT_NE(base, fingerprint("c.gguf", GgufBytes().U32("n", 2).Tensor("w", values)));
  EXPECT_NE(base, fingerprint("d.gguf", GgufBytes().U32("n", 1).Tensor("x", values)));
  EXPECT_NE(base, fingerprint("e.gguf", GgufBytes().U32("n", 1).Tensor("w", other)));
}

// Kilobytes of file pages that this process has in memory.
int64_t ResidentFileKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoll(line.substr(8));
  }
  return 0;
}

TEST(ModelSource, ReleasedTensorsLeaveMemoryAndCanBeReadAgain) {
  const TempFolder folder;
  std::vector<float> values(size_t{4} << 20);  // 16 MiB
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto source = OpenModel(folder.Write("m.gguf", GgufBytes().Tensor("w", values).Build()));
  ASSERT_TRUE(source);
  const TensorView& tensor = *(*source)->Find("w");
  EXPECT_EQ(std::memcmp(tensor.data, values.data(), tensor.n_bytes), 0);
  const int64_t before = ResidentFileKilobytes();
  (*source)->Release(tensor);
  EXPECT_GT(before - ResidentFileKilobytes(), 15 << 10);
  EXPECT_EQ(std::memcmp(tensor.data, values.data(), tensor.n_bytes), 0);
}

}  // namespace
}  // namespace kvasir
