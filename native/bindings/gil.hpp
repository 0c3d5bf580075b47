// The GIL, taken and given up by scopes that know when the interpreter is going down: a thread that asks for the GIL then is
// ended by CPython in the middle of C++ frames, which aborts the process. Such a thread sleeps here instead; the process ends
// without it.
#pragma once
#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "../machine/float_exceptions.hpp"

namespace chainrule {

class Interpreter {
 public:
  // To be registered with Python's atexit, which runs before the interpreter is marked as finalizing.
  static void leave() {
    leaving_thread_ = std::this_thread::get_id();
    leaving_ = true;
    // Those that hold or await the GIL get it once more, and sleep the next time.
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    PyThreadState* state = PyEval_SaveThread();
    while (inside_ > 0 && std::chrono::steady_clock::now() < patience)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
  }
  static void enter() {
    inside_++;
    if (!leaving_ || std::this_thread::get_id() == leaving_thread_) return;
    inside_--;
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  static void exit() { inside_--; }

 private:
  static inline std::atomic<bool> leaving_{false};
  static inline std::atomic<int> inside_{0};
  static inline std::thread::id leaving_thread_{};
};

// Holds the GIL within its scope; NumPy clears the exceptions that the loops around have raised, so they are kept.
class WithGil {
 public:
  WithGil() {
    Interpreter::enter();
    state_ = PyGILState_Ensure();
  }
  ~WithGil() {
    PyGILState_Release(state_);
    Interpreter::exit();
  }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  const KeptFloatExceptions kept_;
  PyGILState_STATE state_;
};

// Gives the GIL up within its scope, and leaves the thread's floating-point exceptions to Python as they were.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    Interpreter::enter();
    PyEval_RestoreThread(state_);
    Interpreter::exit();
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  const KeptFloatExceptions kept_;
  PyThreadState* state_;
};

}   // namespace chainrule
