#include "thread_pool.hpp"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#ifdef __linux__
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace chainrule {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About 50 µs: a training step's loops follow each other faster than that, a finished epoch lets the threads sleep.
constexpr int spins_before_sleep = 4000;
// The caller waits for the last unit of a loop; on an oversubscribed machine its worker may not be running.
constexpr int spins_before_yield = 2000;

int env_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (!text) return 0;
  const long value = std::strtol(text, nullptr, 10);   // "4,2": the outer level counts
  return value > 0 && value <= 256 ? int(value) : 0;
}

int affinity_threads() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return int(std::thread::hardware_concurrency());
}

// cgroup v2 "max 100000" or "200000 100000"; v1 has two files. 0 where there is no quota.
int cgroup_threads() {
  long quota = -1, period = 100000;
  char text[64] = {};
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(f, "%63s %ld", text, &period) == 2 && std::strcmp(text, "max") != 0) quota = std::strtol(text, nullptr, 10);
    std::fclose(f);
  } else if (FILE* v1 = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) {
    if (std::fscanf(v1, "%ld", &quota) != 1) quota = -1;
    std::fclose(v1);
    if (FILE* p = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r")) {
      if (std::fscanf(p, "%ld", &period) != 1) period = 100000;
      std::fclose(p);
    }
  }
  if (quota <= 0 || period <= 0) return 0;
  return int(std::ceil(double(quota) / double(period)));
}

}  // namespace

int default_threads() {
  int count = affinity_threads();
  for (const int limit : {env_threads(), cgroup_threads()})
    if (limit > 0 && limit < count) count = limit;
  return count < 1 ? 1 : count;
}

// The loop in progress is one 64-bit ticket: (units << 32 | next chunk). Claiming is one fetch_add; a claim below `units`
// proves that its loop is still running, because the loop cannot end before the claimed chunk is done. So a late worker
// can never see a stale function.
struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<int> done{0};
  alignas(64) std::atomic<uint32_t> generation{0};
  std::atomic<int> sleeping{0};
  std::atomic<bool> stop{false};
  std::atomic<Function> function{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<int> units{0}, grain{1};
  std::mutex owner;
  std::vector<std::thread> workers;
  int threads = default_threads();

  bool work(int thread) {
    bool any = false;
    for (;;) {
      const uint64_t claim = ticket.fetch_add(1, std::memory_order_acq_rel);
      const uint32_t chunks = uint32_t(claim >> 32), chunk = uint32_t(claim);
      if (chunk >= chunks) return any;
      const int size = grain.load(std::memory_order_relaxed), total = units.load(std::memory_order_relaxed);
      const int begin = int(chunk) * size, end = begin + size < total ? begin + size : total;
      function.load(std::memory_order_relaxed)(context.load(std::memory_order_relaxed), begin, end, thread);
      done.fetch_add(1, std::memory_order_acq_rel);
      any = true;
    }
  }

  void wait(uint32_t seen) {
    for (int i = 0; i < spins_before_sleep; i++) {
      if (generation.load(std::memory_order_acquire) != seen) return;
      pause();
    }
    sleeping.fetch_add(1);
    while (generation.load() == seen && !stop.load()) {
#ifdef __linux__
      syscall(SYS_futex, &generation, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
#else
      generation.wait(seen);
#endif
    }
    sleeping.fetch_sub(1);
  }

  void wake() {
    generation.fetch_add(1);
    if (sleeping.load() == 0) return;
#ifdef __linux__
    syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
#else
    generation.notify_all();
#endif
  }

  void loop(int thread) {
    uint32_t seen = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      wait(seen);
      seen = generation.load(std::memory_order_acquire);
      work(thread);
    }
  }

  void join() {
    stop = true;
    wake();
    for (auto& worker : workers) worker.join();
    workers.clear();
    stop = false;
  }
};

static ThreadPool* current = nullptr;

ThreadPool::ThreadPool() : state_(new State) {}

ThreadPool& ThreadPool::instance() {
  static std::once_flag once;
  std::call_once(once, [] {
    current = new ThreadPool;
#ifdef __linux__
    // In a forked child the workers are gone; the old state (its threads cannot be joined) is left behind. A child that
    // never trains pays nothing: threads start with the first loop.
    pthread_atfork(nullptr, nullptr, [] {
      const int threads = current->state_->threads;
      current->state_ = new State;
      current->state_->threads = threads;
    });
#endif
    // Sleeping workers must not outlive the process's static objects.
    std::atexit([] {
      if (current->state_->owner.try_lock()) {
        current->state_->join();
        current->state_->owner.unlock();
      }
    });
  });
  return *current;
}

int ThreadPool::threads() const { return state_->threads; }

void ThreadPool::set_threads(int count) {
  const std::lock_guard<std::mutex> lock(state_->owner);
  if (count == state_->threads) return;
  state_->join();
  state_->threads = count < 1 ? 1 : count > 256 ? 256 : count;
}

void ThreadPool::run_erased(int units, Function function, void* context) {
  if (units <= 0) return;
  State& s = *state_;
  if (s.threads == 1 || units == 1 || !s.owner.try_lock()) {
    function(context, 0, units, 0);
    return;
  }
  const std::lock_guard<std::mutex> lock(s.owner, std::adopt_lock);
  while (int(s.workers.size()) < s.threads - 1) {
    const int thread = int(s.workers.size()) + 1;
    try {
      s.workers.emplace_back([&s, thread] { s.loop(thread); });
    } catch (const std::system_error&) {
      s.threads = thread;   // the system gives no more threads: go on with those there are
    }
  }
  // Chunks: about eight a thread, so that a thread that is held up costs little, and neighbours stay together.
  const int grain = units / (s.threads * 8) > 1 ? units / (s.threads * 8) : 1, chunks = (units + grain - 1) / grain;
  s.function.store(function, std::memory_order_relaxed);
  s.context.store(context, std::memory_order_relaxed);
  s.units.store(units, std::memory_order_relaxed);
  s.grain.store(grain, std::memory_order_relaxed);
  s.done.store(0, std::memory_order_relaxed);
  s.ticket.store(uint64_t(chunks) << 32, std::memory_order_release);
  s.wake();
  s.work(0);
  for (int spins = 0; s.done.load(std::memory_order_acquire) < chunks; spins++) {
    pause();
    if (spins > spins_before_yield) std::this_thread::yield();
  }
}

}  // namespace chainrule
