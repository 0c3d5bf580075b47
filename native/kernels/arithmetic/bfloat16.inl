// bfloat16: the upper half of a float32, rounded to the nearest, ties to even. A pair is two of them in 32 bits, the first in
// the low half, which lie one behind the other along the sum of a product (docs/decisions/0021-bfloat16.md).
//
// Read `to_bfloat16`, the rounding; `dot_bfloat16`, two products and their sum, by an instruction or by shifts and masks, to
// which float32 products of such numbers are exact; `add_product`, which lets one loop take numbers or pairs.

using Pair = uint32_t;
template <class F>
constexpr bool is_pair = false;
template <>
constexpr bool is_pair<Pair> = true;
template <class F>
constexpr int terms_of = is_pair<F> ? 2 : 1;   // of a sum, in one lane of a factor; runs (fold_terms) count pairs

// The rounded numbers' bits, in the low halves. NaN stays NaN; what is nearer to 2^128 than to the largest becomes infinite.
inline Vec<Pair> to_bfloat16(Vec<float> v) {
  const Vec<Pair> bits = (Vec<Pair>)v;
  const Vec<Pair> rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return v != v ? (bits >> 16) | 0x40 : rounded;
}
inline Vec<Pair> pair_of(Vec<float> first, Vec<float> second) { return to_bfloat16(first) | to_bfloat16(second) << 16; }
// `rows` vectors two by two, zero behind the last.
inline void pairs_of_rows(const float* from, int rows, Pair* to) {
  constexpr int L = lanes<float>;
  for (int k = 0; k < rows / 2; k++, from += 2 * L, to += L) store(to, pair_of(load(from), load(from + L)));
  if (rows % 2) store(to, pair_of(load(from), Vec<float>{}));
}
// Of each of `rows` vectors the lanes two by two.
inline void halves_of_rows(const float* from, int rows, Pair* to) {
  constexpr int L = lanes<float>;
  typedef uint16_t Halves __attribute__((vector_size(CHAINRULE_BYTES / 2), aligned(CHAINRULE_BYTES / 2)));
  for (int k = 0; k < rows; k++, from += L, to += L / 2)
    *reinterpret_cast<Halves*>(to) = convert<Halves>(to_bfloat16(load(from)));
}
// One number's bits.
inline Pair half_of(float v) { return to_bfloat16(broadcast<float>(v))[0]; }

// Where pairs lie in place of numbers.
template <class F, class T>
inline const F* as(const T* p) {
  return reinterpret_cast<const F*>(p);
}
template <class F, class T>
inline F* as(T* p) {
  return reinterpret_cast<F*>(p);
}

// The instruction takes subnormal numbers for 0, sums the second product first, and raises no exceptions.
inline Vec<float> dot_bfloat16(Vec<float> sum, Vec<Pair> a, Vec<Pair> b) {
#ifdef __AVX512BF16__
#if defined(__clang__)
  typedef __bf16 Halves __attribute__((vector_size(64)));
  return (Vec<float>)__builtin_ia32_dpbf16ps_512(sum, (Halves)a, (Halves)b);
#elif __GNUC__ < 13
  typedef short Halves __attribute__((vector_size(64)));
  return (Vec<float>)__builtin_ia32_dpbf16ps_v16sf(sum, (Halves)a, (Halves)b);
#else
  typedef __bf16 Halves __attribute__((vector_size(64)));
  return (Vec<float>)__builtin_ia32_dpbf16ps_v16sf(sum, (Halves)a, (Halves)b);
#endif
#else
  const Vec<Pair> upper = broadcast<Pair>(0xffff0000u);
  sum += (Vec<float>)(a << 16) * (Vec<float>)(b << 16);
  return sum + (Vec<float>)(a & upper) * (Vec<float>)(b & upper);
#endif
}

// sum += a · b
template <class F, class Sum, class Factor>
inline void add_product(Sum& sum, Factor a, Factor b) {
  if constexpr (is_pair<F>) sum = dot_bfloat16(sum, a, b);
  else sum += a * b;
}

// `floor`, with an exception raised where a sum of pairs has gone beyond the range, which the instruction does not tell; of an
// infinite sum it is NaN, below which `at_least` leaves the sum as it is.
template <class F, class Vector>
inline Vector watched(Vector floor, Vector sum) {
  if constexpr (is_pair<F>) return floor + (sum - sum);
  else return floor;
}
