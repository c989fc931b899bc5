#include <gtest/gtest.h>

#include "tests/jinja/cases.h"

namespace kvasir::jinja {
namespace {

TEST(ChatTemplateFixture, RendersAsTransformersDoes) {
  const auto n = CheckCases(KVASIR_SHARED_DIR "/fixtures/tokenizer/chat_template.jsonl");
  if (!n) GTEST_SKIP() << "the shared fixtures are absent";
  EXPECT_GT(*n, 0);
}

}  // namespace
}  // namespace kvasir::jinja
