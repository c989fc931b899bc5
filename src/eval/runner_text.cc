// Fidelity: the rest of a text under each spec beside `full`.
#include <algorithm>
#include <numeric>

#include "engine/session_batch.h"
#include "eval/attention_error.h"
#include "eval/record.h"
#include "eval/runner.h"

namespace kvasir::eval {
namespace {

// Compares what follows each token of a block but the last with what `full` expected there.
RowLogitsFn Comparer(std::span<const int32_t> block, const std::vector<Distribution>& expected,
                     TextDistance& distance) {
  return
      [block, &expected, &distance, i = size_t{1}](int64_t, std::span<const float> logits) mutable {
        if (i < block.size()) distance.Add(block[i], expected[i], logits);
        ++i;
      };
}

}  // namespace

// Block by block, so that the distributions of `full` are held for a few tokens only.
Status Runner::RunText(const Sample& sample, std::span<Work> works) {
  constexpr size_t kBlock = 64;
  const auto ids = std::span<const int32_t>(sample.ids);
  const auto prefix = ids.first(static_cast<size_t>(sample.n_prefix));
  std::vector<Work> all(works.begin(), works.end());
  Work reference;
  reference.spec = "full";
  all.push_back(std::move(reference));
  KV_ASSIGN_OR_RETURN(SessionGroup group, Read(all, prefix));
  PromptParts parts;
  parts.read.assign(prefix.begin(), prefix.end());
  NoteGroup(group, parts, works);
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<SessionImpl> full,
                      std::move(group.members.back().session));
  const int n_layers = static_cast<int>(model_->facts().n_layers);
  std::vector<TextDistance> distances(works.size());
  std::vector<AttentionError> attention(works.size(), AttentionError(n_layers));
  AttentionOutputs outputs(n_layers);  // of `full`
  for (size_t at = prefix.size(); at < ids.size(); at += kBlock) {
    const auto block = ids.subspan(at, std::min(kBlock, ids.size() - at));
    std::vector<Distribution> expected;  // [block + 1] before each of its tokens
    const auto note = [&](std::span<const float> logits) { expected.emplace_back(logits); };
    note(full->logits());
    outputs.Clear();
    {
      const ProbeGuard probe(full->forward(), outputs.Recorder());
      KV_RETURN_IF_ERROR(
          full->Extend(block, [&](int64_t, std::span<const float> logits) { note(logits); }));
    }
    const size_t n_together = options_.batch ? works.size() : 1;
    for (size_t first = 0; first < works.size(); first += n_together) {
      if (events_.interrupted()) return Fail("interrupted");
      std::vector<SessionReads> reads;
      std::vector<size_t> readers;
      for (size_t s = first; s < first + n_together; ++s) {
        if (!works[s].error.empty()) continue;
        SessionImpl& session = **group.members[s].session;
        distances[s].Add(block[0], expected[0], session.logits());
        reads.push_back({.session = &session,
                         .tokens = block,
                         .on_logits = Comparer(block, expected, distances[s]),
                         .probe = attention[s].Comparer(outputs)});
        readers.push_back(s);
      }
      ExtendTogether(reads);
      for (size_t r = 0; r < reads.size(); ++r) {
        if (!reads[r].status) works[readers[r]].error = reads[r].status.error().message;
      }
    }
  }
  for (size_t s = 0; s < works.size(); ++s) {
    works[s].figures = distances[s].Figures();
    const std::vector<double> errors = attention[s].ByLayer();
    works[s].figures["attention_error"] =
        std::accumulate(errors.begin(), errors.end(), 0.0) / n_layers;
    works[s].attention_error_by_layer = errors;
  }
  return {};
}

}  // namespace kvasir::eval
