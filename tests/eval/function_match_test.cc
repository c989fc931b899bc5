// The similarities agree with nltk 3.10's sentence_bleu and its smoothing method4.
#include "eval/function_match.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kvasir::eval {
namespace {

constexpr std::string_view kScale = "def scale ( x , k ) : return x * k";

TEST(FunctionSimilarity, IsSmoothedBleu) {
  EXPECT_DOUBLE_EQ(FunctionSimilarity(kScale, kScale), 1);
  EXPECT_NEAR(FunctionSimilarity("def scale ( x , k ) : return x + k", kScale), 0.8265168183793802,
              1e-12);
  EXPECT_NEAR(FunctionSimilarity("def scale ( x", kScale), std::exp(-2), 1e-12);  // brevity alone
  EXPECT_NEAR(FunctionSimilarity("return", kScale), 1.670170079024566e-05, 1e-12);
  EXPECT_NEAR(FunctionSimilarity("a b", "a b"), 0.2213885886251307, 1e-12);
  EXPECT_NEAR(FunctionSimilarity("a b c d e f", "f e d c b a"), 0.05883685791697665, 1e-12);
  EXPECT_EQ(FunctionSimilarity("z z", kScale), 0);
  EXPECT_EQ(FunctionSimilarity("", kScale), 0);
}

TEST(CodeOf, IsTheFirstBlockOrAll) {
  EXPECT_EQ(CodeOf("So:\n```python\na\nb\n```\nthen\n```\nc\n```"), "a\nb\n");
  EXPECT_EQ(CodeOf("```\na\n```"), "a\n");
  EXPECT_EQ(CodeOf(" a `b` ```c``` "), "a `b` ```c```");  // not at a line's beginning
  EXPECT_EQ(CodeOf("```\nnever closed"), "```\nnever closed");
  EXPECT_EQ(CodeOf(""), "");
}

TEST(FunctionFound, WantsTheNearestAndNear) {
  const std::vector<std::string> functions = {std::string(kScale),
                                              "def shift ( x , k ) : return x + k"};
  EXPECT_EQ(FunctionFound(kScale, kScale, functions), 1);
  EXPECT_EQ(FunctionFound(kScale, functions[1], functions), 0);
  EXPECT_EQ(FunctionFound("def scale ( x", kScale, functions), 0);
  EXPECT_EQ(FunctionFound("", kScale, functions), 0);
}

}  // namespace
}  // namespace kvasir::eval
