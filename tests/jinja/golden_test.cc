#include <gtest/gtest.h>

#include "tests/jinja/cases.h"
#include "tests/paths.h"

namespace kvasir::jinja {
namespace {

// Made by tools/references/jinja_cases.py with jinja2 3.1.6.
class JinjaGolden : public testing::TestWithParam<const char*> {};

TEST_P(JinjaGolden, RendersAsJinja2Does) {
  const auto n = CheckCases(GoldenDir() + "/jinja/" + GetParam() + ".jsonl");
  ASSERT_TRUE(n.has_value()) << "the golden file is absent";
  EXPECT_GT(*n, 0);
}

INSTANTIATE_TEST_SUITE_P(Features, JinjaGolden,
                         testing::Values("access", "chat", "control", "filters_sequence",
                                         "filters_text", "filters_value", "literals", "operators",
                                         "strings", "tests", "whitespace"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace kvasir::jinja
