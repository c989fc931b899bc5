// Golden data of the tokenizer tests: where files are, and lines of {"text", "ids"}.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "model/source.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_source.h"
#include "tests/paths.h"

namespace kvasir {

struct Vector {
  std::string text;
  std::vector<int32_t> ids;
  bool parse_special = true;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

inline std::vector<Vector> ReadVectors(const std::string& path) {
  std::ifstream in(path);
  std::vector<Vector> vectors;
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json row = nlohmann::json::parse(line);
    vectors.push_back({row.at("text").get<std::string>(), row.at("ids").get<std::vector<int32_t>>(),
                       row.value("parse_special", true)});
  }
  return vectors;
}

// A file of the golden folder or, where it was not copied, of the shared one; empty: neither.
inline std::string FindData(const std::string& golden, const std::string& shared) {
  for (const std::string& path :
       {GoldenDir() + "/" + golden, SharedDir() + "/fixtures/" + shared}) {
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

// $KVASIR_MODEL, else the first model in the cache folder; empty: none.
inline std::string DefaultModel() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const std::string path = variable("KVASIR_MODEL"); std::filesystem::exists(path)) return path;
  const std::string cache = variable("XDG_CACHE_HOME");
  const std::string folder =
      (cache.empty() ? variable("HOME") + "/.cache" : cache) + "/kvasir/models";
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".gguf") return entry.path();
  }
  return {};
}

inline std::optional<Tokenizer> TokenizerOf(const std::string& path) {
  Result<std::unique_ptr<ModelSource>> source = OpenModel(path);
  if (!source) {
    ADD_FAILURE() << source.error().message;
    return std::nullopt;
  }
  Result<Tokenizer> made = TokenizerFromMetadata((*source)->metadata());
  if (!made) {
    ADD_FAILURE() << made.error().message;
    return std::nullopt;
  }
  return std::move(*made);
}

inline void ExpectVectors(const Tokenizer& tokenizer, const std::vector<Vector>& vectors) {
  ASSERT_FALSE(vectors.empty());
  for (const Vector& v : vectors) {
    const EncodeOptions options{.parse_special = v.parse_special, .add_special = false};
    EXPECT_EQ(tokenizer.Encode(v.text, options), v.ids) << "text: " << v.text;
  }
}

}  // namespace kvasir
