#include "engine/find_heads.h"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr int64_t kChunk = 512;  // rows a pass

struct Sums {
  std::vector<double> echo, induction;  // [layers * kv_heads]
};

// Reads a probe's text.
class Reading {
 public:
  Reading(LoadedModel& model, const HeadProbe& probe)
      : model_(model), config_(model.config()), probe_(probe) {}

  Status Run(Sums& sums, const std::function<Status()>& after_layer) {
    const std::vector<HeadFormat> formats(config_.n_layers, {.head_dim = config_.head_dim,
                                                             .k_plane = {.codec = CodecId::kF32},
                                                             .v_plane = {.codec = CodecId::kF32}});
    PagePool pool;
    KvCache cache(pool, formats, config_.n_kv_heads);
    std::vector<LastQueries> queries(config_.n_layers);
    const auto n = std::ssize(probe_.tokens);
    std::vector<float> hidden(n * config_.hidden);
    const MatView<float> x = Mat(hidden.data(), n, config_.hidden);
    model_.forward().Embed(probe_.tokens, x);
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
      if (config_.layers[l].window == 0) Score(l, cache.layer(l), queries[l], sums);
      for (HeadCache& head : cache.layer(l)) head.Clear();
      queries[l] = {};
      KV_RETURN_IF_ERROR(after_layer());
    }
    return {};
  }

 private:
  // From the rows' log-sum-exps, at the few places that count: never the whole matrix.
  void Score(int layer, std::span<const HeadCache> heads, const LastQueries& rows,
             Sums& sums) const {
    const int64_t d = config_.head_dim, n_q = config_.n_q_heads, group = config_.group();
    const LogitSpec spec = model_.forward().logit_spec();
    std::vector<CopyScores> scores(n_q);
    std::vector<std::vector<float>> keys;
    for (const HeadCache& head : heads) keys.push_back(ReadPlane(head, PlaneKind::kKeys));
    model_.forward().pool().For(n_q, [&](int64_t q_head, int) {
      const std::vector<float>& head_keys = keys[q_head / group];
      scores[q_head] = ScoreCopies(probe_.copies, probe_.reach, [&](int64_t i, int64_t j) {
        const float* q = rows.q.data() + (i * n_q + q_head) * d;
        const float* k = head_keys.data() + j * d;
        double logit = 0;
        for (int64_t c = 0; c < d; ++c) logit += double{q[c]} * k[c];
        logit *= spec.scale;
        if (spec.softcap != 0) logit = spec.softcap * std::tanh(logit / spec.softcap);
        return std::exp(logit - rows.lse[i * n_q + q_head]);
      });
    });
    for (int h = 0; h < config_.n_kv_heads; ++h) {
      CopyScores best;
      for (int64_t g = 0; g < group; ++g) {
        best.echo = std::max(best.echo, scores[h * group + g].echo);
        best.induction = std::max(best.induction, scores[h * group + g].induction);
      }
      sums.echo[layer * config_.n_kv_heads + h] += best.echo;
      sums.induction[layer * config_.n_kv_heads + h] += best.induction;
    }
  }

  LoadedModel& model_;
  const ModelConfig& config_;
  const HeadProbe& probe_;
};

Result<HeadProbe> MakeProbe(const LoadedModel& model, const ProbeOptions& options, int64_t seed) {
  const int64_t n_ctx = model.config().n_ctx_train;
  if (options.text == ProbeOptions::Text::kNumber) {
    return PlantedNumber(model, std::min(options.n_tokens, n_ctx), static_cast<uint64_t>(seed));
  }
  const auto n_prefix = std::ssize(model.tokenizer().prefix_ids());
  const int64_t block = std::min(options.block, (n_ctx - n_prefix) / options.repeats);
  if (block < 1) {
    return Fail("a context of {} tokens is too short to repeat anything {} times in", n_ctx,
                options.repeats);
  }
  return RepeatedBlock(model, block, options.repeats, static_cast<uint64_t>(seed));
}

// The mean of what a row that attends to all it sees alike gives to what followed the copy.
double EvenScore(const HeadProbe& probe) {
  return ScoreCopies(probe.copies, probe.reach,
                     [](int64_t i, int64_t) { return 1 / static_cast<double>(i + 1); })
      .induction;
}

}  // namespace

Result<FoundHeads> FindHeads(LoadedModel& model, const ProbeOptions& options,
                             const ProgressFn& progress) {
  const ModelConfig& config = model.config();
  const size_t n_heads = static_cast<size_t>(config.n_layers) * config.n_kv_heads;
  Sums sums{std::vector<double>(n_heads), std::vector<double>(n_heads)};
  const auto n_seeds = static_cast<double>(options.n_seeds);
  FoundHeads found{.file = {.path = {},
                            .kind = "razor-heads",
                            .model = model.facts().fingerprint,
                            .notes = {},
                            .tensors = {}},
                   .about = {}};
  int64_t done = 0;
  const int64_t total = options.n_seeds * config.n_layers;
  for (int64_t seed = 0; seed < options.n_seeds; ++seed) {
    KV_ASSIGN_OR_RETURN(const HeadProbe probe, MakeProbe(model, options, seed));
    KV_RETURN_IF_ERROR(Reading(model, probe).Run(sums, [&]() -> Status {
      if (progress && !progress(++done, total)) return Fail("interrupted");
      return {};
    }));
    found.even += EvenScore(probe) / n_seeds;
    found.about = probe.about;
    found.file.notes = probe.notes;
  }
  found.file.notes["seeds"] = fmt::format("{}", options.n_seeds);
  const auto tensor = [&](const std::vector<double>& totals) {
    SideTensor scores{{config.n_layers, config.n_kv_heads}, {}};
    for (size_t i = 0; i < n_heads; ++i) {
      const bool windowed = config.layers[i / config.n_kv_heads].window > 0;
      scores.values.push_back(windowed ? -1 : static_cast<float>(totals[i] / n_seeds));
    }
    return scores;
  };
  found.file.tensors["echo"] = tensor(sums.echo);
  found.file.tensors["induction"] = tensor(sums.induction);
  return found;
}

}  // namespace kvasir
