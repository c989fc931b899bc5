// Buffer: owner of aligned, uninitialised bytes. Move-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace kvasir {

inline constexpr size_t kBufferAlignment = 128;

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t n_bytes);

  std::byte* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(bytes_.get());
  }
  // Makes room for at least n_bytes; the contents are lost when it grows.
  void Grow(size_t n_bytes) {
    if (n_bytes > size_) *this = Buffer(n_bytes);
  }

 private:
  struct Release {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Release> bytes_;
  size_t size_ = 0;
};

}  // namespace kvasir
