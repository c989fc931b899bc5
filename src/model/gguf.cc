#include "model/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "model/source_builder.h"

namespace kvasir {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read without byte swaps");

// What a header may cost, far above real files (a vocabulary of 262 144 makes some 20 MB).
constexpr size_t kMaxHeaderBytes = size_t{256} << 20;
constexpr uint64_t kMaxArrayValues = uint64_t{1} << 24;  // over all arrays of a file
constexpr uint64_t kMaxKeys = uint64_t{1} << 16;
constexpr uint64_t kMaxTensors = uint64_t{1} << 20;
constexpr uint64_t kMaxNameBytes = 65535;  // of a key or a tensor name
constexpr uint64_t kDefaultAlignment = 32;

enum class ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// A cursor over the header: nothing is read past its end.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& file)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxHeaderBytes))), file_(file) {}

  size_t position() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

  template <class... Args>
  tl::unexpected<Error> Refuse(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail("{}: {}", file_, fmt::format(format, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> Short(uint64_t n, std::string_view what) const {
    const char* end = bytes_.size() == kMaxHeaderBytes ? "the largest header we read ends"
                                                       : "the file ends (truncated?)";
    return Refuse("{} needs {} bytes at byte {}, but {} at byte {}", what, n, at_, end,
                  bytes_.size());
  }

  template <class T>
  Result<T> Number(std::string_view what) {
    if (left() < sizeof(T)) return Short(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // A length of 8 bytes, then the text. `what` is called only for an error.
  Result<std::string_view> Text(uint64_t max_bytes, std::string_view what) {
    KV_ASSIGN_OR_RETURN(const uint64_t n, Number<uint64_t>(what));
    if (n > left()) return Short(n, what);
    if (n > max_bytes)
      return Refuse("{} has {} bytes; at most {} are possible", what, n, max_bytes);
    const char* text = reinterpret_cast<const char*>(bytes_.data() + at_);
    at_ += n;
    return std::string_view(text, n);
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& file_;
  size_t at_ = 0;
};

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& file)
      : bytes_(bytes), reader_(bytes, file) {}

  Result<GgufFile> Parse() {
    KV_RETURN_IF_ERROR(ReadVersion());
    KV_ASSIGN_OR_RETURN(const uint64_t n_tensors, reader_.Number<uint64_t>("the tensor count"));
    KV_ASSIGN_OR_RETURN(const uint64_t n_keys, reader_.Number<uint64_t>("the metadata count"));
    // Smallest possible: a key of one byte with a value of one byte; a tensor of no dimension.
    KV_RETURN_IF_ERROR(CheckCount(n_keys, 8 + 1 + 4 + 1, kMaxKeys, "the metadata count"));
    KV_RETURN_IF_ERROR(CheckCount(n_tensors, 8 + 1 + 4 + 4 + 8, kMaxTensors, "the tensor count"));
    for (uint64_t i = 0; i < n_keys; ++i) KV_RETURN_IF_ERROR(ReadKey(i));
    file_.tensors.reserve(n_tensors);
    for (uint64_t i = 0; i < n_tensors; ++i) KV_RETURN_IF_ERROR(ReadTensor(i));
    KV_RETURN_IF_ERROR(PlaceTensors());
    return std::move(file_);
  }

 private:
  Status ReadVersion() {
    KV_ASSIGN_OR_RETURN(const uint32_t magic, reader_.Number<uint32_t>("the magic"));
    if (magic != 0x46554747) return reader_.Refuse("not a GGUF file (it must begin with 'GGUF')");
    KV_ASSIGN_OR_RETURN(const uint32_t version, reader_.Number<uint32_t>("the version"));
    if ((version & 0xffff) == 0 && version != 0) {
      return reader_.Refuse("big-endian GGUF; only little-endian files can be read");
    }
    if (version == 2 || version == 3) return {};
    return reader_.Refuse("GGUF version {}; versions 2 and 3 can be read", version);
  }

  // A count of things of at least min_bytes each, before anything is allocated for them.
  Status CheckCount(uint64_t n, uint64_t min_bytes, uint64_t limit, std::string_view what) {
    const uint64_t possible = reader_.left() / min_bytes;
    if (n > possible) {
      return reader_.Refuse("{} is {}, but the rest of the file holds at most {} (truncated?)",
                            what, n, possible);
    }
    if (n > limit) return reader_.Refuse("{} is {}; at most {} are read", what, n, limit);
    return {};
  }

  Status ReadKey(uint64_t index) {
    KV_ASSIGN_OR_RETURN(const std::string_view key,
                        reader_.Text(kMaxNameBytes, fmt::format("metadata key {}", index)));
    if (key.empty()) return reader_.Refuse("metadata key {} is empty", index);
    const std::string what = "metadata key " + Quoted(key);
    if (file_.metadata.Has(key)) return reader_.Refuse("{} is there twice", what);
    KV_ASSIGN_OR_RETURN(const uint32_t type, reader_.Number<uint32_t>(what));
    KV_ASSIGN_OR_RETURN(MetaValue value, ReadValue(static_cast<ValueType>(type), what));
    file_.metadata.Set(std::string(key), std::move(value));
    return {};
  }

  Result<MetaValue> ReadValue(ValueType type, const std::string& what) {
    switch (type) {
      case ValueType::kBool: {
        KV_ASSIGN_OR_RETURN(const uint8_t value, reader_.Number<uint8_t>(what));
        if (value > 1) return reader_.Refuse("{} is a boolean of value {}", what, value);
        return MetaValue(value == 1);
      }
      case ValueType::kString: {
        KV_ASSIGN_OR_RETURN(const std::string_view text, reader_.Text(kMaxHeaderBytes, what));
        return MetaValue(std::string(text));
      }
      case ValueType::kArray:
        return ReadArray(what);
      default:
        return WithNumber(type, what, [&]<class T>(T) -> Result<MetaValue> {
          KV_ASSIGN_OR_RETURN(const T value, reader_.Number<T>(what));
          if constexpr (std::is_floating_point_v<T>) {
            return MetaValue(double{value});
          } else if constexpr (std::is_same_v<T, uint64_t>) {
            return MetaValue(value);
          } else {
            return MetaValue(int64_t{value});
          }
        });
    }
  }

  // Calls f with a zero of the C++ type of a number (a bool is a byte).
  template <class F>
  Result<MetaValue> WithNumber(ValueType type, const std::string& what, F&& f) {
    switch (type) {
      case ValueType::kBool:
      case ValueType::kU8:
        return f(uint8_t{});
      case ValueType::kI8:
        return f(int8_t{});
      case ValueType::kU16:
        return f(uint16_t{});
      case ValueType::kI16:
        return f(int16_t{});
      case ValueType::kU32:
        return f(uint32_t{});
      case ValueType::kI32:
        return f(int32_t{});
      case ValueType::kU64:
        return f(uint64_t{});
      case ValueType::kI64:
        return f(int64_t{});
      case ValueType::kF32:
        return f(float{});
      case ValueType::kF64:
        return f(double{});
      default:
        break;
    }
    return reader_.Refuse("{} is of unknown type {}; 0 to 12 are known", what,
                          static_cast<uint32_t>(type));
  }

  Result<MetaValue> ReadArray(const std::string& what) {
    KV_ASSIGN_OR_RETURN(const uint32_t type_id, reader_.Number<uint32_t>(what));
    KV_ASSIGN_OR_RETURN(const uint64_t n, reader_.Number<uint64_t>(what));
    const ValueType type = static_cast<ValueType>(type_id);
    if (type == ValueType::kArray) return reader_.Refuse("{} is an array of arrays", what);
    if (type == ValueType::kString) {
      KV_RETURN_IF_ERROR(CheckArray(n, sizeof(uint64_t), what));
      std::vector<std::string> texts;
      texts.reserve(n);
      for (uint64_t i = 0; i < n; ++i) {
        KV_ASSIGN_OR_RETURN(const std::string_view text, reader_.Text(kMaxHeaderBytes, what));
        texts.emplace_back(text);
      }
      return MetaValue(std::move(texts));
    }
    return WithNumber(type, what, [&]<class T>(T) -> Result<MetaValue> {
      KV_RETURN_IF_ERROR(CheckArray(n, sizeof(T), what));
      using Stored = std::conditional_t<std::is_floating_point_v<T>, float, int64_t>;
      std::vector<Stored> values(n);
      for (Stored& value : values) {
        KV_ASSIGN_OR_RETURN(const T number, reader_.Number<T>(what));
        if constexpr (std::is_same_v<T, uint64_t>) {
          constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
          if (number > kLargest) return reader_.Refuse("{} holds {}, beyond 2^63", what, number);
        }
        value = static_cast<Stored>(number);
      }
      return MetaValue(std::move(values));
    });
  }

  Status CheckArray(uint64_t n, uint64_t value_bytes, const std::string& what) {
    const uint64_t limit = kMaxArrayValues - n_array_values_;
    KV_RETURN_IF_ERROR(CheckCount(n, value_bytes, limit, what + ": its count"));
    n_array_values_ += n;
    return {};
  }

  Status ReadTensor(uint64_t index) {
    KV_ASSIGN_OR_RETURN(const std::string_view name,
                        reader_.Text(kMaxNameBytes, fmt::format("the name of tensor {}", index)));
    if (name.empty()) return reader_.Refuse("tensor {} has an empty name", index);
    const std::string what = "tensor " + Quoted(name);
    KV_ASSIGN_OR_RETURN(const uint32_t rank, reader_.Number<uint32_t>(what));
    if (rank > 4) return reader_.Refuse("{} has {} dimensions; at most 4 are possible", what, rank);
    uint64_t dims[4] = {1};  // a scalar is a vector of one value
    for (uint32_t r = 0; r < rank; ++r) {
      KV_ASSIGN_OR_RETURN(dims[rank - 1 - r], reader_.Number<uint64_t>(what));  // innermost first
    }
    KV_ASSIGN_OR_RETURN(const uint32_t type, reader_.Number<uint32_t>(what));
    KV_ASSIGN_OR_RETURN(const uint64_t offset, reader_.Number<uint64_t>(what));
    if (FindTensorType(type) == nullptr) {
      return reader_.Refuse("{} is of unknown tensor type {}", what, type);
    }
    TensorView tensor;
    tensor.name = name;
    const Status shaped =
        SetShape(tensor, static_cast<TensorType>(type), {dims, std::max<uint32_t>(rank, 1)}, what);
    if (!shaped) return reader_.Refuse("{}", shaped.error().message);
    file_.tensors.push_back(std::move(tensor));
    offsets_.push_back(offset);
    return {};
  }

  // Turns offsets into pointers: aligned, inside the file, apart from each other.
  Status PlaceTensors() {
    KV_ASSIGN_OR_RETURN(const uint64_t alignment, Alignment());
    const uint64_t start = (reader_.position() + alignment - 1) / alignment * alignment;
    std::vector<std::pair<uint64_t, size_t>> order;  // offset, tensor
    for (size_t i = 0; i < offsets_.size(); ++i) {
      TensorView& tensor = file_.tensors[i];
      const uint64_t offset = offsets_[i];
      if (offset % alignment != 0) {
        return reader_.Refuse("tensor {} has offset {}, not a multiple of the alignment {}",
                              Quoted(tensor.name), offset, alignment);
      }
      const uint64_t room = start < bytes_.size() ? bytes_.size() - start : 0;
      if (offset > room || tensor.n_bytes > room - offset) {
        return reader_.Refuse(
            "tensor {} has {} bytes at offset {} of the data, which has {} bytes (truncated?)",
            Quoted(tensor.name), tensor.n_bytes, offset, room);
      }
      tensor.data = bytes_.data() + start + offset;
      order.emplace_back(offset, i);
    }
    std::sort(order.begin(), order.end());
    for (size_t k = 1; k < order.size(); ++k) {
      const TensorView& before = file_.tensors[order[k - 1].second];
      if (order[k].first - order[k - 1].first < before.n_bytes) {
        return reader_.Refuse("the data of tensors {} and {} overlap", Quoted(before.name),
                              Quoted(file_.tensors[order[k].second].name));
      }
    }
    return {};
  }

  Result<uint64_t> Alignment() const {
    constexpr std::string_view kKey = "general.alignment";
    if (!file_.metadata.Has(kKey)) return kDefaultAlignment;
    const Result<uint64_t> value = file_.metadata.U64(kKey);
    if (!value) return reader_.Refuse("{}", value.error().message);
    if (std::has_single_bit(*value) && *value >= 8 && *value <= (uint64_t{1} << 30)) return *value;
    return reader_.Refuse("{} is {}; it must be a power of two from 8 to 2^30", kKey, *value);
  }

  std::span<const std::byte> bytes_;
  Reader reader_;
  GgufFile file_;
  std::vector<uint64_t> offsets_;  // of each tensor, from the start of the data
  uint64_t n_array_values_ = 0;
};

}  // namespace

Result<GgufFile> ParseGguf(std::span<const std::byte> bytes, const std::string& name) {
  return Parser(bytes, name).Parse();
}

}  // namespace kvasir
