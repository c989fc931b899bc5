// Runs a spec on heads with given keys, values and attention mass, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "methods/registry.h"
#include "tests/cache/heads.h"

namespace kvasir {

// Gives as AttentionMass what it was given; nearest keys by plain loops.
class GivenOps final : public Ops {
 public:
  std::vector<std::vector<float>> AttentionMass(const LayerView&, const ScoreRequest&) override {
    return mass;
  }
  std::vector<float> OutputNorms(const LayerView&, int) override { return {}; }
  QueryMoments FutureQueries(const LayerView&, int64_t) override { return {}; }
  std::vector<float> QueryEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<float> OutputEnergy(const LayerView&, int, int64_t) override { return {}; }
  std::vector<std::vector<float>> mass;
};

class NoRotation final : public KeyRotator {
 public:
  void Rotate(float*, int32_t, int32_t) const override {}
};

// One layer of a model, and a program that acts on it.
class ActingLayer {
 public:
  explicit ActingLayer(const std::string& spec, int n_heads = 1, int n_layers = 1, int layer = 0)
      : layer_(layer) {
    auto built = Program::Build(spec);
    if (!built) ADD_FAILURE() << built.error().message;
    program_ = built ? *built : nullptr;
    model_ = {
        .n_layers = n_layers, .n_q_heads = n_heads, .n_kv_heads = n_heads, .head_dim = kTestDim};
    for (int h = 0; h < n_heads; ++h) heads_.emplace_back(pool_, TestFormat());
  }

  HeadCache& head(int h = 0) { return heads_[h]; }
  std::span<HeadCache> heads() { return heads_; }
  Program& program() { return *program_; }
  const ModelInfo& model() const { return model_; }
  int64_t n_last_queries = 0;  // that gave the mass, where a method asks for it
  void Append(const Rows& keys, const Rows& values) {
    for (HeadCache& head : heads_) AppendRows(head, keys, values, n_tokens_);
    n_tokens_ += static_cast<int>(keys.size());
  }
  // At the end of a prompt that began at `start`, or after a generated token.
  void Act(const std::vector<float>& mass, Moment moment = Moment::kPromptEnd, int start = 0) {
    if (moment == Moment::kPromptEnd) {
      if (start > 0) turns_.push_back(start);
      turns_.push_back(n_tokens_);
      n_prompt_ = n_tokens_;
    }
    const std::vector<std::vector<float>> masses(heads_.size(), mass);
    GivenOps ops;
    ops.mass = masses;
    const LayerView at{.model = model_,
                       .layer = layer_,
                       .moment = moment,
                       .n_prompt = n_prompt_,
                       .turns = turns_,
                       .first_prompt = start == 0,
                       .n_generated = n_tokens_ - n_prompt_,
                       .heads = heads_,
                       .n_last_queries = n_last_queries,
                       .mass = masses};
    LayerPlan plan(heads_);
    program_->Compress(at, ops, plan);
    const auto done = plan.Execute(NoRotation());
    ASSERT_TRUE(done) << done.error().message;
  }

 private:
  std::shared_ptr<Program> program_;
  ModelInfo model_;
  int layer_, n_tokens_ = 0;
  int64_t n_prompt_ = 0;
  std::vector<int32_t> turns_;
  PagePool pool_;
  std::vector<HeadCache> heads_;
};

}  // namespace kvasir
