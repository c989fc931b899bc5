#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "engine/side_file_io.h"
#include "tests/engine/engine_test_util.h"
#include "tests/model/temp_folder.h"

namespace kvasir::testing_ {
namespace {

using testing::HasSubstr;

constexpr char kHow[] = "`kvasir make-it`";

class SideFiles : public testing::Test {
 protected:
  SideFile Sample() const {
    SideFile file{.path = folder_.path() + "/side.safetensors",
                  .kind = "gates",
                  .model = "1234",
                  .notes = {{"seeds", "1 \"2\" 3"}},
                  .tensors = {}};
    file.tensors["a"] = {{2, 3}, {1, 2, 3, -4, 5.5f, 1e-30f}};
    file.tensors["b"] = {{1}, {7}};
    return file;
  }
  static std::string ErrorOf(const std::string& path, const std::string& kind = "gates",
                             const std::string& model = "1234") {
    const auto file = LoadSideFile({path, kind, kHow}, model);
    return file ? std::string() : file.error().message;
  }
  TempFolder folder_;
};

TEST_F(SideFiles, ComeBackAsTheyWereWritten) {
  const SideFile written = Sample();
  ASSERT_TRUE(WriteSideFile(written));
  const auto read = LoadSideFile({written.path, "gates", kHow}, "1234");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->notes, written.notes);
  ASSERT_EQ(read->tensors.size(), 2u);
  const auto a = read->Tensor("a", {2, 3});
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ((*a)->values, written.tensors.at("a").values);
  EXPECT_THAT(read->Tensor("a", {3, 2}).error().message, HasSubstr("[2, 3]"));
  EXPECT_THAT(read->Tensor("c", {1}).error().message, HasSubstr("no tensor 'c'"));
}

TEST_F(SideFiles, OfAnotherModelOrKindAreRefused) {
  const SideFile file = Sample();
  ASSERT_TRUE(WriteSideFile(file));
  EXPECT_EQ(ErrorOf(file.path), "");
  EXPECT_THAT(ErrorOf(file.path, "gates", "9999"), HasSubstr("made for another model"));
  EXPECT_THAT(ErrorOf(file.path, "heads"), HasSubstr("it holds 'gates'"));
  EXPECT_THAT(ErrorOf(folder_.path() + "/none"), HasSubstr(kHow));
}

TEST_F(SideFiles, DamagedOnesAreRefused) {
  const SideFile file = Sample();
  ASSERT_TRUE(WriteSideFile(file));
  const std::string bytes = ReadBytes(file.path);
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_NE(ErrorOf(folder_.Write("cut", bytes.substr(0, n))), "") << n;
  }
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    SideFile other = Sample();
    other.tensors["a"].values[4] = bad;
    ASSERT_TRUE(WriteSideFile(other));
    EXPECT_THAT(ErrorOf(other.path), HasSubstr("number 4 is"));
  }
  const std::string plain = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string no_metadata(8, '\0');
  no_metadata[0] = static_cast<char>(plain.size());
  EXPECT_THAT(ErrorOf(folder_.Write("plain", no_metadata + plain + "1234")),
              HasSubstr("not a side file"));
}

// A base that keeps everything and tells what it was bound to.
class Bound final : public Method {
 public:
  explicit Bound(std::string path) : path_(std::move(path)) {}
  std::optional<SideFileWish> side_file() const override {
    return SideFileWish{path_, "gates", kHow};
  }
  Status Bind(const ModelInfo& model, const SideFile* file) override {
    return file->Tensor("a", {model.n_layers}) ? Status() : Fail("the wrong shape");
  }
  void Compress(const LayerView&, Ops&, LayerPlan&) const override {}

 private:
  std::string path_;
};

constexpr ParamInfo kParams[] = {{"file", ParamKind::kText, "auto", "", "the gates"}};
constexpr MethodInfo kBound = {
    .name = "bound",
    .role = Role::kBase,
    .family = "",
    .summary = "",
    .paper = "",
    .about = "",
    .example = "bound",
    .params = kParams,
    .make = [](const Params& params) -> Result<std::unique_ptr<Method>> {
      return std::make_unique<Bound>(std::string(params.GetText("file")));
    }};

TEST_F(SideFiles, AreCheckedBeforeTheFirstToken) {
  const auto model = LoadModel(GoldenModel("llama.gguf"));
  const auto error = [&](const std::string& spec) {
    const auto session = SessionImpl::Open(model, {.kv = spec, .methods = {&kBound}});
    return session ? std::string() : session.error().message;
  };
  EXPECT_THAT(error("bound"), HasSubstr("--kv \"bound\": "));
  EXPECT_THAT(error("bound"), HasSubstr(model->facts().fingerprint));
  SideFile file = Sample();
  file.model = model->facts().fingerprint;
  ASSERT_TRUE(WriteSideFile(file));
  const std::string spec = "bound:file=\"" + file.path + "\"";
  EXPECT_THAT(error(spec), HasSubstr("the wrong shape"));
  file.tensors["a"] = {{model->info().n_layers}, std::vector<float>(model->info().n_layers, 1)};
  ASSERT_TRUE(WriteSideFile(file));
  EXPECT_EQ(error(spec), "");
}

}  // namespace
}  // namespace kvasir::testing_
