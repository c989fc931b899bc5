#include "base/byte_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/model/temp_folder.h"

namespace kvasir {
namespace {

Status WriteSomething(const std::string& path) {
  KV_ASSIGN_OR_RETURN(FileWriter file, FileWriter::Create(path));
  file.Text("new");
  return file.Commit();
}

TEST(FileWriter, ReplacesAPlainFile) {
  const TempFolder folder;
  const std::string path = folder.Write("file", "older");
  ASSERT_TRUE(WriteSomething(path));
  const auto bytes = ReadChecked(path);
  ASSERT_TRUE(bytes) << bytes.error().message;
  ByteReader reader(*bytes);
  EXPECT_EQ(reader.Text(10), "new");
}

// Renaming over it would leave a plain file where others expect a pipe (or, worse, a device).
TEST(FileWriter, ReplacesNothingElse) {
  const TempFolder folder;
  const std::filesystem::path pipe = folder.path() + "/pipe", link = folder.path() + "/link";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink(pipe, link);
  const std::filesystem::path inner = folder.path() + "/folder";
  std::filesystem::create_directory(inner);
  for (const std::filesystem::path& path : {pipe, link, inner}) {
    const Status status = WriteSomething(path);
    ASSERT_FALSE(status) << path;
    EXPECT_THAT(status.error().message, testing::HasSubstr(path.string() + ": not a plain file"));
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(std::filesystem::is_directory(inner));
  const std::filesystem::directory_iterator files(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 3);  // no temporary either
}

TEST(FileWriter, NamesWhatCannotBeReached) {
  const TempFolder folder;
  const Status status = WriteSomething(folder.path() + "/no/file");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("cannot write"));
}

}  // namespace
}  // namespace kvasir
