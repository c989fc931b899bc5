// MethodState: what the methods of a session have asked to be collected of one sequence (Needs),
// and nothing else. Copied with a fork, saved with a session.
#pragma once

#include <span>
#include <vector>

#include "base/byte_stream.h"
#include "engine/forward.h"
#include "engine/own_mass.h"
#include "methods/method.h"

namespace kvasir {

class MethodState {
 public:
  MethodState(const Needs& needs, const ModelInfo& model);

  // Before a prompt whose last token has order end - 1.
  void StartPrompt(int32_t end);
  void EndPrompt();  // lets go of what generating does not need
  void Clear();

  // Asks Forward for what these rows have to give.
  void Attach(Segment& segment);
  // After a layer has attended over rows; no heads: one that methods do not look at. `all`: no more
  // rows come before the methods look. An error where gates overflow.
  Status AddRows(Forward& forward, std::span<const HeadCache> heads, int layer, bool all);
  // After the methods have looked: entries `kept` of a head stay; nullopt: all.
  void Keep(int layer, int head, const std::optional<std::vector<int32_t>>& kept);
  // Before that: what a set's members have collected is its entry's.
  void Merge(int layer, int head, const MergeSets& sets);
  void EndLayer(int layer);
  void EndStep() { ++n_steps_; }  // a token was generated
  // The newest n rows that another state has of a layer, before it adds them up: for a state that
  // gives the same rows mass by a rule of its own. REQUIRES: both were asked for mass.
  void CopyRows(const MethodState& other, int layer, int64_t n);
  // What another state has collected of a layer, but for mass, as far as it was asked for here.
  // REQUIRES: the other was asked for at least as much, and for the same gates.
  void TakeLayer(const MethodState& other, int layer);
  // The mass of a layer's entries, if it was asked for here. REQUIRES: the other has the same rule.
  void TakeMass(const MethodState& other, int layer);
  // The entries of the cache of order >= n are gone, and so many generated tokens.
  void Truncate(const KvCache& cache, int32_t n, int64_t n_steps);

  // null: nobody asked, or there is none at this moment.
  const LastQueries* queries(int layer) const;
  const QueryStats* stats(int layer) const { return stats_.empty() ? nullptr : &stats_[layer]; }
  int64_t n_last_queries(int layer) const;
  std::span<const std::vector<float>> mass(int layer) const { return Column(mass_, layer); }
  std::span<const std::vector<float>> gates(int layer) const { return Column(gates_, layer); }
  std::span<const std::vector<float>> query_max(int layer) const {
    return Column(query_max_, layer);
  }
  std::span<std::vector<int32_t>> notes() { return notes_; }

  void Write(ByteWriter& file) const;
  Status Read(ByteReader& file, const KvCache& cache, int64_t n_tokens);

 private:
  bool generating_too() const { return needs_.at_decode && !queries_.empty(); }
  bool stats_too() const { return needs_.at_decode && !stats_.empty(); }
  void AddMass(Forward& forward, std::span<const HeadCache> heads, int layer, bool all);
  void AddOwnMass(Forward& forward, std::span<const HeadCache> heads, int layer,
                  std::span<const RowBlock> blocks);
  void DropRows(int layer, int64_t n_done);
  // A layer's numbers of entries, from a state that was asked for them; empty here: not wanted.
  void TakeColumn(std::vector<std::vector<float>>& mine,
                  const std::vector<std::vector<float>>& theirs, int layer) const;
  // Numbers of entries, of a layer's heads; empty: there are none.
  std::span<const std::vector<float>> Column(const std::vector<std::vector<float>>& column,
                                             int layer) const;

  Needs needs_;
  ModelInfo model_;
  std::vector<LastQueries> queries_;           // [layers]: the last rows, and rows not yet in mass
  std::vector<int64_t> n_added_;               // [layers] of queries_, rows that are in mass
  std::vector<std::vector<double>> sums_;      // [layers * kv_heads][slots] of this prompt
  std::vector<std::vector<float>> mass_;       // [layers * kv_heads][entries]
  std::vector<std::vector<float>> noise_;      // [layers * kv_heads][entries], NoiseKind::kToken
  std::vector<std::vector<float>> gates_;      // [layers * kv_heads][entries]
  std::vector<std::vector<float>> query_max_;  // [layers * kv_heads][head_dim] of the last prompt
  GateRows gate_rows_;
  std::vector<QueryStats> stats_;            // [layers] of this prompt and what was generated
  std::vector<std::vector<int32_t>> notes_;  // [layers], of this moment
  int64_t n_steps_ = 0;                      // generated tokens of all turns
  bool in_prompt_ = false;
};

}  // namespace kvasir
