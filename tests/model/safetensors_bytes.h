// SafetensorsBytes: writes safetensors files for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// A header and data, as they are.
inline std::string RawSafetensors(std::string_view header, std::string_view data) {
  const uint64_t n = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &n, 8);
  return bytes.append(header).append(data);
}

class SafetensorsBytes {
 public:
  SafetensorsBytes& Add(std::string_view name, std::string_view dtype, std::string_view shape,
                        std::string_view data) {
    header_ += header_.empty() ? "{" : ",";
    header_ += "\"" + std::string(name) + "\":{\"dtype\":\"" + std::string(dtype) +
               "\",\"shape\":" + std::string(shape) + ",\"data_offsets\":[" +
               std::to_string(data_.size()) + "," + std::to_string(data_.size() + data.size()) +
               "]}";
    data_ += data;
    return *this;
  }
  // F32 with all values equal.
  SafetensorsBytes& F32(std::string_view name, std::vector<int64_t> shape, float value) {
    std::string text = "[";
    int64_t n = 1;
    for (const int64_t dim : shape) {
      n *= dim;
      text += (text.size() > 1 ? "," : "") + std::to_string(dim);
    }
    const std::vector<float> values(static_cast<size_t>(n), value);
    return Add(name, "F32", text + "]",
               {reinterpret_cast<const char*>(values.data()), 4 * values.size()});
  }
  std::string Build() const { return RawSafetensors(header_ + "}", data_); }

 private:
  std::string header_, data_;
};

}  // namespace kvasir
