// Steps of batched decoding: so many answers of one depth at a time, greedy, under `full`. All of
// them are measured in turn, a few steps each, so that what others do to the machine meets all.
// One thread is timed by the processor time it got, which other processes disturb least.
//   step_bench [cpu=best] [threads=0] [depth=512] [rounds=15] [answers=1 2 4 8 16 ...]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "engine/scheduler.h"

namespace kvasir {
namespace {

constexpr int kSteps = 4;  // of one number of answers, before the next one's turn

double Seconds(bool one_thread) {
  timespec time;
  clock_gettime(one_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class Answers {
 public:
  Answers(const std::shared_ptr<LoadedModel>& model, int n, int depth)
      : n_(n),
        one_thread_(model->forward().pool().n_threads() == 1),
        scheduler_(model, {.n_slots = n}) {
    auto spec = SequenceSpec::Make(*model, {.kv = "full"});
    KV_CHECK(spec.has_value());
    std::mt19937 random(static_cast<uint32_t>(n));
    for (int i = 0; i < n; ++i) {
      BatchRequest request{.n_tokens = 1 << 20, .ignore_eos = true};
      request.sampling.temperature = 0;
      for (int t = 0; t < depth; ++t) request.prompt.push_back(1000 + random() % 20000);
      Scheduler::Answers one;
      one.push_back(std::make_unique<BatchJob>(
          i, 0, std::make_shared<const BatchRequest>(std::move(request)), *spec,
          std::make_shared<const BatchEventFn>([](BatchEvent) {}), *model));
      scheduler_.Add(std::move(one));
    }
    while (scheduler_.figures().prompt_tokens < int64_t{n} * depth) scheduler_.Step();
  }
  void Time() {
    for (int i = 0; i < kSteps; ++i) {
      const double start = Seconds(one_thread_);
      scheduler_.Step();
      const double seconds = Seconds(one_thread_) - start;
      if (i > 0) seconds_.push_back(seconds);  // the first finds the others' cache
    }
  }
  double Median() {
    std::sort(seconds_.begin(), seconds_.end());
    return seconds_[seconds_.size() / 2];
  }
  int n() const { return n_; }

 private:
  int n_;
  bool one_thread_;
  Scheduler scheduler_;
  std::vector<double> seconds_;
};

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  using namespace kvasir;
  const auto number = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  const std::string cpu = argc > 1 && argv[1] != std::string("best") ? argv[1] : "";
  auto model = LoadedModel::Load({.cpu = cpu, .threads = number(2, 0)});
  if (!model) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
  const int depth = number(3, 512), rounds = number(4, 15);
  std::vector<std::unique_ptr<Answers>> all;
  std::vector<int> counts = {1, 2, 4, 8, 16};
  if (argc > 5) counts.clear();
  for (int i = 5; i < argc; ++i) counts.push_back(number(i, 1));
  for (const int n : counts) all.push_back(std::make_unique<Answers>(*model, n, depth));
  for (int round = 0; round < rounds; ++round) {
    for (const auto& answers : all) answers->Time();
  }
  const double single = all[0]->Median() / all[0]->n();
  std::printf("%s, depth %d\n", IsaName((*model)->isa()).data(), depth);
  for (const auto& answers : all) {
    const double s = answers->Median();
    std::printf("%2d answers: a step %6.2f ms, %4.0f tokens/s, %.2f times the first\n",
                answers->n(), s * 1e3, answers->n() / s, answers->n() * single / s);
  }
}
