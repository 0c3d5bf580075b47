// The sticky floating-point exceptions of a thread: what a loop has raised tells whether a number in it went beyond the range,
// even where what came out is finite (σ of an infinite z). The hardware keeps them, so that watching costs two reads of a
// register a pass. Not <cfenv>, which on x86-64 reads the x87 unit too: the kernels use none of it.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace chainrule {

namespace float_exceptions {

#if defined(__x86_64__)
using Word = uint32_t;
constexpr Word invalid = 1, divided_by_zero = 4, overflow = 8, sticky = 0x3f;   // of MXCSR
inline Word read() { return _mm_getcsr() & sticky; }
inline void write(Word flags) { _mm_setcsr((_mm_getcsr() & ~sticky) | flags); }
#elif defined(__aarch64__)
using Word = uint64_t;
constexpr Word invalid = 1, divided_by_zero = 2, overflow = 4, sticky = 0x9f;   // of FPSR
inline Word word() {
  Word w;
  asm volatile("mrs %0, fpsr" : "=r"(w)::"memory");
  return w;
}
inline Word read() { return word() & sticky; }
inline void write(Word flags) {
  const Word w = (word() & ~sticky) | flags;
  asm volatile("msr fpsr, %0" ::"r"(w) : "memory");
}
#endif
// Underflow and rounding are not asked for.
constexpr Word beyond = invalid | divided_by_zero | overflow;

inline void add(Word flags) { write(read() | flags); }

}   // namespace float_exceptions

// Leaves the calling thread's exceptions as they were, whatever is raised or cleared while it lives.
class KeptFloatExceptions {
 public:
  KeptFloatExceptions() : before_(float_exceptions::read()) {}
  ~KeptFloatExceptions() { float_exceptions::write(before_); }
  KeptFloatExceptions(const KeptFloatExceptions&) = delete;
  KeptFloatExceptions& operator=(const KeptFloatExceptions&) = delete;

 private:
  const float_exceptions::Word before_;
};

// Whether a number went beyond the range in this thread, or in its loops on other threads, since this was made.
class FloatWatch {
 public:
  FloatWatch() { float_exceptions::write(0); }
  bool raised() const { return float_exceptions::read() & float_exceptions::beyond; }

 private:
  const KeptFloatExceptions kept_;
};

}   // namespace chainrule
