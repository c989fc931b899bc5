#include "base/thread_pool.h"

#include <sched.h>

#include <fstream>
#include <set>
#include <string>

#include "base/result.h"

namespace kvasir {
namespace {

// About 50 us of polling: longer than the gap between two loops of a decode step, far shorter than
// a time slice.
constexpr int kSpins = 2000;

void Relax() { __builtin_ia32_pause(); }

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  KV_CHECK(n_threads >= 1);
  for (int t = 1; t < n_threads; ++t) workers_.emplace_back([this, t] { Work(t); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::RunTasks(uint32_t epoch, int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(ticket >> 32) == epoch) {
    const int64_t left = static_cast<uint32_t>(ticket);
    if (left == 0) return;
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
    (*body_)(n_tasks_ - left, thread);
    n_done_.fetch_add(1, std::memory_order_release);
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Dispatch(int64_t n_tasks, TaskRef body) {
  KV_CHECK(n_tasks <= INT32_MAX);
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  body_ = &body;
  n_tasks_ = n_tasks;
  n_done_.store(0, std::memory_order_relaxed);
  ticket_.store(static_cast<uint64_t>(epoch) << 32 | static_cast<uint64_t>(n_tasks),
                std::memory_order_release);
  epoch_.store(epoch, std::memory_order_release);
  epoch_.notify_all();
  RunTasks(epoch, 0);
  for (int spins = 0; n_done_.load(std::memory_order_acquire) < n_tasks; ++spins) {
    if (spins < kSpins) {
      Relax();
    } else {
      sched_yield();  // somebody else has the core of a worker that holds a task
    }
  }
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (true) {
    uint32_t epoch = epoch_.load(std::memory_order_acquire);
    for (int spins = 0; epoch == seen && spins < kSpins; ++spins) {
      Relax();
      epoch = epoch_.load(std::memory_order_acquire);
    }
    if (epoch == seen) {
      epoch_.wait(seen, std::memory_order_acquire);
      continue;
    }
    if (stop_.load(std::memory_order_relaxed)) return;
    seen = epoch;
    RunTasks(epoch, thread);
  }
}

int PhysicalCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  std::set<std::string> cores;  // the set of sibling lists: one per physical core
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  return cores.empty() ? 1 : static_cast<int>(cores.size());
}

}  // namespace kvasir
