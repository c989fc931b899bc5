// Gives each test process a folder of its own as testing::TempDir(), removed at the end: copies of
// a suite that run at once (shards, two checkouts) would delete each other's files.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace kvasir {
namespace {

class OwnTempDir : public testing::Environment {
 public:
  // Before any test is made, as some make files where their parameters are listed.
  OwnTempDir() {
    std::string path = std::filesystem::temp_directory_path() / "kvasir_test_XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return;  // tests then share what there is, and say so
    path_ = path + "/";
    setenv("TEST_TMPDIR", path_.c_str(), 1);
  }
  // A child of a death test leaves it to its parent.
  ~OwnTempDir() override {
    std::error_code ignored;
    if (!path_.empty() && getpid() == owner_) std::filesystem::remove_all(path_, ignored);
  }

 private:
  const pid_t owner_ = getpid();
  std::string path_;
};

[[maybe_unused]] testing::Environment* const kOwn =
    testing::AddGlobalTestEnvironment(new OwnTempDir);

}  // namespace
}  // namespace kvasir
