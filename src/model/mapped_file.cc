#include "model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/memory.h"

namespace kvasir {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Size of an open regular file.
Result<size_t> RegularSize(int fd, const std::string& path) {
  if (fd < 0) return Fail("{}: cannot open: {}", path, std::strerror(errno));
  struct stat info;
  if (fstat(fd, &info) != 0) return Fail("{}: cannot stat: {}", path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return Fail("{}: not a regular file", path);
  return static_cast<size_t>(info.st_size);
}

// O_NONBLOCK: opening a FIFO must not hang before fstat can refuse it.
int OpenForReading(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  const Descriptor file{OpenForReading(path)};
  KV_ASSIGN_OR_RETURN(const size_t size, RegularSize(file.fd, path));
  MappedFile mapped;
  if (size == 0) return mapped;
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) {
    const int why = errno;
    return Fail("{}: cannot map its {} bytes: {} ({} bytes are available)", path, size,
                std::strerror(why), AvailableMemoryBytes());
  }
  mapped.data_ = static_cast<std::byte*>(data);
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

void MappedFile::Release(const std::byte* begin, size_t n) const {
  if (n == 0 || begin < data_ || begin >= data_ + size_) return;
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(begin) + n) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

Result<std::string> ReadText(const std::string& path, size_t max_bytes) {
  const Descriptor file{OpenForReading(path)};
  KV_ASSIGN_OR_RETURN(const size_t size, RegularSize(file.fd, path));
  if (size > max_bytes) return Fail("{}: {} bytes; at most {} are read", path, size, max_bytes);
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(file.fd, text.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail("{}: cannot read: {}", path, std::strerror(errno));
    if (n == 0) return Fail("{}: ends at byte {} of {}", path, done, size);
    done += static_cast<size_t>(n);
  }
  return text;
}

}  // namespace kvasir
