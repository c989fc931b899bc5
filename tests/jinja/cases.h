// Runs the cases of a JSONL file: one object a line with `template`, `expected` (text, or null
// where an error is wanted) and either `variables` or the fields of a chat template.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "jinja/template.h"

namespace kvasir::jinja {

// The date at which the references were rendered: Friday 2024-07-26.
inline std::tm CaseDate() {
  std::tm date = {};
  date.tm_year = 124;
  date.tm_mon = 6;
  date.tm_mday = 26;
  date.tm_wday = 5;
  date.tm_yday = 207;
  return date;
}

inline nlohmann::ordered_json CaseVariables(const nlohmann::ordered_json& row) {
  if (row.contains("variables")) return row["variables"];
  nlohmann::ordered_json variables = {{"messages", row["messages"]},
                                      {"tools", row["tools"]},
                                      {"add_generation_prompt", row["add_generation_prompt"]},
                                      {"bos_token", row["bos_token"]},
                                      {"eos_token", row["eos_token"]}};
  if (row.contains("extra")) {
    for (const auto& [name, value] : row["extra"].items()) variables[name] = value;
  }
  return variables;
}

inline void CheckCase(const nlohmann::ordered_json& row) {
  SCOPED_TRACE(row["template"].get<std::string>());
  RenderOptions options;
  options.now = CaseDate();
  const Result<Template> parsed = Template::Parse(row["template"].get<std::string>());
  if (!parsed) {
    EXPECT_TRUE(row["expected"].is_null() && !row.contains("error")) << parsed.error().message;
    return;
  }
  const RenderResult text = parsed->Render(CaseVariables(row), options);
  if (!row["expected"].is_null()) {
    ASSERT_TRUE(text.has_value()) << text.error().message;
    EXPECT_EQ(*text, row["expected"].get<std::string>());
    return;
  }
  ASSERT_FALSE(text.has_value()) << "wanted an error, got: " << *text;
  if (!row.contains("error")) return;
  EXPECT_TRUE(text.error().raised);
  EXPECT_EQ(text.error().message, row["error"].get<std::string>());
}

// Number of cases checked; nullopt if the file is absent.
inline std::optional<int> CheckCases(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  int n = 0;
  for (std::string line; std::getline(file, line); ++n) {
    CheckCase(nlohmann::ordered_json::parse(line));
  }
  return n;
}

}  // namespace kvasir::jinja
