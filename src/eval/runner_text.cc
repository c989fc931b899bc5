// Fidelity: the rest of a text under each spec beside `full`.
#include <algorithm>
#include <numeric>

#include "eval/attention_error.h"
#include "eval/record.h"
#include "eval/runner.h"

namespace kvasir::eval {

// Block by block, so that the distributions of `full` are held for a few tokens only.
Status Runner::RunText(const Sample& sample, std::span<Work> works) {
  constexpr size_t kBlock = 128;
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
    std::vector<std::vector<float>> expected;  // [block] logits that predict each of its tokens
    const auto note = [&](std::span<const float> logits) {
      expected.emplace_back(logits.begin(), logits.end());
    };
    note(full->logits());
    outputs.Clear();
    {
      const ProbeGuard probe(model_->forward(), outputs.Recorder());
      KV_RETURN_IF_ERROR(
          full->Extend(block, [&](int64_t, std::span<const float> logits) { note(logits); }));
    }
    for (size_t s = 0; s < works.size(); ++s) {
      Work& work = works[s];
      if (!work.error.empty()) continue;
      if (events_.interrupted()) return Fail("interrupted");
      SessionImpl& session = **group.members[s].session;
      size_t i = 0;
      const auto compare = [&](std::span<const float> logits) {
        if (i < block.size()) distances[s].Add(block[i], expected[i], logits);
        ++i;
      };
      compare(session.logits());
      const ProbeGuard probe(model_->forward(), attention[s].Comparer(outputs));
      const Stopwatch watch;
      const Status status =
          session.Extend(block, [&](int64_t, std::span<const float> logits) { compare(logits); });
      work.decode_ms += watch.Ms();
      if (!status) work.error = status.error().message;
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
