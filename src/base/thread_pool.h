// ThreadPool: the engine's only threads. One caller at a time hands out a loop; workers spin for a
// bounded time, then sleep on a futex, so that nothing collapses when another process takes a core.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace kvasir {

// A non-owning reference to a callable `void(int64_t task, int thread)`; never allocates.
class TaskRef {
 public:
  template <class F>
  TaskRef(F& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, int64_t task, int thread) {
          (*static_cast<F*>(object))(task, thread);
        }) {}
  void operator()(int64_t task, int thread) const { call_(object_, task, thread); }

 private:
  void* object_;
  void (*call_)(void*, int64_t, int);
};

class ThreadPool {
 public:
  // n_threads counts the caller: 1 means that everything runs inline.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(task, thread) for every task in [0, n_tasks), each once, in no promised order;
  // thread is in [0, n_threads()). Returns when all are done. REQUIRES: not called from a body.
  template <class F>
  void For(int64_t n_tasks, F&& body) {
    if (n_tasks <= 0) return;
    if (workers_.empty() || n_tasks == 1) {
      for (int64_t task = 0; task < n_tasks; ++task) body(task, 0);
      return;
    }
    Dispatch(n_tasks, TaskRef(body));
  }

 private:
  void Dispatch(int64_t n_tasks, TaskRef body);
  void Work(int thread);
  void RunTasks(uint32_t epoch, int thread);

  std::vector<std::thread> workers_;
  // Written by the caller between loops; read only by who has taken a task of the current loop.
  const TaskRef* body_ = nullptr;
  int64_t n_tasks_ = 0;
  // High half: epoch of the loop; low half: tasks not yet taken. One CAS takes a task, so a worker
  // that wakes late finds another epoch or nothing left, and never delays the caller.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> n_done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};  // what idle workers wait on
  std::atomic<bool> stop_{false};
};

// Physical cores this process may use (affinity respected); at least 1.
int PhysicalCores();

}  // namespace kvasir
