#include "engine/session.h"

#include <algorithm>

#include "engine/cpu_ops.h"
#include "engine/side_file_io.h"

namespace kvasir {
namespace {

// The format of the base cache: what is asked, else f32 for F32 weights and f16 for others.
Result<PlaneFormat> BaseFormat(const LoadedModel& model, const std::string& kv_type) {
  const int dim = model.config().head_dim;
  if (!kv_type.empty()) return ParseFormat(kv_type, dim);
  return FloatPlane(model.weights().is_f32() ? CodecId::kF32 : CodecId::kF16, dim);
}

}  // namespace

Result<std::unique_ptr<Session>> Session::Open(std::shared_ptr<Model> model,
                                               const SessionOptions& options) {
  auto loaded = std::dynamic_pointer_cast<LoadedModel>(model);
  KV_CHECK(loaded != nullptr);
  KV_ASSIGN_OR_RETURN(std::unique_ptr<SessionImpl> session,
                      SessionImpl::Open(std::move(loaded), options));
  return std::unique_ptr<Session>(std::move(session));
}

Result<std::unique_ptr<SessionImpl>> SessionImpl::Open(std::shared_ptr<LoadedModel> model,
                                                       const SessionOptions& options) {
  KV_ASSIGN_OR_RETURN(std::shared_ptr<Program> program,
                      Program::Build(options.kv, options.methods));
  KV_RETURN_IF_ERROR(program->Bind(model->info(), [&](const SideFileWish& wish) {
    return LoadSideFile(wish, model->facts().fingerprint);
  }));
  KV_ASSIGN_OR_RETURN(const PlaneFormat plane, BaseFormat(*model, options.kv_type));
  if (options.chunk < 1) return Fail("a chunk of {} tokens: at least 1 is needed", options.chunk);
  if (options.ctx < 0) return Fail("--ctx {}: a number of tokens is needed", options.ctx);
  const int64_t limit = options.kv_memory > 0 ? options.kv_memory : kNoLimit;
  const std::vector<HeadFormat> formats(
      model->config().n_layers,
      HeadFormat{.head_dim = model->config().head_dim, .k_plane = plane, .v_plane = plane});
  auto pool = std::make_shared<PagePool>(limit);
  KvCache cache(*pool, formats, model->config().n_kv_heads);
  return std::unique_ptr<SessionImpl>(new SessionImpl(std::move(model), options, std::move(program),
                                                      std::move(pool), std::move(cache)));
}

SessionImpl::SessionImpl(std::shared_ptr<LoadedModel> model, const SessionOptions& options,
                         std::shared_ptr<const Program> program, std::shared_ptr<PagePool> pool,
                         KvCache cache)
    : model_(std::move(model)),
      options_(options),
      ctx_(options.ctx > 0 ? options.ctx : model_->config().n_ctx_train),
      program_(std::move(program)),
      needs_(program_->needs(model_->info())),
      pool_(std::move(pool)),
      cache_(std::move(cache)),
      state_(needs_, model_->info()) {}

Status SessionImpl::CheckTokens(std::span<const int32_t> tokens) const {
  if (tokens.empty()) return Fail("nothing to read: the prompt has no tokens");
  for (int32_t id : tokens) {
    if (id < 0 || id >= model_->config().n_vocab) {
      return Fail("token id {} is not in the vocabulary (0..{})", id, model_->config().n_vocab - 1);
    }
  }
  const auto total = static_cast<int64_t>(tokens_.size() + tokens.size());
  if (total > ctx_) {
    return Fail("the prompt has {} tokens, the context {}{}; shorten it, or raise --ctx", total,
                ctx_, tokens_.empty() ? "" : " (with what was read before)");
  }
  return {};
}

Status SessionImpl::Feed(std::span<const int32_t> tokens, const ProgressFn& progress) {
  return Prefill(tokens, progress, {});
}

Status SessionImpl::FeedScored(std::span<const int32_t> tokens, const RowLogitsFn& on_logits) {
  return Prefill(tokens, {}, on_logits);
}

Status SessionImpl::Prefill(std::span<const int32_t> tokens, const ProgressFn& progress,
                            const RowLogitsFn& on_logits) {
  KV_RETURN_IF_ERROR(CheckTokens(tokens));
  const int64_t n_before = static_cast<int64_t>(tokens_.size());
  const auto n = static_cast<int64_t>(tokens.size());
  const ModelConfig& config = model_->config();
  std::optional<KvCache> before;  // pages are shared, so this costs their tables only
  const MethodState state_before = state_;
  if (n_before > 0) before = cache_.Fork();
  const int64_t n_prompt_before = n_prompt_;
  const std::vector<int32_t> turns_before = turns_;
  first_prompt_ = n_before == 0;
  n_prompt_ = n_before + n;
  for (int64_t border : {n_before, n_prompt_}) {
    if (border > (turns_.empty() ? 0 : turns_.back())) {
      turns_.push_back(static_cast<int32_t>(border));
    }
  }

  x_.Grow(static_cast<size_t>(n * config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), n, config.hidden);
  state_.StartPrompt(static_cast<int32_t>(n_prompt_));
  const Status status = ReadPrompt(tokens, x, progress);
  state_.EndPrompt();
  if (!status) {
    state_ = state_before;
    n_prompt_ = n_prompt_before;
    turns_ = turns_before;
    if (before) {
      cache_ = std::move(*before);
    } else {
      cache_.Clear();
    }
    return status;
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  logits_.resize(config.n_vocab);
  const int64_t first_scored = on_logits ? 0 : n - 1;
  for (int64_t row = first_scored; row < n; ++row) {
    model_->forward().Logits(Mat<const float>(x.row(row), 1, config.hidden),
                             Mat(logits_.data(), 1, config.n_vocab));
    if (on_logits) on_logits(n_before + row, logits_);
  }
  x_ = Buffer();
  return {};
}

// Layer-major: the whole prompt through a layer, which is then compressed, so that one layer at
// most is held at full length. Chunk-major: a chunk through all layers.
Status SessionImpl::ReadPrompt(std::span<const int32_t> tokens, MatView<float> x,
                               const ProgressFn& progress) {
  const int64_t n = x.shape[0], chunk = options_.chunk;
  const int n_layers = model_->config().n_layers;
  const int layers_a_pass = options_.chunk_major ? n_layers : 1;
  const int64_t work = n * n_layers;
  model_->forward().Embed(tokens, x);
  int64_t done = 0;
  for (int first_layer = 0; first_layer < n_layers; first_layer += layers_a_pass) {
    const int end_layer = first_layer + layers_a_pass;
    for (int64_t first = 0; first < n; first += chunk) {
      if (progress && !progress(done / n_layers, work / n_layers)) return Fail("interrupted");
      const int64_t rows = std::min(chunk, n - first);
      KV_RETURN_IF_ERROR(RunChunk(first_layer, end_layer, first, rows, x));
      done += rows * layers_a_pass;
    }
    for (int l = first_layer; l < end_layer; ++l) {
      KV_RETURN_IF_ERROR(Compress(l, Moment::kPromptEnd));
      state_.EndLayer(l);
    }
  }
  if (progress) progress(n, n);
  return {};
}

Status SessionImpl::RunChunk(int first_layer, int end_layer, int64_t first, int64_t n,
                             MatView<float> x) {
  const auto order = static_cast<int32_t>(tokens_.size() + first);
  Segment segment{.cache = &cache_, .first_row = 0, .n_rows = n, .first_order = order};
  state_.Attach(segment);
  KV_RETURN_IF_ERROR(model_->forward().Run(
      first_layer, end_layer, Mat(x.row(first), n, x.shape[1], x.stride[0]), {&segment, 1}));
  const bool all = order + n == n_prompt_;
  for (int l = first_layer; l < end_layer; ++l) {
    AddRows(l, all);
  }
  return {};
}

void SessionImpl::AddRows(int layer, bool all) {
  const bool windowed = model_->config().layers[layer].window > 0;
  state_.AddRows(model_->forward(), windowed ? std::span<HeadCache>() : cache_.layer(layer), layer,
                 all);
}

Status SessionImpl::Compress(int layer, Moment moment) {
  // A sliding window is a property of the layer: what it holds is bounded already.
  if (program_->is_full() || model_->config().layers[layer].window > 0) return {};
  const LayerView at{.model = model_->info(),
                     .layer = layer,
                     .moment = moment,
                     .n_prompt = n_prompt_,
                     .turns = turns_,
                     .first_prompt = first_prompt_,
                     .n_generated = moment == Moment::kPromptEnd
                                        ? 0
                                        : static_cast<int64_t>(tokens_.size()) + 1 - n_prompt_,
                     .heads = cache_.layer(layer),
                     .n_last_queries = state_.n_last_queries(layer),
                     .query_max = state_.query_max(layer),
                     .mass = state_.mass(layer),
                     .gates = state_.gates(layer),
                     .notes = state_.notes()};
  CpuOps ops(model_->forward(), state_);
  const KeyRotator& rotator = model_->forward().rotator(layer);
  bool changed = false;
  if (moment == Moment::kPromptEnd || needs_.at_decode) {
    LayerPlan plan(cache_.layer(layer));
    program_->Compress(at, ops, plan);
    const bool has_columns = needs_.mass || needs_.gates != nullptr;
    for (int h = 0; has_columns && h < plan.n_heads(); ++h) {
      if (const MergeSets* sets = plan.merges(h)) state_.Merge(layer, h, *sets);
      state_.Keep(layer, h, plan.Resolve(h));
    }
    KV_ASSIGN_OR_RETURN(changed, plan.Execute(rotator));
  }
  if (program_->Stores(moment)) {
    LayerPlan plan(cache_.layer(layer));
    program_->Store(at, ops, plan);
    KV_ASSIGN_OR_RETURN(const bool stored, plan.Execute(rotator));
    changed = changed || stored;
  }
  if (changed) {
    const auto n = static_cast<int64_t>(tokens_.size());
    compressed_at_ = moment == Moment::kPromptEnd ? n_prompt_ : n + 1;
  }
  return {};
}

Status SessionImpl::Step(int32_t token) {
  if (static_cast<int64_t>(tokens_.size()) >= ctx_) {
    return Fail("the context is full: {} tokens; raise --ctx, or bound the cache with --kv", ctx_);
  }
  KV_RETURN_IF_ERROR(CheckTokens({&token, 1}));
  const ModelConfig& config = model_->config();
  Forward& forward = model_->forward();
  const auto order = static_cast<int32_t>(tokens_.size());
  x_.Grow(static_cast<size_t>(config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), 1, config.hidden);
  forward.Embed({&token, 1}, x);
  Segment segment{.cache = &cache_, .first_row = 0, .n_rows = 1, .first_order = order};
  const bool watched = needs_.at_decode || needs_.gates != nullptr;
  if (watched) state_.Attach(segment);
  Status status;
  read_entries_ = 0;
  for (int l = 0; l < config.n_layers && status; ++l) {
    status = forward.Run(l, l + 1, x, {&segment, 1});
    for (const HeadCache& head : cache_.layer(l)) read_entries_ += head.size();
    if (status && watched) AddRows(l, /*all=*/true);
    if (status && (needs_.at_decode || program_->Stores(Moment::kDecode))) {
      status = Compress(l, Moment::kDecode);
    }
  }
  if (!status) {
    cache_.Truncate(order);
    state_.Truncate(cache_, order, 0);
    return status;
  }
  state_.EndStep();
  tokens_.push_back(token);
  logits_.resize(config.n_vocab);
  forward.Logits(x, Mat(logits_.data(), 1, config.n_vocab));
  return {};
}

Status SessionImpl::Extend(std::span<const int32_t> tokens, const RowLogitsFn& on_logits) {
  const auto n_before = static_cast<int64_t>(tokens_.size());
  KV_RETURN_IF_ERROR(CheckTokens(tokens));
  if (needs_.at_decode || needs_.gates != nullptr || program_->Stores(Moment::kDecode)) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      KV_RETURN_IF_ERROR(Step(tokens[i]));
      if (on_logits) on_logits(n_before + static_cast<int64_t>(i), logits_);
    }
    return {};
  }
  const ModelConfig& config = model_->config();
  const auto n = static_cast<int64_t>(tokens.size());
  x_.Grow(static_cast<size_t>(n * config.hidden) * sizeof(float));
  const MatView<float> x = Mat(x_.as<float>(), n, config.hidden);
  model_->forward().Embed(tokens, x);
  Segment segment{
      .cache = &cache_, .first_row = 0, .n_rows = n, .first_order = static_cast<int32_t>(n_before)};
  const Status status = model_->forward().Run(0, config.n_layers, x, {&segment, 1});
  if (!status) {
    cache_.Truncate(static_cast<int32_t>(n_before));
    return status;
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  logits_.resize(config.n_vocab);
  for (int64_t row = on_logits ? 0 : n - 1; row < n; ++row) {
    model_->forward().Logits(Mat<const float>(x.row(row), 1, config.hidden),
                             Mat(logits_.data(), 1, config.n_vocab));
    if (on_logits) on_logits(n_before + row, logits_);
  }
  return {};
}

Status SessionImpl::Truncate(int64_t n) {
  const auto have = static_cast<int64_t>(tokens_.size());
  if (n < 0 || n > have) return Fail("cannot go back to token {} of {}", n, have);
  if (n == have) return {};
  if (n == 0) {
    Reset();
    return {};
  }
  if (n < compressed_at_) {
    return Fail(
        "cannot go back to token {}: '{}' compressed the cache at token {}; read the text "
        "again",
        n, program_->spec(), compressed_at_);
  }
  for (int l = 0; l < cache_.n_layers(); ++l) {
    const int32_t window = model_->config().layers[l].window;
    if (window == 0) continue;
    for (const HeadCache& head : cache_.layer(l)) {
      if (head.size() > 0 && head.FirstOrder() > std::max<int64_t>(0, n - window)) {
        return Fail(
            "cannot go back to token {}: layer {} has a window of {} and has dropped what "
            "came before; read the text again",
            n, l, window);
      }
    }
  }
  cache_.Truncate(static_cast<int32_t>(n));
  state_.Truncate(cache_, static_cast<int32_t>(n), have - std::max(n, n_prompt_));
  tokens_.resize(n);
  n_prompt_ = std::min(n_prompt_, n);
  while (!turns_.empty() && turns_.back() > n) turns_.pop_back();
  logits_.clear();
  return {};
}

void SessionImpl::Reset() {
  cache_.Clear();
  state_.Clear();
  tokens_.clear();
  turns_.clear();
  logits_.clear();
  n_prompt_ = compressed_at_ = read_entries_ = 0;
}

Result<std::unique_ptr<Session>> SessionImpl::Fork() const {
  std::unique_ptr<SessionImpl> fork(
      new SessionImpl(model_, options_, program_, pool_, cache_.Fork()));
  fork->tokens_ = tokens_;
  fork->turns_ = turns_;
  fork->logits_ = logits_;
  fork->n_prompt_ = n_prompt_;
  fork->compressed_at_ = compressed_at_;
  fork->first_prompt_ = first_prompt_;
  fork->state_ = state_;
  return std::unique_ptr<Session>(std::move(fork));
}

KvReport SessionImpl::kv() const {
  const KvAccount account = cache_.Account();
  const HeadFormat& format = cache_.layer(0)[0].format();
  const auto n = static_cast<int64_t>(tokens_.size());
  const int64_t n_heads = int64_t{cache_.n_layers()} * cache_.n_kv_heads();
  const int64_t n_pages = (n + kPageEntries - 1) / kPageEntries;
  return {.spec = program_->spec(),
          .entries = account.entries,
          .entries_full = n * n_heads,
          .bytes = account.bytes,
          .bytes_peak = pool_->peak_bytes(),
          .bytes_full = n_pages * n_heads * HeadCache::PageBytes(format),
          .by_codec = account.by_codec,
          .by_tier = account.by_tier,
          .read_entries_per_step = static_cast<double>(read_entries_)};
}

}  // namespace kvasir
