// Little-endian records: a writer that leaves a whole file or none, one into memory, and a reader
// that trusts nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace kvasir {

class ByteWriter {
 public:
  virtual ~ByteWriter() = default;
  virtual void Bytes(const void* data, size_t n) = 0;
  template <class T>
  void Value(T value) {
    static_assert(std::is_arithmetic_v<T>);
    Bytes(&value, sizeof(value));
  }
  template <class T>
  void Values(std::span<const T> values) {
    Value(static_cast<uint64_t>(values.size()));
    Bytes(values.data(), values.size_bytes());
  }
  void Text(const std::string& text) { Values(std::span<const char>(text)); }
};

class MemoryWriter final : public ByteWriter {
 public:
  void Bytes(const void* data, size_t n) override {
    const auto* bytes = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + n);
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Writes to a temporary file beside `path`; Commit gives it its name. Without Commit, or after an
// error (a full disk), nothing is left behind and an older file stays as it was. Where `path` is no
// plain file (a device, a pipe), Create fails.
class FileWriter final : public ByteWriter {
 public:
  static Result<FileWriter> Create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter() override;

  void Bytes(const void* data, size_t n) override;  // errors are kept for Commit
  // Appends the checksum of all bytes, flushes to the disk, and renames.
  Status Commit();
  Status CommitPlain();  // the same without a checksum, for formats that are not ours

 private:
  FileWriter(std::string path, std::string temporary, std::FILE* file, void* hash)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file), hash_(hash) {}
  std::string path_, temporary_;
  std::FILE* file_;
  void* hash_;  // XXH3 state
};

// Reads records from memory. Every read is checked; the first failure sticks, later reads give
// zeros, and ok() tells.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t n_left() const { return bytes_.size() - at_; }
  bool Bytes(void* out, size_t n) {
    ok_ = ok_ && n <= n_left();
    if (!ok_) return false;
    if (n > 0) std::memcpy(out, bytes_.data() + at_, n);
    at_ += n;
    return true;
  }
  template <class T>
  T Value() {
    T value{};
    Bytes(&value, sizeof(value));
    return value;
  }
  // At most `most` elements, and never more than the bytes that are there.
  template <class T>
  std::vector<T> Values(uint64_t most) {
    const auto n = Value<uint64_t>();
    ok_ = ok_ && n <= most && n <= n_left() / sizeof(T);
    std::vector<T> values(ok_ ? n : 0);
    Bytes(values.data(), values.size() * sizeof(T));
    return values;
  }
  std::string Text(uint64_t most) {
    const std::vector<char> text = Values<char>(most);
    return {text.begin(), text.end()};
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// The bytes of a file that FileWriter wrote, without its checksum, which is verified.
Result<std::vector<std::byte>> ReadChecked(const std::string& path);
// The same for bytes in memory; `name` is for the error.
Result<std::span<const std::byte>> CheckBytes(std::span<const std::byte> bytes,
                                              const std::string& name);

}  // namespace kvasir
