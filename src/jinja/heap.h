// Heap: makes the values of one render and counts its memory and work against the Limits. Outlives
// every value made on it.
#pragma once

#include "jinja/limits.h"
#include "jinja/object.h"
#include "jinja/value.h"

namespace kvasir::jinja {

class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const Limits& limits() const { return limits_; }

  Status Step(int64_t n = 1);
  Status CountIteration();
  Status CountOutput(size_t n_bytes);
  // Whether n_bytes more would fit; asked before building something large.
  Status Fits(Int n_bytes) const;

  Result<Value> MakeText(std::string bytes, bool markup = false);
  Result<Value> MakeList(std::vector<Value> items, Flavor flavor = Flavor::kList);
  Result<Value> MakeGenerator(std::vector<Value> items);
  Result<Value> MakeRange(std::vector<Value> items, std::string label);
  Result<Value> MakeDict(Dict dict);
  Value MakeUndefined(std::string why);

  // Takes ownership until the end of the render; values may point at it.
  template <class T>
  Result<T*> Keep(std::unique_ptr<T> object) {
    live_bytes_ += kObjectBytes;
    KV_RETURN_IF_ERROR(Fits(0));
    T* raw = object.get();
    objects_.push_back(std::move(object));
    return raw;
  }

 private:
  friend class Charge;
  static constexpr int64_t kObjectBytes = 256;  // a generous mean

  const Limits limits_;
  int64_t live_bytes_ = 0;
  int64_t n_steps_ = 0;
  int64_t n_iterations_ = 0;
  int64_t n_output_bytes_ = 0;
  std::vector<std::unique_ptr<Kept>> objects_;
};

}  // namespace kvasir::jinja
