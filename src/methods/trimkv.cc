// Keeps the entries whose learned retention has decayed least. Bui et al., TRIM-KV, ICLR 2026,
// arXiv 2512.03324. Moment: compress at the prompt's end and while generating; cost: a small MLP a
// layer and token (the gate), and one product an entry.
//
// A token's gate, from the layer's normed input x: log_beta = logsigmoid(W2 act(W1 x + b1) + b),
// one number a KV head, computed once. Score at time t (tokens read): (t - i) * log_beta_i, i the
// token's place; the newest has age 1. Attention is untouched. Of equal scores the older entry
// goes, so gates that are all alike make a sliding window.
//
// Gates are trained for one model: a side file (`gates`), a safetensors file of this layout, for
// each layer l the tensors model.layers.{l}.self_attn.retention_gate.
//   linear1.weight [width, hidden], linear1.bias [width], linear2.weight [kv_heads, width],
//   bias [kv_heads]
#include <cmath>
#include <limits>
#include <numeric>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"gates", ParamKind::kText, "auto", "", "side file of trained gates for this model"},
    {"every", ParamKind::kInteger, "1", "1..65536",
     "generated tokens above the budget at which it is met again"},
    {"window", ParamKind::kInteger, "0", "0..65536", "last entries that stay; the paper has none"},
    {"knorm", ParamKind::kFlag, "false", "true|false", "add the log of the key's norm"},
    {"when", ParamKind::kWord, "always", "prompt|always",
     "act at the prompt's end only, or while generating too"},
};

// Scores in which no two are equal: of equals the later is the higher by as little as there is.
void BreakTies(std::vector<float>& scores) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return scores[a] < scores[b]; });
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (size_t r = 1; r < order.size(); ++r) {
    const float below = scores[order[r - 1]];
    if (scores[order[r]] <= below) scores[order[r]] = std::nextafter(below, kInf);
  }
}

class TrimKv final : public Method {
 public:
  TrimKv(Budget budget, std::string gates, int64_t every, int64_t window, bool knorm,
         bool at_decode)
      : budget_(budget),
        path_(std::move(gates)),
        every_(every),
        window_(window),
        knorm_(knorm),
        at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.at_decode = at_decode_, .gates = &gates_};
  }
  std::optional<SideFileWish> side_file() const override {
    return SideFileWish{path_, "trimkv-gates",
                        "a training run (docs/trimkv.md says what the file holds)"};
  }
  Status Bind(const ModelInfo& model, const SideFile* file) override {
    for (int l = 0; l < model.n_layers; ++l) {
      const std::string at = fmt::format("model.layers.{}.self_attn.retention_gate.", l);
      const auto bias = file->tensors.find(at + "linear1.bias");
      const int64_t width =
          bias == file->tensors.end() || bias->second.shape.empty() ? 1 : bias->second.shape[0];
      TokenGate gate{.width = width};
      const auto take = [&](std::string_view name, std::initializer_list<int64_t> shape,
                            std::vector<float>& into) -> Status {
        KV_ASSIGN_OR_RETURN(const SideTensor* tensor, file->Tensor(at + std::string(name), shape));
        into = tensor->values;
        return {};
      };
      KV_RETURN_IF_ERROR(take("linear1.bias", {width}, gate.bias1));
      KV_RETURN_IF_ERROR(take("linear1.weight", {width, model.hidden}, gate.weight1));
      KV_RETURN_IF_ERROR(take("linear2.weight", {model.n_kv_heads, width}, gate.weight2));
      KV_RETURN_IF_ERROR(take("bias", {model.n_kv_heads}, gate.bias2));
      gates_.push_back(std::move(gate));
    }
    return {};
  }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep, every_ - 1)) return;
    const int64_t now = at.n_prompt + at.n_generated;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const std::vector<int32_t> orders = at.heads[h].Orders();
      std::vector<float> scores(orders.size());
      for (size_t i = 0; i < scores.size(); ++i) {
        // logsigmoid, without loss for large |z|; ages are products with it, so it stays in f32.
        const float z = at.gates[h][i];
        const float log_beta = z >= 0 ? -std::log1p(std::exp(-z)) : z - std::log1p(std::exp(z));
        scores[i] = static_cast<float>(now - orders[i]) * log_beta;
      }
      if (knorm_) AddKeyNorms(at.heads[h], scores);
      BreakTies(scores);
      plan.ProtectLast(h, window_);
      plan.Score(h, std::move(scores));
      plan.Budget(h, keep);
    }
  }

 private:
  static void AddKeyNorms(const HeadCache& head, std::vector<float>& scores) {
    const std::vector<float> keys = ReadPlane(head, PlaneKind::kKeys);
    const int64_t dim = head.format().head_dim;
    for (size_t i = 0; i < scores.size(); ++i) {
      double sum = 0;
      for (int64_t c = 0; c < dim; ++c) sum += double{keys[i * dim + c]} * keys[i * dim + c];
      scores[i] += static_cast<float>(0.5 * std::log(sum));
    }
  }

  const Budget budget_;
  const std::string path_;
  const int64_t every_, window_;
  const bool knorm_, at_decode_;
  std::vector<TokenGate> gates_;  // [layers]
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  if (params.GetWord("when") == "prompt") {
    KV_RETURN_IF_ERROR(params.Without({"every"}, "when=prompt cuts once"));
  }
  return std::make_unique<TrimKv>(params.GetBudget("budget"), std::string(params.GetText("gates")),
                                  params.GetInt("every"), params.GetInt("window"),
                                  params.GetFlag("knorm"), params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kTrimKv = {
    .name = "trimkv",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what trained gates say will be needed longest",
    .paper = "arXiv 2512.03324",
    .about =
        "A small network per layer guesses, when a token is read, how long it will matter; the "
        "guess decays with age, and the entry with the least left goes. Needs a side file of gates "
        "trained for exactly this model (another model's is refused), and no attention scores. "
        "Bounds the cache at any length of text, in the prompt's end and while generating. Nothing "
        "is protected by position: the gates have learned sinks and windows, or not. Gates trained "
        "on mathematics forget other texts; looking up exact values among many is lost, as with "
        "every method that decides before the question.",
    .example = "trimkv:budget=1024",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
