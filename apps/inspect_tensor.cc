// One tensor of any model file, and the list of all.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "inspect.h"
#include "model_file.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxRowValues = int64_t{1} << 26;  // of one buffer of floats

struct Statistics {
  int64_t n_finite = 0, n_zero = 0;
  double sum = 0, sum_of_squares = 0;
  float min = std::numeric_limits<float>::infinity(), max = -min;

  void Add(float x) {
    if (!std::isfinite(x)) return;
    ++n_finite;
    n_zero += x == 0;
    sum += x;
    sum_of_squares += double{x} * x;
    min = std::min(min, x);
    max = std::max(max, x);
  }
  double mean() const { return n_finite > 0 ? sum / static_cast<double>(n_finite) : 0; }
  double deviation() const {
    if (n_finite == 0) return 0;
    const double variance = sum_of_squares / static_cast<double>(n_finite) - mean() * mean();
    return std::sqrt(std::max(variance, 0.0));
  }
};

std::vector<int64_t> Shape(const TensorView& tensor) {
  return {tensor.shape, tensor.shape + tensor.rank};
}

Json TensorJson(const TensorView& tensor) {
  return {{"name", tensor.name},
          {"type", InfoOf(tensor.type).name},
          {"shape", Shape(tensor)},
          {"bytes", tensor.n_bytes}};
}

// Calls use(values) for one row after the other: a tensor is never expanded as a whole.
template <class F>
Status ForEachRow(const TensorView& tensor, F&& use) {
  if (tensor.n_cols() > kMaxRowValues) {
    return Fail("{}: rows of {} values are longer than {} can be shown", tensor.name,
                tensor.n_cols(), kMaxRowValues);
  }
  std::vector<float> row(static_cast<size_t>(tensor.n_cols()));
  const size_t row_bytes = tensor.n_bytes / static_cast<size_t>(tensor.n_rows());
  for (int64_t r = 0; r < tensor.n_rows(); ++r) {
    if (Interrupt::Pending()) return Fail("interrupted");
    KV_RETURN_IF_ERROR(Dequantize(tensor.type, tensor.data + static_cast<size_t>(r) * row_bytes,
                                  tensor.n_cols(), row.data()));
    use(std::span<const float>(row));
  }
  return {};
}

// As JSON writes a float32: the fewest digits that give the same bits. No JSON number is not
// finite.
void AppendNumber(float x, std::string& text) {
  if (std::isfinite(x)) {
    fmt::format_to(std::back_inserter(text), "{}", x);
  } else {
    text += "null";
  }
}

// The values as they are made: the document of a large tensor is not held in memory.
Status WriteValues(Console& console, const TensorView& tensor, std::string_view before,
                   std::string_view between, std::string_view after) {
  console.Write(before);
  std::string text;
  bool first = true;
  KV_RETURN_IF_ERROR(ForEachRow(tensor, [&](std::span<const float> row) {
    text.clear();
    for (const float x : row) {
      if (!first) text += between;
      first = false;
      AppendNumber(x, text);
    }
    console.Write(text);
  }));
  console.Write(after);
  return {};
}

}  // namespace

Result<int> InspectTensors(Context& context) {
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<ModelSource> source, OpenModelFile(context.args));
  if (context.console.json()) {
    Json tensors = Json::array();
    for (const TensorView& tensor : source->tensors()) tensors.push_back(TensorJson(tensor));
    context.console.WriteJson({{"tensors", std::move(tensors)}});
    return kExitDone;
  }
  std::string text;
  for (const TensorView& tensor : source->tensors()) {
    text += fmt::format("{:<40} {:<8} {}\n", tensor.name, InfoOf(tensor.type).name,
                        Json(Shape(tensor)).dump());
  }
  context.console.Write(text);
  return kExitDone;
}

Result<int> InspectTensor(Context& context) {
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<ModelSource> source, OpenModelFile(context.args));
  const std::string name = context.args.Text("tensor");
  const TensorView* tensor = source->Find(name);
  if (tensor == nullptr) {
    std::vector<std::string_view> names;
    for (const TensorView& each : source->tensors()) names.push_back(each.name);
    const std::string near = DidYouMean(name, names);
    return Fail("{}: no tensor '{}'{}", source->path(), name,
                near.empty() ? "; --list names them" : near);
  }
  Statistics statistics;
  KV_RETURN_IF_ERROR(ForEachRow(*tensor, [&](std::span<const float> row) {
    for (const float x : row) statistics.Add(x);
  }));
  const bool values = context.args.On("values");
  if (!context.console.json()) {
    if (values) {
      KV_RETURN_IF_ERROR(WriteValues(context.console, *tensor, "", "\n", "\n"));
      return kExitDone;
    }
    context.console.Write(fmt::format(
        "{}  {}  {}  {}\nmin {}  max {}  mean {:.6g}  deviation {:.6g}  zeros {}  not finite {}\n",
        name, InfoOf(tensor->type).name, Json(Shape(*tensor)).dump(),
        BytesText(static_cast<int64_t>(tensor->n_bytes)), statistics.min, statistics.max,
        statistics.mean(), statistics.deviation(), statistics.n_zero,
        tensor->n_values() - statistics.n_finite));
    return kExitDone;
  }
  Json json = TensorJson(*tensor);
  json["min"] = statistics.min;
  json["max"] = statistics.max;
  json["mean"] = statistics.mean();
  json["deviation"] = statistics.deviation();
  json["zeros"] = statistics.n_zero;
  json["not_finite"] = tensor->n_values() - statistics.n_finite;
  if (!values) {
    context.console.WriteJson(json);
    return kExitDone;
  }
  std::string before =
      json.dump(-1, ' ', false, Json::error_handler_t::replace);  // without its closing brace
  before.pop_back();
  KV_RETURN_IF_ERROR(WriteValues(context.console, *tensor, before + ",\"values\":[", ",", "]}\n"));
  return kExitDone;
}

}  // namespace kvasir::cli
