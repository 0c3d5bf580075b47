// Loops over units: on all threads where that pays, and in pieces between which the caller is asked.
#pragma once
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>

#include "../machine/thread_pool.hpp"
#include "arena.hpp"

namespace chainrule {

// A loop below this many vector products (about 2 µs) is not worth waking a thread for.
constexpr int64_t least_parallel_work = 6000;

// Set while a step runs on the calling thread alone (pace.hpp).
inline thread_local bool serial_loops = false;

// A loop above this many vector products (a few milliseconds) lets the calling thread ask for Ctrl-C between its pieces:
// 32, and more where they would have more than so many (about 20 ms).
constexpr int64_t least_interruptible_work = 10000000, most_work_of_a_piece = 20000000;
constexpr int64_t least_pieces = 32;

// What the calling thread asks between the pieces of long loops while this lives; it may throw, and ends the loop.
inline thread_local const std::function<void()>* between_pieces = nullptr;
class PieceByPiece {
 public:
  explicit PieceByPiece(const std::function<void()>& ask) : before_(between_pieces) { between_pieces = ask ? &ask : nullptr; }
  ~PieceByPiece() { between_pieces = before_; }
  PieceByPiece(const PieceByPiece&) = delete;
  PieceByPiece& operator=(const PieceByPiece&) = delete;

 private:
  const std::function<void()>* before_;
};

template <class Body>
void parallel(int units, int64_t work, Body&& body) {
  if (work < least_parallel_work || serial_loops) {
    if (units > 0) body(0, units, 0);
  } else if (work < least_interruptible_work || !between_pieces) {
    ThreadPool::instance().run(units, body);
  } else {
    const std::function<void()>& ask = *between_pieces;
    const int64_t pieces = std::max(least_pieces, (work + most_work_of_a_piece - 1) / most_work_of_a_piece);
    const int piece = std::max(1, int(units / pieces));
    ThreadPool::instance().run(units, [&](int begin, int end, int thread) {
      if (thread != 0) return body(begin, end, thread);
      for (; begin < end; begin += piece) {
        body(begin, std::min(begin + piece, end), thread);
        ask();
      }
    });
  }
}

// Room that only lives within one unit; every thread keeps its own and it only grows, so a running plan allocates nothing.
template <class T>
T* thread_scratch(size_t count) {
  struct Room {
    void* data = nullptr;
    size_t bytes = 0;
    ~Room() { std::free(data); }
  };
  static thread_local Room room;
  const size_t bytes = (count * sizeof(T) + Arena::margin + 63) / 64 * 64;
  if (bytes > room.bytes) {
    std::free(room.data);
    room.data = std::aligned_alloc(64, bytes);
    room.bytes = room.data ? bytes : 0;
    if (!room.data) throw std::bad_alloc();
    std::memset(room.data, 0, bytes);
  }
  return static_cast<T*>(room.data);
}

}   // namespace chainrule
