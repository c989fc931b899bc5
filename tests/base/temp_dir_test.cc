#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace kvasir {
namespace {

// Two copies of a suite at once must not delete each other's files.
TEST(TempDir, IsOfThisProcessAlone) {
  const std::filesystem::path own = testing::TempDir();
  EXPECT_TRUE(std::filesystem::is_empty(own)) << own;
  EXPECT_FALSE(std::filesystem::equivalent(own, std::filesystem::temp_directory_path()));
}

}  // namespace
}  // namespace kvasir
