#include "engine/session_batch.h"

#include <algorithm>
#include <deque>

#include "engine/generator.h"

namespace kvasir {

// Reads a token of each of some sessions.
class BatchStep {
 public:
  // Token number `at` of each. REQUIRES: there is one, and room for it.
  BatchStep(std::span<SessionReads* const> reads, size_t at) : reads_(reads), at_(at) {
    const ModelConfig& config = forward().config();
    rows_.Grow(reads.size() * config.hidden * sizeof(float));
    x_ = Mat(rows_.as<float>(), static_cast<int64_t>(reads.size()), config.hidden);
  }

  void Run() {
    std::vector<int32_t> tokens;
    std::vector<Piece> pieces;
    for (size_t i = 0; i < reads_.size(); ++i) {
      Sequence& sequence = SequenceOf(i);
      tokens.push_back(reads_[i]->tokens[at_]);
      pieces.push_back({.sequence = &sequence,
                        .rows = sequence.Rows(static_cast<int64_t>(i), 1, sequence.size())});
    }
    forward().Embed(tokens, x_);
    std::optional<ProbeGuard> probe;  // without one that of the caller stays
    if (AttentionProbe own = Probe()) probe.emplace(forward(), std::move(own));
    RunPieces(forward(), 0, forward().config().n_layers, x_, pieces);
    probe.reset();
    for (size_t i = 0; i < reads_.size(); ++i) {
      reads_[i]->status = pieces[i].status;
      if (pieces[i].status) {
        SequenceOf(i).Commit({&tokens[i], 1});
      } else {
        SequenceOf(i).RollBack();
      }
    }
    ReadLogits();
  }

 private:
  Forward& forward() const { return reads_[0]->session->forward(); }
  Sequence& SequenceOf(size_t i) const { return *reads_[i]->session->sequence_; }

  AttentionProbe Probe() const {
    const bool asked = std::any_of(reads_.begin(), reads_.end(),
                                   [](const SessionReads* each) { return bool{each->probe}; });
    if (!asked) return {};
    return [this](int layer, MatView<const float> outputs) {
      for (size_t i = 0; i < reads_.size(); ++i) {
        if (!reads_[i]->probe) continue;
        reads_[i]->probe(layer, Mat(outputs.row(static_cast<int64_t>(i)), 1, outputs.shape[1]));
      }
    };
  }

  // Of all that want them, in one product; between two tokens they are not known where nobody asks.
  void ReadLogits() const {
    const bool asked = std::any_of(reads_.begin(), reads_.end(), [&](const SessionReads* each) {
      return each->on_logits || at_ + 1 == each->tokens.size();
    });
    if (!asked) {
      for (size_t i = 0; i < reads_.size(); ++i) SequenceOf(i).logits().clear();
      return;
    }
    ForRowLogits(forward(), x_, [&](int64_t row, std::span<const float> logits) {
      const SessionReads& each = *reads_[row];
      if (!each.status) return;
      Sequence& sequence = SequenceOf(row);
      sequence.logits().assign(logits.begin(), logits.end());
      if (each.on_logits) each.on_logits(sequence.size() - 1, sequence.logits());
    });
  }

  const std::span<SessionReads* const> reads_;
  const size_t at_;
  Buffer rows_;
  MatView<float> x_;
};

void ExtendTogether(std::span<SessionReads> reads) {
  std::vector<SessionReads*> left;  // to read token by token
  for (SessionReads& each : reads) {
    if (each.tokens.size() == 1 || each.session->one_by_one()) {
      each.status = each.session->CheckTokens(each.tokens);
      if (each.status) left.push_back(&each);
    } else {
      std::optional<ProbeGuard> probe;
      if (each.probe) probe.emplace(each.session->forward(), each.probe);
      each.status = each.session->Extend(each.tokens, each.on_logits);
    }
  }
  for (size_t at = 0; !left.empty(); ++at) {
    BatchStep(left, at).Run();
    std::erase_if(left, [&](const SessionReads* each) {
      return !each->status || at + 1 == each->tokens.size();
    });
  }
}

void GenerateTogether(std::span<SessionAnswer> answers) {
  std::deque<Generator> generators;
  for (SessionAnswer& each : answers) generators.emplace_back(*each.session, each.options);
  std::vector<size_t> going;
  for (size_t i = 0; i < answers.size(); ++i) going.push_back(i);
  while (!going.empty()) {
    std::vector<int32_t> tokens(answers.size());
    std::vector<size_t> on;
    for (const size_t i : going) {
      const Result<std::optional<int32_t>> next = generators[i].Next();
      if (!next) {
        answers[i].answer = tl::unexpected<Error>(next.error());
      } else if (!*next) {
        answers[i].answer = generators[i].Take();
      } else {
        tokens[i] = **next;
        on.push_back(i);
      }
    }
    std::vector<SessionReads> reads;
    for (const size_t i : on) {
      reads.push_back({.session = answers[i].session, .tokens = {&tokens[i], 1}});
    }
    ExtendTogether(reads);
    going.clear();
    for (size_t r = 0; r < on.size(); ++r) {
      if (reads[r].status) {
        going.push_back(on[r]);
      } else {
        answers[on[r]].answer = tl::unexpected<Error>(reads[r].status.error());
      }
    }
  }
}

}  // namespace kvasir
