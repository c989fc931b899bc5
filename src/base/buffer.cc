#include "base/buffer.h"

#include <new>

#include "base/memory.h"

namespace kvasir {

Buffer::Buffer(size_t n_bytes)
    : bytes_(static_cast<std::byte*>(
          ::operator new[](n_bytes, std::align_val_t{kBufferAlignment}, std::nothrow))),
      size_(n_bytes) {
  if (bytes_ == nullptr) throw OutOfMemory(n_bytes);
}

void Buffer::Release::operator()(std::byte* p) const {
  ::operator delete[](p, std::align_val_t{kBufferAlignment});
}

}  // namespace kvasir
