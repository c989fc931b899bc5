#include "engine/find_heads.h"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr int64_t kChunk = 512;  // rows a pass

// Different ordinary tokens in random order, the same for a seed on every machine.
std::vector<int32_t> RandomBlock(const Tokenizer& tokenizer, int64_t n, uint64_t seed) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    if (!tokenizer.IsSpecial(id) && !tokenizer.IsEog(id)) ids.push_back(id);
  }
  uint64_t state = seed;
  const auto next = [&state] {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  };
  n = std::min(n, static_cast<int64_t>(ids.size()));
  for (int64_t i = 0; i < n; ++i) {
    std::swap(ids[i], ids[i + static_cast<int64_t>(next() % (ids.size() - i))]);
  }
  ids.resize(n);
  return ids;
}

// One reading of the repeated block.
class Probe {
 public:
  Probe(LoadedModel& model, int64_t block, int64_t repeats, uint64_t seed)
      : model_(model), config_(model.config()), repeats_(repeats) {
    const std::vector<int32_t> ids = RandomBlock(model.tokenizer(), block, seed);
    block_ = static_cast<int64_t>(ids.size());
    tokens_ = model.tokenizer().prefix_ids();
    n_prefix_ = static_cast<int64_t>(tokens_.size());
    for (int64_t r = 0; r < repeats; ++r) tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  }

  // Adds to [layers * kv_heads] scores.
  Status Run(std::vector<double>& echo, std::vector<double>& induction,
             const std::function<Status()>& after_layer) {
    const std::vector<HeadFormat> formats(config_.n_layers, {.head_dim = config_.head_dim,
                                                             .k_plane = {.codec = CodecId::kF32},
                                                             .v_plane = {.codec = CodecId::kF32}});
    PagePool pool;
    KvCache cache(pool, formats, config_.n_kv_heads);
    std::vector<LastQueries> queries(config_.n_layers);
    const auto n = static_cast<int64_t>(tokens_.size());
    std::vector<float> hidden(n * config_.hidden);
    const MatView<float> x = Mat(hidden.data(), n, config_.hidden);
    model_.forward().Embed(tokens_, x);
    for (int l = 0; l < config_.n_layers; ++l) {
      for (int64_t first = 0; first < n; first += kChunk) {
        const int64_t rows = std::min(kChunk, n - first);
        const Segment segment{.cache = &cache,
                              .first_row = 0,
                              .n_rows = rows,
                              .first_order = static_cast<int32_t>(first),
                              .last = &queries};
        KV_RETURN_IF_ERROR(model_.forward().Run(
            l, l + 1, Mat(x.row(first), rows, config_.hidden, x.stride[0]), {&segment, 1}));
      }
      if (config_.layers[l].window == 0) Score(l, cache.layer(l), queries[l], echo, induction);
      for (HeadCache& head : cache.layer(l)) head.Clear();
      queries[l] = {};
      KV_RETURN_IF_ERROR(after_layer());
    }
    return {};
  }

 private:
  // From the rows' log-sum-exps, at the few places that count: never the whole matrix.
  void Score(int layer, std::span<const HeadCache> heads, const LastQueries& rows,
             std::vector<double>& echo, std::vector<double>& induction) const {
    const int64_t d = config_.head_dim, n_q = config_.n_q_heads, group = config_.group();
    const LogitSpec spec = model_.forward().logit_spec();
    std::vector<CopyScores> scores(n_q);
    std::vector<std::vector<float>> keys;
    for (const HeadCache& head : heads) keys.push_back(ReadPlane(head, PlaneKind::kKeys));
    model_.forward().pool().For(n_q, [&](int64_t q_head, int) {
      const std::vector<float>& head_keys = keys[q_head / group];
      scores[q_head] = ScoreCopies(block_, repeats_, [&](int64_t i, int64_t j) {
        const float* q = rows.q.data() + ((n_prefix_ + i) * n_q + q_head) * d;
        const float* k = head_keys.data() + (n_prefix_ + j) * d;
        double logit = 0;
        for (int64_t c = 0; c < d; ++c) logit += double{q[c]} * k[c];
        logit *= spec.scale;
        if (spec.softcap != 0) logit = spec.softcap * std::tanh(logit / spec.softcap);
        return std::exp(logit - rows.lse[(n_prefix_ + i) * n_q + q_head]);
      });
    });
    for (int h = 0; h < config_.n_kv_heads; ++h) {
      CopyScores best;
      for (int64_t g = 0; g < group; ++g) {
        best.echo = std::max(best.echo, scores[h * group + g].echo);
        best.induction = std::max(best.induction, scores[h * group + g].induction);
      }
      echo[layer * config_.n_kv_heads + h] += best.echo;
      induction[layer * config_.n_kv_heads + h] += best.induction;
    }
  }

  LoadedModel& model_;
  const ModelConfig& config_;
  int64_t block_ = 0, repeats_, n_prefix_ = 0;
  std::vector<int32_t> tokens_;
};

}  // namespace

Result<SideFile> FindHeads(LoadedModel& model, const ProbeOptions& options,
                           const ProgressFn& progress) {
  const ModelConfig& config = model.config();
  const auto n_prefix = static_cast<int64_t>(model.tokenizer().prefix_ids().size());
  const int64_t block = std::min(options.block, (config.n_ctx_train - n_prefix) / options.repeats);
  if (block < 1) {
    return Fail("a context of {} tokens is too short to repeat anything {} times in",
                config.n_ctx_train, options.repeats);
  }
  const size_t n_heads = static_cast<size_t>(config.n_layers) * config.n_kv_heads;
  std::vector<double> echo(n_heads), induction(n_heads);
  int64_t done = 0;
  const int64_t total = options.n_seeds * config.n_layers;
  for (int64_t seed = 0; seed < options.n_seeds; ++seed) {
    Probe probe(model, block, options.repeats, static_cast<uint64_t>(seed));
    KV_RETURN_IF_ERROR(probe.Run(echo, induction, [&]() -> Status {
      if (progress && !progress(++done, total)) return Fail("interrupted");
      return {};
    }));
  }
  SideFile file{.path = {},
                .kind = "razor-heads",
                .model = model.facts().fingerprint,
                .notes = {{"block", fmt::format("{}", block)},
                          {"repeats", fmt::format("{}", options.repeats)},
                          {"seeds", fmt::format("{}", options.n_seeds)}},
                .tensors = {}};
  const auto tensor = [&](const std::vector<double>& sums) {
    SideTensor scores{{config.n_layers, config.n_kv_heads}, {}};
    for (size_t i = 0; i < n_heads; ++i) {
      const bool windowed = config.layers[i / config.n_kv_heads].window > 0;
      scores.values.push_back(
          windowed ? -1 : static_cast<float>(sums[i] / static_cast<double>(options.n_seeds)));
    }
    return scores;
  };
  file.tensors["echo"] = tensor(echo);
  file.tensors["induction"] = tensor(induction);
  return file;
}

}  // namespace kvasir
