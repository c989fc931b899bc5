// tokenizer.json: ids equal those of PyPI's `tokenizers` for its steps and flags
// (tools/references/tokenizer_json.py), and what is not supported is an error.
#include "model/tokenizer/tokenizer_json.h"

#include "tests/model/tokenizer/vectors.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using nlohmann::json;

const json& References() {
  static const json kFile = json::parse(ReadAll(GoldenDir() + "/tokenizer/json_models.json"));
  return kFile;
}

// The tokenizer.json of a variant.
json Compose(const json& variant) {
  json made = References().at("models").at(variant.at("model").get<std::string>());
  for (const auto& [key, value] : variant.at("patch").items()) {
    (key == "ignore_merges" ? made["model"] : made)[key] = value;
  }
  return made;
}

TEST(TokenizerJson, IdsEqualTheReference) {
  int n = 0;
  for (const json& variant : References().at("variants")) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    const Result<Tokenizer> tokenizer = TokenizerFromJson(Compose(variant).dump());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (size_t i = 0; i < References().at("texts").size(); ++i, ++n) {
      const auto text = References().at("texts")[i].get<std::string>();
      EXPECT_EQ(tokenizer->Encode(text), variant.at("ids")[i].get<std::vector<int32_t>>())
          << "text: " << text;
    }
  }
  EXPECT_GT(n, 1000);
}

}  // namespace
}  // namespace kvasir
