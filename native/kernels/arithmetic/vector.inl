// The vector type of this level: one sample per lane. Included inside namespace chainrule::LEVEL.
//
// Read the types and loads first; sums over lanes and `LongSum` next; `transpose` last, the way between rows and lanes.
// Shapes: a vector is [lane], a lane is a sample; 4 to 16 floats, half as many doubles.

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float vector __attribute__((vector_size(CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
  typedef float unaligned __attribute__((vector_size(CHAINRULE_BYTES), aligned(4)));
  typedef int32_t mask __attribute__((vector_size(CHAINRULE_BYTES)));
  typedef int32_t integer;
  typedef double wide __attribute__((vector_size(2 * CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
};
template <>
struct Lanes<double> {
  typedef double vector __attribute__((vector_size(CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
  typedef double unaligned __attribute__((vector_size(CHAINRULE_BYTES), aligned(8)));
  typedef int64_t mask __attribute__((vector_size(CHAINRULE_BYTES)));
  typedef int64_t integer;
  typedef vector wide;
};
// Two bfloat16 each (bfloat16.inl), as many as there are lanes of float.
template <>
struct Lanes<uint32_t> {
  typedef uint32_t vector __attribute__((vector_size(CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
};
template <class T>
using Vec = typename Lanes<T>::vector;
template <class T>
using Mask = typename Lanes<T>::mask;
template <class T>
using Wide = typename Lanes<T>::wide;   // every lane in double
template <class T>
constexpr int lanes = CHAINRULE_BYTES / int(sizeof(T));

// s − 0 is s, whatever its sign, and no operation: a broadcast out of memory, or within the product that takes it. (0 + s is an
// addition: it makes 0 of −0.)
template <class T>
inline Vec<T> broadcast(T s) {
  return s - Vec<T>{};
}
// What a sum begins with. A bias of −0 counts as 0: where all products are −0, or left out as those of padding are, the sign
// would be that of the kernel that runs, which depends on how many samples there are.
template <class T>
inline Vec<T> from_bias(Vec<T> b) {
  return b + T(0);
}
template <class T>
inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const Vec<T>*>(p);
}
template <class T>
inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<Vec<T>*>(p) = v;
}
template <class T>
inline Wide<T> widen(Vec<T> v) {
  return __builtin_convertvector(v, Wide<T>);
}
template <class T>
inline Vec<T> narrow(Wide<T> v) {
  return __builtin_convertvector(v, Vec<T>);
}
template <class To, class From>
inline To convert(From v) {
  return __builtin_convertvector(v, To);
}
template <class T>
inline void store_wide(double* p, Wide<T> v) {
  *reinterpret_cast<Wide<T>*>(p) = v;
}
template <class T>
inline Wide<T> load_wide(const double* p) {
  return *reinterpret_cast<const Wide<T>*>(p);
}
// sums += v. By lanes, not as a Wide: where that is two registers, GCC 12 moves sums kept in one through memory, 64 bits at a
// time (AVX2: statistics of normalisations took nine times as long).
template <class V>
inline void add_lanes(double* sums, V v) {
#pragma GCC unroll 16
  for (int i = 0; i < int(sizeof(V) / sizeof(v[0])); i++) sums[i] += v[i];
}
// sums[i] += v[i], or = if fresh, over `count` numbers, which are whole vectors: a register of doubles at a time, for the same
// reason (the gradient of a 5x5 convolution took twice as long).
template <class T>
inline void add_widened(double* sums, const T* v, ptrdiff_t count, bool fresh) {
  constexpr int n = lanes<double>;
  typedef T part __attribute__((vector_size(n * sizeof(T)), aligned(n * sizeof(T))));
  for (ptrdiff_t i = 0; i < count; i += n) {
    const Vec<double> wide = __builtin_convertvector(*reinterpret_cast<const part*>(v + i), Vec<double>);
    store(sums + i, fresh ? wide : load(sums + i) + wide);
  }
}
// max that keeps NaN in `a`: a NaN activation must reach the loss, where it is reported.
template <class T>
inline Vec<T> at_least(Vec<T> a, Vec<T> floor) {
  return floor > a ? floor : a;
}

// Sum of the lanes in a fixed order (halves), so the same bits come out on every run. Shuffles only: an address taken here
// would push the caller's accumulators out of the registers (measured: the weight gradient took 2.5 times as long).
template <class T>
inline T sum_lanes(Vec<T> v) {
#pragma GCC unroll 4
  for (int width = lanes<T> / 2; width > 0; width /= 2) {
    Mask<T> rotated;
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; i++) rotated[i] = (i + width) % lanes<T>;
    v += __builtin_shuffle(v, rotated);
  }
  return v[0];
}

template <class T>
inline bool all_lanes(Mask<T> m) {
  typename Lanes<T>::integer every = -1;
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; i++) every &= m[i];
  return every;
}

// The sums of `lanes` vectors, as one vector: half the shuffles of as many sum_lanes. v is consumed.
template <class T>
inline Vec<T> sum_each(Vec<T> (&v)[lanes<T>]) {
  constexpr int n = lanes<T>;
#pragma GCC unroll 4
  for (int width = n / 2, count = n; width > 0; width /= 2, count /= 2) {
    // In every run of 2·width lanes: the first half from one vector, the second from the other; then both halves added.
    Mask<T> low, high;
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) {
      const int run = i / (2 * width) * 2 * width, at = i % (2 * width);
      low[i] = at < width ? run + at : n + run + at - width;
      high[i] = at < width ? run + at + width : n + run + at;
    }
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; i++)
      v[i] = __builtin_shuffle(v[i], v[i + count / 2], low) + __builtin_shuffle(v[i], v[i + count / 2], high);
  }
  return v[0];
}

// Of the sums that a run (fold_terms, api.hpp) is taken in side by side, each has as many terms.
constexpr int run_terms = fold_terms / 8;

// A sum of any length: float32 within a run, double over the runs.
template <class T>
struct LongSum {
  Vec<T> run{};
  Wide<T> total{};
  int terms = 0;
  void add(Vec<T> v) {
    run += v;
    if (++terms == run_terms) fold();
  }
  void fold() {
    total += widen<T>(run);
    run = Vec<T>{}, terms = 0;
  }
  Wide<T> wide() {
    fold();
    return total;
  }
  Vec<T> value() { return narrow<T>(wide()); }
};

// √Σ v² of every lane, over all v that each(body) hands to its body. In double, and where even there the squares overflow or
// vanish once more with v scaled.
template <class T, class F>
inline Wide<T> lane_norms(F&& each) {
  Wide<T> sum{};
  each([&](Vec<T> v) { sum += widen<T>(v) * widen<T>(v); });
  Wide<T> norm;
  for (int i = 0; i < lanes<T>; i++) norm[i] = __builtin_sqrt(sum[i]);
  if constexpr (sizeof(T) == 8)
    for (int i = 0; i < lanes<T>; i++) {
      if (sum[i] > least_squares && sum[i] < most_squares) continue;
      const double scale = sum[i] <= least_squares ? scale_up : scale_down;
      double scaled = 0;
      each([&](Vec<T> v) { scaled += double(v[i]) * scale * (double(v[i]) * scale); });
      norm[i] = __builtin_sqrt(scaled) / scale;
    }
  return norm;
}

// Transposes a lanes x lanes square in registers: v[i] of lane j becomes v[j] of lane i.
template <class T>
inline void turn(Vec<T> (&v)[lanes<T>]) {
  constexpr int n = lanes<T>;
  Vec<T> u[n];
  // Each stage interleaves row i with row i + n/2; log2(n) such perfect shuffles are the transpose.
#pragma GCC unroll 4
  for (int stage = 1; stage < n; stage *= 2) {
    Mask<T> low, high;
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; i++) {
      low[2 * i] = i, low[2 * i + 1] = n + i;
      high[2 * i] = n / 2 + i, high[2 * i + 1] = n + n / 2 + i;
    }
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; i++) {
      u[2 * i] = __builtin_shuffle(v[i], v[i + n / 2], low);
      u[2 * i + 1] = __builtin_shuffle(v[i], v[i + n / 2], high);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) v[i] = u[i];
  }
}
template <class T>
inline Vec<T> load_unaligned(const T* p) {
  return *reinterpret_cast<const typename Lanes<T>::unaligned*>(p);
}
template <class T>
inline void store_unaligned(T* p, Vec<T> v) {
  *reinterpret_cast<typename Lanes<T>::unaligned*>(p) = v;
}
// Row r of `in` (stride in_step) becomes column r of `out`.
template <class T>
inline void transpose(const T* in, ptrdiff_t in_step, T* out, ptrdiff_t out_step) {
  constexpr int n = lanes<T>;
  Vec<T> v[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) v[i] = load_unaligned<T>(in + i * in_step);
  turn<T>(v);
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) *reinterpret_cast<typename Lanes<T>::unaligned*>(out + i * out_step) = v[i];
}
// The same of vectors one behind the other, of which `present` are there: the others are zero.
template <class T>
inline void transpose_present(const T* in, int present, T* out) {
  constexpr int n = lanes<T>;
  Vec<T> v[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) v[i] = i < present ? load(in + i * n) : Vec<T>{};
  turn<T>(v);
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) store(out + i * n, v[i]);
}
