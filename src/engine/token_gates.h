// Runs the gates that a method asked for (Needs::gates) beside a layer's projections.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/matmul.h"
#include "methods/method.h"
#include "model/config.h"

namespace kvasir {

// The gates of all layers, packed for the product kernels when they are first needed.
class PackedGates {
 public:
  explicit PackedGates(std::span<const TokenGate> gates) : gates_(gates) {}
  // Appends the outputs of rows of a layer's normed input [rows, hidden]: [rows][kv_heads].
  void Run(int layer, MatView<const float> x, Activation activation, Isa isa, ThreadPool& pool,
           std::vector<float>& out);

 private:
  struct Layer {
    PackedMatrix first, second;
  };
  void Pack(Isa isa, ThreadPool& pool);

  const std::span<const TokenGate> gates_;
  WeightArena arena_;
  std::vector<Layer> packed_;  // [layers]
  Activations activations_;
  std::vector<float> hidden_, ones_;
};

// Outputs of rows that were not yet given to entries.
struct GateRows {
  std::shared_ptr<PackedGates> gates;    // null: nobody asked; shared by forks
  std::vector<std::vector<float>> rows;  // [layers][rows][kv_heads]
};

}  // namespace kvasir
