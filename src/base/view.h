// View: a strided window on memory that someone else owns. Trivially copyable; passed by value.
#pragma once

#include <cstdint>

namespace kvasir {

template <class T, int kRank>
struct View {
  T* data = nullptr;
  int64_t shape[kRank] = {};
  int64_t stride[kRank] = {};  // in elements

  template <class... I>
  T& operator()(I... i) const {
    static_assert(sizeof...(I) == kRank);
    const int64_t index[] = {static_cast<int64_t>(i)...};
    int64_t offset = 0;
    for (int r = 0; r < kRank; ++r) offset += index[r] * stride[r];
    return data[offset];
  }
  // Pointer to row i of a rank-2 view.
  T* row(int64_t i) const {
    static_assert(kRank == 2);
    return data + i * stride[0];
  }
  operator View<const T, kRank>() const {
    View<const T, kRank> v;
    v.data = data;
    for (int r = 0; r < kRank; ++r) v.shape[r] = shape[r], v.stride[r] = stride[r];
    return v;
  }
};

template <class T>
using MatView = View<T, 2>;  // [rows, columns], columns contiguous

template <class T>
MatView<T> Mat(T* data, int64_t rows, int64_t cols) {
  return {data, {rows, cols}, {cols, 1}};
}
template <class T>
MatView<T> Mat(T* data, int64_t rows, int64_t cols, int64_t row_stride) {
  return {data, {rows, cols}, {row_stride, 1}};
}

}  // namespace kvasir
