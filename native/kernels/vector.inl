// The vector type of this level: one sample per lane. Included inside namespace chainrule::LEVEL.

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float vector __attribute__((vector_size(CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
  typedef float unaligned __attribute__((vector_size(CHAINRULE_BYTES), aligned(4)));
  typedef int32_t mask __attribute__((vector_size(CHAINRULE_BYTES)));
  typedef int32_t integer;
};
template <>
struct Lanes<double> {
  typedef double vector __attribute__((vector_size(CHAINRULE_BYTES), aligned(CHAINRULE_BYTES)));
  typedef double unaligned __attribute__((vector_size(CHAINRULE_BYTES), aligned(8)));
  typedef int64_t mask __attribute__((vector_size(CHAINRULE_BYTES)));
  typedef int64_t integer;
};
template <class T>
using Vec = typename Lanes<T>::vector;
template <class T>
using Mask = typename Lanes<T>::mask;
template <class T>
constexpr int lanes = CHAINRULE_BYTES / int(sizeof(T));

template <class T>
inline Vec<T> broadcast(T s) {
  return Vec<T>{} + s;
}
template <class T>
inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const Vec<T>*>(p);
}
template <class T>
inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<Vec<T>*>(p) = v;
}
// max that keeps NaN in `a`: a NaN activation must reach the loss, where it is reported.
template <class T>
inline Vec<T> at_least(Vec<T> a, Vec<T> floor) {
  return floor > a ? floor : a;
}

// Sum of the lanes in a fixed order (halves), so the same bits come out on every run.
template <class T>
inline T sum_lanes(Vec<T> v) {
  T part[lanes<T>];
  __builtin_memcpy(part, &v, sizeof v);
  for (int width = lanes<T> / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) part[i] += part[i + width];
  return part[0];
}

// Transposes a lanes x lanes square: row r of `in` (stride in_step) becomes column r of `out`.
template <class T>
inline void transpose(const T* in, ptrdiff_t in_step, T* out, ptrdiff_t out_step) {
  constexpr int n = lanes<T>;
  Vec<T> v[n], u[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) v[i] = *reinterpret_cast<const typename Lanes<T>::unaligned*>(in + i * in_step);
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
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) *reinterpret_cast<typename Lanes<T>::unaligned*>(out + i * out_step) = v[i];
}
