// MappedFile: a read-only memory-mapped file. Move-only. The file must not be truncated meanwhile.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace kvasir {

class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Drops whole pages inside [begin, begin + n) from memory; they are read again when touched.
  void Release(const std::byte* begin, size_t n) const;

 private:
  MappedFile() = default;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A whole small file as text; an error when it is larger than max_bytes.
Result<std::string> ReadText(const std::string& path, size_t max_bytes);

}  // namespace kvasir
