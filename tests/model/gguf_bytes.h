// GgufBytes: writes GGUF files for tests, right ones and wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

class GgufBytes {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;

  template <class T>
  static std::string Raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string Text(std::string_view text) {
    return Raw<uint64_t>(text.size()) + std::string(text);
  }

  // A key with the id of its type and the bytes of its value.
  GgufBytes& Key(std::string_view key, uint32_t type, const std::string& value) {
    keys_ += Text(key) + Raw(type) + value;
    ++n_keys_;
    return *this;
  }
  GgufBytes& U32(std::string_view key, uint32_t value) { return Key(key, 4, Raw(value)); }
  GgufBytes& String(std::string_view key, std::string_view text) { return Key(key, 8, Text(text)); }

  // A tensor's table entry as it is; dims innermost first.
  GgufBytes& Entry(std::string_view name, std::vector<uint64_t> dims, uint32_t type,
                   uint64_t offset) {
    table_ += Text(name) + Raw(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) table_ += Raw(dim);
    table_ += Raw(type) + Raw(offset);
    ++n_tensors_;
    return *this;
  }
  // An F32 vector with its values, at the next aligned offset.
  GgufBytes& Tensor(std::string_view name, const std::vector<float>& values) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    Entry(name, {values.size()}, 0, data_.size());
    data_.append(reinterpret_cast<const char*>(values.data()), 4 * values.size());
    return *this;
  }
  GgufBytes& Data(size_t n_bytes) {
    data_.resize(n_bytes);
    return *this;
  }

  std::string Build() const { return Build(n_keys_, n_tensors_); }
  // With counts that may lie.
  std::string Build(uint64_t n_keys, uint64_t n_tensors) const {
    std::string bytes = "GGUF" + Raw(version) + Raw(n_tensors) + Raw(n_keys) + keys_ + table_;
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return bytes + data_;
  }

 private:
  uint64_t n_keys_ = 0, n_tensors_ = 0;
  std::string keys_, table_, data_;
};

}  // namespace kvasir
