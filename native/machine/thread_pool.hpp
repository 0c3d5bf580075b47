// A small pool of threads for parallel loops of a few microseconds. It does not nest, keeps no queue, and never decides
// what is computed: a loop is cut into units whose results do not depend on who runs them, so the number of threads
// never changes a bit.
#pragma once
#include <cstdint>
#include <type_traits>

namespace chainrule {

class ThreadPool {
 public:
  static ThreadPool& instance();   // rebuilt after fork: threads do not survive it

  int threads_set() const;       // for the process: the environment's choice, or the last of set_threads
  int threads() const;           // of the calling thread's loops: the number of its call, else the one set
  void set_threads(int count);   // 1..256

  // body(begin, end, thread) over [0, units), in chunks claimed one by one. Runs on the calling thread alone where another
  // Python thread holds the pool, or where `threads()` is 1.
  template <class Body>
  void run(int units, Body&& body) {
    run_erased(
        units,
        [](void* context, int begin, int end, int thread) {
          (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end, thread);
        },
        &body);
  }

 private:
  using Function = void (*)(void*, int, int, int);
  ThreadPool();
  void run_erased(int units, Function function, void* context);
  void run_owned(int wanted, int units, Function function, void* context);   // by the thread that owns the pool
  struct State;
  State* state_;
};

// A number of threads for the loops that the calling thread starts between begin and end, whatever other threads set
// meanwhile. Calls lie within each other: the innermost decides.
class ThreadsOfCall {
 public:
  explicit ThreadsOfCall(int count);
  void begin();
  void end();

 private:
  int count_, before_ = 0;
};

// What the process may use: OMP_NUM_THREADS, the affinity mask and the cgroup quota, whichever is least.
int default_threads();

}   // namespace chainrule
