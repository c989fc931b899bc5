// /v1/embeddings: the mean of a text's last hidden states, of length 1.
#include <cmath>
#include <cstring>

#include "server/endpoints.h"
#include "server/prompts.h"

namespace kvasir::server {
namespace {

constexpr size_t kMostInputs = 2048;  // as OpenAI; clients send lists of that length
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Little-endian float32, as clients decode it.
std::string Base64(std::span<const float> values) {
  std::vector<uint8_t> bytes(values.size_bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    const uint32_t block = uint32_t{bytes[i]} << 16 | (n > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                           (n > 2 ? uint32_t{bytes[i + 2]} : 0);
    for (size_t c = 0; c < 4; ++c) text += c <= n ? kBase64[block >> (18 - 6 * c) & 63] : '=';
  }
  return text;
}

void Normalise(std::vector<float>& vector) {
  double sum = 0;
  for (const float x : vector) sum += double{x} * x;
  if (sum <= 0) return;
  for (float& x : vector) x = static_cast<float>(x / std::sqrt(sum));
}

// The text in pieces, each between two steps of those who wait for tokens; empty: `stop` said so.
Result<std::vector<float>> Embed(BatchEngine& engine, std::span<const int32_t> ids,
                                 const std::function<bool()>& stop) {
  const int64_t hidden = engine.model().config().hidden;
  std::vector<double> sums(hidden);
  std::vector<float> rows;
  std::unique_ptr<Sequence> sequence;
  const auto n = static_cast<int64_t>(ids.size());
  for (int64_t first = 0; first < n; first += engine.options().step_rows) {
    if (stop()) return std::vector<float>();
    const int64_t n_rows = std::min(engine.options().step_rows, n - first);
    rows.resize(n_rows * hidden);
    Status status;
    engine.Between([&](Scheduler& scheduler) {
      status = scheduler.ReadHidden(sequence, ids.subspan(first, n_rows), n - first,
                                    Mat(rows.data(), n_rows, hidden));
    });
    KV_RETURN_IF_ERROR(status);
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t c = 0; c < hidden; ++c) sums[c] += rows[r * hidden + c];
    }
  }
  std::vector<float> mean(sums.size());
  for (size_t i = 0; i < mean.size(); ++i) {
    mean[i] = static_cast<float>(sums[i] / static_cast<double>(n));
  }
  return mean;
}

}  // namespace

void Embeddings(const Services& services, Call& call) {
  BatchEngine& engine = services.engine;
  Fields fields(call.body);
  const std::string format = fields.Text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    fields.Fail("encoding_format", "expected float or base64");
  }
  const int64_t hidden = engine.model().config().hidden;
  const int64_t dimensions = fields.Integer("dimensions", 1, hidden).value_or(hidden);
  const std::string name = fields.Text("model").value_or(services.model_name);
  if (fields.error()) return call.Fail(*fields.error());
  const auto inputs = ReadPrompts(fields.Get("input"), "input", engine, kMostInputs);
  if (!inputs) return call.Fail(inputs.error());
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  call.exchange->OnGone([gone] { *gone = true; });
  const auto stop = [&] { return *gone || services.stopping; };
  int64_t n_tokens = 0;
  Json data = Json::array();
  for (const auto& [ids, text] : *inputs) {
    if (static_cast<int64_t>(ids.size()) > engine.ctx()) {
      return call.Fail({.message = fmt::format("this model's maximum context length is {} "
                                               "tokens, and an input has {}",
                                               engine.ctx(), ids.size()),
                        .param = "input",
                        .code = "context_length_exceeded"});
    }
    n_tokens += static_cast<int64_t>(ids.size());
    auto vector = Embed(engine, ids, stop);
    if (!vector) {
      return call.Fail({.status = 503, .message = vector.error().message, .retry_after_s = 2});
    }
    if (vector->empty()) break;
    vector->resize(dimensions);
    Normalise(*vector);
    data.push_back({{"object", "embedding"},
                    {"index", data.size()},
                    {"embedding", format == "float" ? Json(*vector) : Json(Base64(*vector))}});
  }
  if (call.on_end) std::exchange(call.on_end, nullptr)({.n_prompt = n_tokens});
  if (services.stopping) return call.Fail(ShuttingDown());
  if (*gone) return;
  call.Reply({{"object", "list"},
              {"model", name},
              {"data", std::move(data)},
              {"usage", {{"prompt_tokens", n_tokens}, {"total_tokens", n_tokens}}}});
}

}  // namespace kvasir::server
