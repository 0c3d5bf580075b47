#include "thread_pool.hpp"

#include "float_exceptions.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
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

// Whether this thread is the caller of a loop: what a long loop asks between its pieces may be Python code that computes too.
thread_local bool in_loop = false;

// The number that the innermost call of this thread brought; 0: none did.
thread_local int threads_of_call = 0;

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

}   // namespace

int default_threads() {
  int count = affinity_threads();
  for (const int limit : {env_threads(), cgroup_threads()})
    if (limit > 0 && limit < count) count = limit;
  return count < 1 ? 1 : count;
}

// A loop is cut into one range of chunks per thread. A thread first works through its own range, so that loop after loop
// the same data stays in its cache (static partition: 1.5x on a small dense layer), then helps with the ranges of others.
//
// A range's state is one 64-bit ticket: (chunks << 32 | next chunk). Claiming is one fetch_add; a claim below `chunks` proves
// that its loop is still running, because a loop cannot end before every claimed chunk is done. So a late thread can never
// see a stale function.
struct Range {
  alignas(64) std::atomic<uint64_t> ticket{0};
  std::atomic<int> begin{0}, end{0};
};

struct ThreadPool::State {
  static constexpr int most_threads = 256;
  Range ranges[most_threads];
  alignas(64) std::atomic<int> done{0};
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<int> sleeping{0};
  std::atomic<bool> stop{false};
  std::atomic<Function> function{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<int> grain{1};
  // How many threads the current loop has. Workers beyond it are parked: calls with few threads and calls with many may take
  // turns, and starting and joining threads at every turn would cost more than most loops.
  alignas(64) std::atomic<int> active{0};
  std::atomic<int> parked{0};
  // Floating-point exceptions of the workers in the current loop: its caller has raised them too when it is done.
  std::atomic<float_exceptions::Word> raised{0};
  std::atomic<bool> failed{false};   // the rest of the loop is skipped, and the caller gets the first exception
  std::exception_ptr failure;
  std::mutex owner;
  std::vector<std::thread> workers;
  std::atomic<int> started{0};
  int obtainable = most_threads;   // fewer once the system gave no more: the next loops do not ask again
  std::atomic<int> threads;        // of every call that brings no number of its own

  explicit State(int count) : threads(count) {}

  void work(int thread) {
    const int count = active.load(std::memory_order_acquire);
    if (thread >= count) return;
    for (int i = 0; i < count; i++) {
      Range& range = ranges[(thread + i) % count];
      for (;;) {
        const uint64_t seen = range.ticket.load(std::memory_order_relaxed);
        if (uint32_t(seen) >= uint32_t(seen >> 32)) break;   // spares the write where others are done
        const uint64_t claim = range.ticket.fetch_add(1, std::memory_order_acq_rel);
        const uint32_t chunk = uint32_t(claim);
        if (chunk >= uint32_t(claim >> 32)) break;
        const int size = grain.load(std::memory_order_relaxed), last = range.end.load(std::memory_order_relaxed);
        const int begin = range.begin.load(std::memory_order_relaxed) + int(chunk) * size;
        if (!failed.load(std::memory_order_relaxed)) try {
            function.load(std::memory_order_relaxed)(context.load(std::memory_order_relaxed), begin,
                                                     begin + size < last ? begin + size : last, thread);
          } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
          }
        if (thread != 0) hand_over();
        done.fetch_add(1, std::memory_order_acq_rel);
      }
    }
  }

  void hand_over() {
    const float_exceptions::Word flags = float_exceptions::read() & float_exceptions::beyond;
    if (!flags) return;
    raised.fetch_or(flags, std::memory_order_relaxed);
    float_exceptions::write(0);
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

  void park(int thread) {
    for (int count; !stop.load() && (count = active.load()) <= thread;) {
      parked.fetch_add(1);
#ifdef __linux__
      syscall(SYS_futex, &active, FUTEX_WAIT_PRIVATE, count, nullptr, nullptr, 0);
#else
      active.wait(count);
#endif
      parked.fetch_sub(1);
    }
  }

  void set_active(int count) {
    if (active.exchange(count) >= count || parked.load() == 0) return;
#ifdef __linux__
    syscall(SYS_futex, &active, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
#else
    active.notify_all();
#endif
  }

  void loop(int thread) {
    float_exceptions::write(0);   // a new thread has those of its maker
    // What this library and C++'s exceptions keep per thread is allocated where it is first touched, and where there is no
    // memory then, the C library ends the process instead of throwing: so now, and not within a loop.
    in_loop = false;
    static_cast<void>(std::uncaught_exceptions());
    started.fetch_add(1);
    started.notify_one();
    uint32_t seen = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      park(thread);
      wait(seen);
      seen = generation.load(std::memory_order_acquire);
      work(thread);
    }
  }

  void join() {
    stop = true;
    set_active(most_threads);
    wake();
    for (auto& worker : workers) worker.join();
    workers.clear();
    active = 0;
    started = 0;
    stop = false;
  }
};

static ThreadPool* current = nullptr;

ThreadsOfCall::ThreadsOfCall(int count) : count_(count) {}

void ThreadsOfCall::begin() {
  before_ = threads_of_call;
  threads_of_call = count_;
}

void ThreadsOfCall::end() { threads_of_call = before_; }

ThreadPool::ThreadPool() : state_(new State(default_threads())) {}

ThreadPool& ThreadPool::instance() {
  static std::once_flag once;
  std::call_once(once, [] {
    current = new ThreadPool;
#ifdef __linux__
    // In a forked child the workers are gone; the old state (its threads cannot be joined) is left behind. A child that
    // never trains pays nothing: threads start with the first loop.
    pthread_atfork(nullptr, nullptr, [] {
      current->state_ = new State(current->state_->threads);
      in_loop = false;   // the loop that was asking when this thread forked is the parent's
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

int ThreadPool::threads_set() const { return state_->threads; }

int ThreadPool::threads() const { return threads_of_call ? threads_of_call : threads_set(); }

void ThreadPool::set_threads(int count) {
  state_->threads = std::clamp(count, 1, State::most_threads);
  if (in_loop) return;   // this thread has the lock; the next loop parks whom it does not need
  const std::lock_guard<std::mutex> lock(state_->owner);
  state_->obtainable = State::most_threads;
  if (int(state_->workers.size()) >= state_->threads) state_->join();
}

void ThreadPool::run_erased(int units, Function function, void* context) {
  if (units <= 0) return;
  State& s = *state_;
  const int count = threads();
  if (count == 1 || units == 1 || in_loop || !s.owner.try_lock()) {
    function(context, 0, units, 0);
    return;
  }
  std::exception_ptr failure;
  {
    const std::lock_guard<std::mutex> lock(s.owner, std::adopt_lock);
    run_owned(count, units, function, context);
    if (s.failed.exchange(false)) failure = std::exchange(s.failure, nullptr);
  }
  if (failure) std::rethrow_exception(std::move(failure));
}

void ThreadPool::run_owned(int wanted, int units, Function function, void* context) {
  State& s = *state_;
  while (int(s.workers.size()) + 1 < std::min(wanted, s.obtainable)) {
    const int thread = int(s.workers.size()) + 1;
    try {
      s.workers.emplace_back([&s, thread] { s.loop(thread); });
    } catch (const std::system_error&) {
      s.obtainable = thread;
    }
  }
  for (int started; (started = s.started.load()) < int(s.workers.size());) s.started.wait(started);
  const int threads = std::min(wanted, int(s.workers.size()) + 1);
  // About four chunks a thread, so that a thread that is held up costs little.
  const int grain = units / (threads * 4) > 1 ? units / (threads * 4) : 1;
  s.function.store(function, std::memory_order_relaxed);
  s.context.store(context, std::memory_order_relaxed);
  s.grain.store(grain, std::memory_order_relaxed);
  s.done.store(0, std::memory_order_relaxed);
  s.set_active(threads);
  int chunks = 0;
  for (int t = 0; t < threads; t++) {
    const int begin = int(int64_t(units) * t / threads), end = int(int64_t(units) * (t + 1) / threads);
    const int own = (end - begin + grain - 1) / grain;
    s.ranges[t].begin.store(begin, std::memory_order_relaxed);
    s.ranges[t].end.store(end, std::memory_order_relaxed);
    s.ranges[t].ticket.store(uint64_t(own) << 32, std::memory_order_release);
    chunks += own;
  }
  s.wake();
  in_loop = true;
  s.work(0);
  for (int spins = 0; s.done.load(std::memory_order_acquire) < chunks; spins++) {
    pause();
    if (spins > spins_before_yield) std::this_thread::yield();
  }
  in_loop = false;
  if (const auto flags = s.raised.load(std::memory_order_relaxed)) {
    s.raised.store(0, std::memory_order_relaxed);
    float_exceptions::add(flags);
  }
}

}   // namespace chainrule
