#include "engine/sequence.h"

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

Result<std::shared_ptr<const SequenceSpec>> SequenceSpec::Make(const LoadedModel& model,
                                                               const SessionOptions& options) {
  auto spec = std::make_shared<SequenceSpec>();
  KV_ASSIGN_OR_RETURN(std::shared_ptr<Program> program,
                      Program::Build(options.kv, options.methods));
  KV_RETURN_IF_ERROR(program->Bind(model.info(), [&](const SideFileWish& wish) {
    return LoadSideFile(wish, model.facts().fingerprint);
  }));
  spec->program = std::move(program);
  KV_ASSIGN_OR_RETURN(const PlaneFormat plane, BaseFormat(model, options.kv_type));
  if (options.ctx < 0) return Fail("--ctx {}: a number of tokens is needed", options.ctx);
  spec->needs = spec->program->needs(model.info());
  spec->rewrites = spec->program->rewrites() || spec->needs.moves;
  spec->formats.assign(
      model.config().n_layers,
      HeadFormat{.head_dim = model.config().head_dim, .k_plane = plane, .v_plane = plane});
  spec->ctx = options.ctx > 0 ? options.ctx : model.config().n_ctx_train;
  if (options.length < 0) return Fail("a text of {} tokens is none", options.length);
  spec->length = options.length > 0 ? std::min(options.length, spec->ctx) : spec->ctx;
  return std::shared_ptr<const SequenceSpec>(std::move(spec));
}

Sequence::Sequence(std::shared_ptr<LoadedModel> model, std::shared_ptr<const SequenceSpec> spec,
                   std::shared_ptr<PagePool> pool)
    : model_(std::move(model)),
      spec_(std::move(spec)),
      pool_(std::move(pool)),
      cache_(*pool_, spec_->formats, model_->config().n_kv_heads),
      state_(spec_->needs, model_->info()) {}

std::unique_ptr<Sequence> Sequence::Fork() const {
  KV_CHECK(!suspended());
  auto fork = std::make_unique<Sequence>(model_, spec_, pool_);
  fork->cache_ = cache_.Fork();
  fork->tokens_ = tokens_;
  fork->turns_ = turns_;
  fork->logits_ = logits_;
  fork->state_ = state_;
  fork->n_prompt_ = n_prompt_;
  fork->compressed_at_ = compressed_at_;
  fork->chosen_at_ = chosen_at_;
  fork->first_prompt_ = first_prompt_;
  fork->in_prompt_ = in_prompt_;
  fork->pins_ = pins_;
  fork->read_entries_ = read_entries_;
  return fork;
}

Status Sequence::CheckTokens(std::span<const int32_t> tokens) const {
  if (tokens.empty()) return Fail("nothing to read: the prompt has no tokens");
  for (int32_t id : tokens) {
    if (id < 0 || id >= model_->config().n_vocab) {
      return Fail("token id {} is not in the vocabulary (0..{})", id, model_->config().n_vocab - 1);
    }
  }
  const auto total = static_cast<int64_t>(tokens_.size() + tokens.size());
  if (total > spec_->ctx) {
    return Fail("the prompt has {} tokens, the context {}{}; shorten it, or raise --ctx", total,
                spec_->ctx, tokens_.empty() ? "" : " (with what was read before)");
  }
  return {};
}

void Sequence::StartPrompt(int64_t n) {
  first_prompt_ = tokens_.empty();
  n_prompt_ = size() + n;
  in_prompt_ = true;
  for (const int64_t border : {size(), n_prompt_}) {
    if (border > (turns_.empty() ? 0 : turns_.back())) {
      turns_.push_back(static_cast<int32_t>(border));
    }
  }
  state_.StartPrompt(static_cast<int32_t>(n_prompt_));
}

void Sequence::EndPrompt() {
  in_prompt_ = false;
  state_.EndPrompt();
}

Segment Sequence::Rows(int64_t first_row, int64_t n, int64_t order) {
  Segment rows{.cache = &cache_,
               .first_row = first_row,
               .n_rows = n,
               .first_order = static_cast<int32_t>(order)};
  if (in_prompt_ || spec_->needs.at_decode || spec_->needs.gates != nullptr) state_.Attach(rows);
  return rows;
}

Status Sequence::AfterLayer(int layer, const Segment& rows) {
  if (!in_prompt_) {
    if (layer == 0) read_entries_ = 0;
    for (const HeadCache& head : cache_.layer(layer)) read_entries_ += head.size();
  }
  const bool all = !in_prompt_ || rows.first_order + rows.n_rows == n_prompt_;
  if (in_prompt_ || spec_->needs.at_decode || spec_->needs.gates != nullptr) {
    const bool windowed = model_->config().layers[layer].window > 0;
    const std::span<HeadCache> heads = windowed ? std::span<HeadCache>() : cache_.layer(layer);
    KV_RETURN_IF_ERROR(state_.AddRows(forward(), heads, layer, all));
  }
  if (!all) return {};
  if (in_prompt_) {
    KV_RETURN_IF_ERROR(Compress(layer, Moment::kPromptEnd));
    state_.EndLayer(layer);
  } else if (acts_at_decode()) {
    return Compress(layer, Moment::kDecode);
  }
  return {};
}

Status Sequence::Compress(int layer, Moment moment, LayerMemo* memo) {
  const Program& program = *spec_->program;
  const Needs& needs = spec_->needs;
  // A sliding window is a property of the layer: what it holds is bounded already.
  if (program.is_full() || model_->config().layers[layer].window > 0) return {};
  const LayerView at{.model = model_->info(),
                     .layer = layer,
                     .moment = moment,
                     .n_prompt = n_prompt_,
                     .turns = turns_,
                     .first_prompt = first_prompt_,
                     .n_generated = moment == Moment::kPromptEnd ? 0 : size() + 1 - n_prompt_,
                     .heads = cache_.layer(layer),
                     .n_last_queries = state_.n_last_queries(layer),
                     .query_max = state_.query_max(layer),
                     .mass = state_.mass(layer),
                     .gates = state_.gates(layer),
                     .notes = state_.notes()};
  const KeyRotator& rotator = forward().rotator(layer);
  const int64_t n_tokens = moment == Moment::kPromptEnd ? n_prompt_ : size() + 1;
  if (moment == Moment::kPromptEnd || needs.at_decode) {
    LayerPlan plan(cache_.layer(layer));
    CpuOps ops(forward(), state_, memo);
    program.Compress(at, ops, plan);
    if (!pins_.empty()) KeepPins(plan);
    const bool has_columns = needs.mass || needs.gates != nullptr;
    for (int h = 0; has_columns && h < plan.n_heads(); ++h) {
      if (const MergeSets* sets = plan.merges(h)) state_.Merge(layer, h, *sets);
      state_.Keep(layer, h, plan.Resolve(h));
    }
    KV_ASSIGN_OR_RETURN(const bool chosen, plan.Execute(rotator));
    if (chosen) compressed_at_ = chosen_at_ = n_tokens;
  }
  if (program.Stores(moment)) {
    LayerPlan plan(cache_.layer(layer));
    CpuOps ops(forward(), state_);  // each sequence holds its own entries by now
    program.Store(at, ops, plan);
    KV_ASSIGN_OR_RETURN(const bool stored, plan.Execute(rotator));
    if (stored) compressed_at_ = n_tokens;
  }
  return {};
}

void Sequence::KeepPins(LayerPlan& plan) const {
  for (int h = 0; h < plan.n_heads(); ++h) {
    std::optional<std::vector<int32_t>> kept = plan.Resolve(h);
    if (!kept) continue;
    const std::vector<int32_t> orders = plan.head(h).Orders();
    const size_t n_before = kept->size();
    for (const auto& [first, end] : pins_) {
      for (size_t i = 0; i < orders.size(); ++i) {
        if (orders[i] >= first && orders[i] < end) kept->push_back(static_cast<int32_t>(i));
      }
    }
    if (kept->size() == n_before) continue;
    std::sort(kept->begin(), kept->end());
    kept->erase(std::unique(kept->begin(), kept->end()), kept->end());
    plan.Keep(h, std::move(*kept));
  }
}

void Sequence::Commit(std::span<const int32_t> tokens) {
  for (size_t i = 0; i < tokens.size() && !in_prompt_; ++i) state_.EndStep();
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  logits_.clear();
}

Sequence::Room Sequence::RoomFor(int64_t n) const {
  Room room;
  for (int l = 0; l < cache_.n_layers(); ++l) {
    for (const HeadCache& head : cache_.layer(l)) {
      const int64_t appended = head.AppendBytes(n);
      room.bytes += appended;
      if (spec_->program->is_full()) continue;
      // Heads are packed, and written anew, one after the other.
      room.for_a_moment =
          std::max(room.for_a_moment, head.PlaneBytesHeld(/*shared=*/false) + appended);
      if (!spec_->rewrites) continue;
      // Pages that others hold are copied, and entries of another format begin a page of their own.
      room.bytes += head.PlaneBytesHeld(/*shared=*/true) + head.AppendBytes(kPageEntries);
    }
  }
  return room;
}

void Sequence::AddAppendBlocks(int layer, int64_t n, BlockCounts& blocks) const {
  for (const HeadCache& head : cache_.layer(layer)) head.AddAppendBlocks(n, blocks);
}

int64_t Sequence::n_evicted() const {
  int64_t n = size() * cache_.n_layers() * cache_.n_kv_heads();
  for (int l = 0; l < cache_.n_layers(); ++l) {
    for (const HeadCache& head : cache_.layer(l)) n -= head.size();
  }
  return std::max<int64_t>(0, n);  // a piece may be on its way through the layers
}

KvReport Sequence::Report() const {
  const KvAccount account = cache_.Account();
  const HeadFormat& format = cache_.layer(0)[0].format();
  const int64_t n_heads = int64_t{cache_.n_layers()} * cache_.n_kv_heads();
  const int64_t n_pages = (size() + kPageEntries - 1) / kPageEntries;
  return {.spec = spec_->program->spec(),
          .reads_as = spec_->program->reads_as(),
          .entries = account.entries,
          .entries_full = size() * n_heads,
          .bytes = account.bytes,
          .bytes_peak = std::max(pool_->peak_bytes(), account.bytes),  // some lie outside of pages
          .bytes_full = n_pages * n_heads * HeadCache::PageBytes(format),
          .by_codec = account.by_codec,
          .by_tier = account.by_tier,
          .read_entries_per_step = static_cast<double>(read_entries_)};
}

namespace {

// Makes sure of the pages that the piece's rows take in a layer, beside those that `blocks` counts
// for others already.
Status ReserveFor(const Piece& piece, int layer, const std::function<bool()>& spare,
                  BlockCounts& blocks) {
  BlockCounts own;
  piece.sequence->AddAppendBlocks(layer, piece.rows.n_rows, own);
  if (own.empty()) return {};
  for (const auto& [each, n] : blocks) own[each] += n;
  Status status = piece.sequence->pool().Prepare(own);
  while (!status && spare && spare()) status = piece.sequence->pool().Prepare(own);
  if (status) blocks = std::move(own);
  return status;
}

}  // namespace

void RunPieces(Forward& forward, int first_layer, int end_layer, MatView<float> x,
               std::span<Piece> pieces, const std::function<bool()>& spare) {
  std::vector<Segment>& segments = forward.segment_scratch();
  for (int l = first_layer; l < end_layer; ++l) {
    segments.clear();
    BlockCounts blocks;
    for (Piece& piece : pieces) {
      if (!piece.status) continue;
      piece.status = ReserveFor(piece, l, spare, blocks);
      piece.no_room = !piece.status;
      if (piece.no_room) continue;
      segments.push_back(piece.rows);
    }
    if (segments.empty()) return;
    const Status status = forward.Run(l, l + 1, x, segments);
    for (Piece& piece : pieces) {
      if (!piece.status) continue;  // it did not run
      const int64_t n_refused = piece.sequence->pool().n_refused();
      piece.status = status ? piece.sequence->AfterLayer(l, piece.rows) : status;
      piece.no_room = piece.no_room || piece.sequence->pool().n_refused() > n_refused;
    }
  }
}

}  // namespace kvasir
