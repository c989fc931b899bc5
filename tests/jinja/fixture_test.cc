#include <gtest/gtest.h>

#include "tests/jinja/cases.h"
#include "tests/paths.h"

namespace kvasir::jinja {
namespace {

TEST(ChatTemplateFixture, RendersAsTransformersDoes) {
  const auto n = CheckCases(SharedDir() + "/fixtures/tokenizer/chat_template.jsonl");
  if (!n) GTEST_SKIP() << "the shared fixtures are absent";
  EXPECT_GT(*n, 0);
}

}  // namespace
}  // namespace kvasir::jinja
