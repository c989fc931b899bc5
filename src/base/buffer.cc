#include "base/buffer.h"

#include <new>

namespace kvasir {

Buffer::Buffer(size_t n_bytes)
    : bytes_(
          static_cast<std::byte*>(::operator new[](n_bytes, std::align_val_t{kBufferAlignment}))),
      size_(n_bytes) {}

void Buffer::Release::operator()(std::byte* p) const {
  ::operator delete[](p, std::align_val_t{kBufferAlignment});
}

}  // namespace kvasir
