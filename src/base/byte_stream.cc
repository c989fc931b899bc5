#include "base/byte_stream.h"

#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <memory>

#include "base/replaceable.h"

namespace kvasir {

Result<FileWriter> FileWriter::Create(const std::string& path) {
  KV_RETURN_IF_ERROR(CheckReplaceable(path));
  std::string temporary = fmt::format("{}.{}.part", path, getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) return Fail("cannot write {}: {}", path, std::strerror(errno));
  XXH3_state_t* hash = XXH3_createState();
  XXH3_64bits_reset(hash);
  return FileWriter(path, std::move(temporary), file, hash);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      file_(std::exchange(other.file_, nullptr)),
      hash_(std::exchange(other.hash_, nullptr)) {}

FileWriter::~FileWriter() {
  if (file_ != nullptr) {
    std::fclose(file_);
    std::remove(temporary_.c_str());
  }
  XXH3_freeState(static_cast<XXH3_state_t*>(hash_));
}

void FileWriter::Bytes(const void* data, size_t n) {
  if (n == 0) return;
  XXH3_64bits_update(static_cast<XXH3_state_t*>(hash_), data, n);
  std::fwrite(data, 1, n, file_);  // a failure shows in ferror
}

Status FileWriter::Commit() {
  const uint64_t sum = XXH3_64bits_digest(static_cast<XXH3_state_t*>(hash_));
  std::fwrite(&sum, sizeof(sum), 1, file_);
  return CommitPlain();
}

Status FileWriter::CommitPlain() {
  errno = 0;
  bool good = std::ferror(file_) == 0 && std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  int reason = errno;
  good = std::fclose(std::exchange(file_, nullptr)) == 0 && good;
  if (good && std::rename(temporary_.c_str(), path_.c_str()) == 0) return {};
  if (reason == 0) reason = errno != 0 ? errno : ENOSPC;  // fwrite's own reason is gone by now
  std::remove(temporary_.c_str());
  return Fail("cannot write {}: {}; nothing was changed", path_, std::strerror(reason));
}

Result<std::span<const std::byte>> CheckBytes(std::span<const std::byte> bytes,
                                              const std::string& name) {
  uint64_t sum = 0;
  if (bytes.size() < sizeof(sum)) return Fail("{}: {} bytes are too few", name, bytes.size());
  const std::span<const std::byte> body = bytes.first(bytes.size() - sizeof(sum));
  std::memcpy(&sum, bytes.data() + body.size(), sizeof(sum));
  if (XXH3_64bits(body.data(), body.size()) != sum) {
    return Fail("{}: the checksum is wrong: the file is damaged or was not saved by kvasir", name);
  }
  return body;
}

Result<std::vector<std::byte>> ReadChecked(const std::string& path) {
  const auto close = [](std::FILE* f) { std::fclose(f); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) return Fail("cannot read {}: {}", path, std::strerror(errno));
  std::fseek(file.get(), 0, SEEK_END);
  const long n_bytes = std::ftell(file.get());
  std::rewind(file.get());
  if (n_bytes < 0) return Fail("cannot read {}: not a plain file", path);
  std::vector<std::byte> bytes(static_cast<size_t>(n_bytes));
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    return Fail("cannot read {}: {}", path, std::strerror(errno));
  }
  KV_ASSIGN_OR_RETURN(const std::span<const std::byte> body, CheckBytes(bytes, path));
  bytes.resize(body.size());
  return bytes;
}

}  // namespace kvasir
