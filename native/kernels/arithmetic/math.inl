// exp, log, log1p, tanh, erf, cos, sin per lane, by Taylor and Chebyshev series; no table, no branch. Stated errors are
// relative, on the stated range; tests/engine/test_activations.py holds the activations built on them against decimal
// arithmetic (f: 3 ulp, GELU 1.25 eps·max(1, |z|); f': 1.5 eps absolute). NaN in gives NaN out.
//
// Read `exp` and `log`, on which the others rest; then tanh, expm1, softplus, the normal distribution (erf.inl); `turned`, of
// which cos and sin are made.
// Shapes: everything takes and gives one vector [lane].

template <class T>
constexpr bool is_float = sizeof(T) == 4;

// Σ_{i} c[i] u^i by Horner.
template <class T, int N>
inline Vec<T> polynomial(Vec<T> u, const double (&c)[N], int terms) {
  Vec<T> sum = broadcast<T>(T(c[terms - 1]));
  for (int i = terms - 2; i >= 0; i--) sum = sum * u + T(c[i]);
  return sum;
}

constexpr double inverse_factorial[] = {1.0,
                                        1.0,
                                        1.0 / 2,
                                        1.0 / 6,
                                        1.0 / 24,
                                        1.0 / 120,
                                        1.0 / 720,
                                        1.0 / 5040,
                                        1.0 / 40320,
                                        1.0 / 362880,
                                        1.0 / 3628800,
                                        1.0 / 39916800,
                                        1.0 / 479001600,
                                        1.0 / 6227020800.0,
                                        1.0 / 87178291200.0,
                                        1.0 / 1307674368000.0,
                                        1.0 / 20922789888000.0,
                                        1.0 / 355687428096000.0};

// 2^n for n within the exponent's range.
template <class T>
inline Vec<T> power_of_two(Mask<T> n) {
  constexpr int bias = is_float<T> ? 127 : 1023, shift = is_float<T> ? 23 : 52;
  const Mask<T> bits = (n + bias) << shift;
  return reinterpret_cast<Vec<T>>(bits);
}

// x as n ln 2 + r with the whole number n nearest: r and n.
template <class T>
inline Vec<T> reduced(Vec<T> x, Mask<T>& whole) {
  constexpr double log2_e = 1.4426950408889634074;
  constexpr double ln2_high = is_float<T> ? 0.693359375 : 0.693147180369123816490;
  constexpr double ln2_low = is_float<T> ? -2.12194440e-4 : 1.90821492927058770002e-10;
  constexpr double round = is_float<T> ? 12582912.0 : 6755399441055744.0;   // 1.5 * 2^mantissa
  const Vec<T> shifted = x * T(log2_e) + T(round);
  const Vec<T> n = shifted - T(round);
  // The integer n is in the low bits of `shifted`.
  whole = reinterpret_cast<Mask<T>>(shifted) - reinterpret_cast<Mask<T>>(broadcast<T>(T(round)));
  return (x - n * T(ln2_high)) - n * T(ln2_low);
}
// e^r of them.
template <class T>
inline Vec<T> exp_reduced(Vec<T> x, Mask<T>& whole) {
  const Vec<T> r = reduced<T>(x, whole);
  return polynomial<T>(r, inverse_factorial, is_float<T> ? 8 : 13);   // remainder 5e-9, 2e-16 at |r| = ln2/2
}

// exp: 2.5 ulp where the result is normal; 0 below, inf above.
template <class T>
inline Vec<T> exp(Vec<T> x) {
  constexpr double high = is_float<T> ? 89.0 : 710.0, low = is_float<T> ? -104.0 : -746.0;
  x = x > T(high) ? broadcast<T>(T(high)) : x;
  x = x < T(low) ? broadcast<T>(T(low)) : x;
  Mask<T> whole;
  const Vec<T> value = exp_reduced<T>(x, whole);
  const Mask<T> half = whole >> 1;   // two halves keep 2^n in range for subnormal and near-overflow results
  return value * power_of_two<T>(half) * power_of_two<T>(whole - half);
}

// e^x of numbers that are not above 0, −inf among them: 0 in place of what is no normal number.
template <class T>
inline Vec<T> exp_below(Vec<T> x) {
  constexpr double low = is_float<T> ? -87.0 : -708.0;
  const Mask<T> vanishes = x < T(low);
  Mask<T> whole;
  const Vec<T> value = exp_reduced<T>(vanishes ? broadcast<T>(T(low)) : x, whole);
  return vanishes ? Vec<T>{} : value * power_of_two<T>(whole);
}

constexpr double inverse_odd[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17,
                                  1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27, 1.0 / 29, 1.0 / 31, 1.0 / 33, 1.0 / 35};

// 2 atanh(s) = 2 s (1 + s²/3 + s⁴/5 + ...)
template <class T>
inline Vec<T> twice_atanh(Vec<T> s, int terms) {
  return T(2) * s * polynomial<T>(s * s, inverse_odd, terms);
}

// log of a positive normal number: 2.5 ulp.
template <class T>
inline Vec<T> log(Vec<T> x) {
  constexpr int bias = is_float<T> ? 127 : 1023, shift = is_float<T> ? 23 : 52;
  typedef typename Lanes<T>::integer Int;
  constexpr Int mantissa = (Int(1) << shift) - 1, one = Int(bias) << shift;
  const Mask<T> bits = reinterpret_cast<Mask<T>>(x);
  Mask<T> exponent = (bits >> shift) - bias;
  Vec<T> m = reinterpret_cast<Vec<T>>((bits & mantissa) | one);   // [1, 2)
  const Mask<T> big = m > T(1.41421356237309504880);
  m = big ? m * T(0.5) : m;
  exponent -= big;   // true is -1
  const Vec<T> e = __builtin_convertvector(exponent, Vec<T>);
  const Vec<T> y = twice_atanh<T>((m - T(1)) / (m + T(1)), is_float<T> ? 5 : 12) + e * T(0.69314718055994530942);
  return x == x ? y : x;
}

// log(1 + u) for 0 <= u <= 1: 2 ulp, exact to first order at 0.
template <class T>
inline Vec<T> log1p_unit(Vec<T> u) {
  return twice_atanh<T>(u / (u + T(2)), is_float<T> ? 8 : 18);
}

template <class T>
inline Vec<T> absolute(Vec<T> x) {
  return x < T(0) ? -x : x;
}

// log of any number: 2.5 ulp; subnormal numbers are scaled first.
template <class T>
inline Vec<T> log_any(Vec<T> x) {
  constexpr double least = is_float<T> ? 1.1754943508222875e-38 : 2.2250738585072014e-308;
  constexpr double scale = is_float<T> ? 16777216.0 : 18014398509481984.0;   // 2^24, 2^54
  constexpr double log_scale = is_float<T> ? 16.635532333438686 : 37.429947750237044;
  const Mask<T> small = x < T(least);
  Vec<T> y = log<T>(small ? x * T(scale) : x);
  y = small ? y - T(log_scale) : y;
  const Vec<T> infinity = broadcast<T>(T(__builtin_inf()));
  y = x == infinity ? infinity : y;
  y = x == T(0) ? -infinity : y;
  return x < T(0) ? broadcast<T>(T(__builtin_nan(""))) : y;
}

// log(1 + x): 3 ulp. Near 0 by the series of atanh; elsewhere the rounding of u = 1 + x is made good.
template <class T>
inline Vec<T> log1p_any(Vec<T> x) {
  const Mask<T> close = (x > T(-0.29289321881345247560)) & (x < T(0.41421356237309504880));
  const Vec<T> near_x = close ? x : Vec<T>{};
  const Vec<T> near = twice_atanh<T>(near_x / (near_x + T(2)), is_float<T> ? 5 : 12);
  const Vec<T> u = T(1) + x, rest = (x - (u - T(1))) / u;
  const Vec<T> far = log_any<T>(u) + (rest == rest ? rest : Vec<T>{});                  // no rest at 0 and infinity
  const Mask<T> itself = (x != x) | (absolute<T>(x) < T(is_float<T> ? 1e-8 : 1e-17));   // halves of subnormal numbers are lost
  return itself ? x : (close ? near : far);
}

template <class T>
inline Vec<T> sigmoid(Vec<T> z) {
  const Vec<T> e = exp<T>(-absolute<T>(z));
  const Vec<T> r = T(1) / (T(1) + e);
  return z < T(0) ? e * r : r;
}

// tanh: E/(E + 2) of E = e^{2|x|} − 1 = 2^n (e^r − 1) + (2^n − 1), which keeps its digits near 0: 2.4 ulp.
template <class T>
inline Vec<T> tanh(Vec<T> x) {
  constexpr double most = is_float<T> ? 10.0 : 20.0;   // whose tanh rounds to 1
  constexpr int terms = is_float<T> ? 6 : 12;          // remainder 1e-8, 1e-17 of e^r − 1
  const Mask<T> sign = reinterpret_cast<Mask<T>>(broadcast<T>(T(-0.0)));
  const Vec<T> size = reinterpret_cast<Vec<T>>(reinterpret_cast<Mask<T>>(x) & ~sign);
  Mask<T> whole;
  const Vec<T> r = reduced<T>(T(2) * (size > T(most) ? broadcast<T>(T(most)) : size), whole);
  Vec<T> sum = broadcast<T>(T(inverse_factorial[terms + 1]));
  for (int i = terms; i >= 2; i--) sum = sum * r + T(inverse_factorial[i]);
  const Vec<T> power = power_of_two<T>(whole), E = (r + r * r * sum) * power + (power - T(1));
  const Vec<T> y = E / (E + T(2));
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Mask<T>>(y) | (reinterpret_cast<Mask<T>>(x) & sign));
}

// e^x − 1: 4 ulp. Its Taylor series up to 0.7, the difference beyond.
template <class T>
inline Vec<T> expm1(Vec<T> x) {
  constexpr int terms = is_float<T> ? 10 : 17;
  const Mask<T> close = absolute<T>(x) < T(0.7);
  const Vec<T> near_x = close ? x : Vec<T>{};
  Vec<T> sum = broadcast<T>(T(inverse_factorial[terms]));
  for (int i = terms - 1; i >= 1; i--) sum = sum * near_x + T(inverse_factorial[i]);
  return close ? sum * near_x : exp<T>(x) - T(1);
}

template <class T>
inline Vec<T> softplus(Vec<T> z) {
  return at_least<T>(z, Vec<T>{}) + log1p_unit<T>(exp<T>(-absolute<T>(z)));
}

#include "erf.inl"

// Φ, the normal distribution function, and e^{−z²/2}, of which its density is a multiple: GELU(z) = z Φ(z), GELU' = Φ(z) + z
// φ(z). In float32 both of one exponential: Φ(−a) = e^{−a²/2} R(s), R a Chebyshev series in 1/(1 + a/4) on [0, 9] of 50 digits,
// written as a polynomial in s, which runs from −1 to 1. Absolute error 4e-10 and rounding; 0 beyond 9, where it is 1e-19.
template <class T>
struct Normal {
  Vec<T> distribution, bell;
};
template <class T>
inline Normal<T> normal(Vec<T> z) {
  if constexpr (!is_float<T>) return {T(0.5) * (T(1) + erf<T>(z * T(0.70710678118654752440))), exp<T>(T(-0.5) * z * z)};
  else {
    constexpr double limit = 9;
    constexpr double r[] = {0.161005462757,   0.18781385876,      0.100940622161,    0.0390896698819,  0.0100850765209,
                            0.00125983402315, -0.000132884371092, -6.56224391503e-5, 1.11743840492e-6, 2.86563419397e-6};
    const Vec<T> size = absolute<T>(z);
    const Mask<T> beyond = size > T(limit);
    const Vec<T> a = beyond ? broadcast<T>(T(limit)) : size;
    Mask<T> whole;
    const Vec<T> value = exp_reduced<T>(T(-0.5) * a * a, whole), bell = beyond ? Vec<T>{} : value * power_of_two<T>(whole);
    const Vec<T> s = T(26.0 / 9) / (T(1) + T(0.25) * a) - T(17.0 / 9), tail = bell * polynomial<T>(s, r, 10);
    return {z < T(0) ? tail : T(1) - tail, bell};
  }
}

template <class T>
inline Vec<T> square_root(Vec<T> v) {
  T part[lanes<T>] __attribute__((aligned(CHAINRULE_BYTES)));
  store(part, v);
  for (int i = 0; i < lanes<T>; i++)
    part[i] = is_float<T> ? T(__builtin_sqrtf(float(part[i]))) : T(__builtin_sqrt(double(part[i])));
  return load(part);
}

// √v of a v that is not negative, where a division follows: 1 ulp. Of eight doubles a root takes 24 cycles in which nothing can
// be divided, and 16 more the division; Newton's steps for 1/√v, and the last one for √v itself, take place beside that. (Of
// floats it is 12 and 10, and the steps take as long.)
// normal: v is 0 or no smaller than the least normal number (an Adam step of 7,510 doubles on Zen 4: 10.2 -> 9.0 µs).
template <class T, bool normal = false>
inline Vec<T> root_beside_division(Vec<T> v) {
  if constexpr (is_float<T> || CHAINRULE_BYTES < 64) {
    return square_root<T>(v);
  } else {
    constexpr int64_t magic = 0x5fe6eb50c7b537a9;   // 3.4 %; of normal numbers
    const Vec<T> infinity = broadcast<T>(T(__builtin_inf()));
    const Mask<T> small = v < T(1e-290);
    const Vec<T> u = !normal && small ? v * T(0x1p80) : v, half = u * T(0.5);
    Vec<T> r = reinterpret_cast<Vec<T>>(magic - (reinterpret_cast<Mask<T>>(u) >> 1));
    for (int i = 0; i < 3; i++) r *= T(1.5) - half * r * r;
    const Vec<T> y = u * r, root = y + y * (T(0.5) - half * r * r);
    return v == infinity ? infinity : !normal && small ? root * T(0x1p-40) : root;
  }
}

// sin(x + quarters·π/2), to 2 ulp of 1: x less the nearest multiple n of π/2, whose three parts n multiplies without rounding,
// then the series of sin or cos up to π/4. Beyond `exact` the C library takes the lanes one by one.
template <class T>
inline Vec<T> turned(Vec<T> x, int quarters) {
  typedef typename Lanes<T>::integer Int;
  constexpr double exact = is_float<T> ? 8192.0 : 1e6;
  constexpr double round = is_float<T> ? 12582912.0 : 6755399441055744.0;   // 1.5 * 2^mantissa
  constexpr double high = is_float<T> ? 1.5703125 : 1.57079625129699707031;
  constexpr double middle = is_float<T> ? 4.837512969970703125e-4 : 7.54978941586159635335e-8;
  constexpr double low = is_float<T> ? 7.54978995489188216e-8 : 5.39030285815811905290e-15;
  const Vec<T> size = absolute<T>(x);
  if (!all_lanes<T>(size <= T(exact))) {
    T part[lanes<T>] __attribute__((aligned(CHAINRULE_BYTES)));
    store(part, x);
    for (int i = 0; i < lanes<T>; i++) {
      if (is_float<T>) part[i] = T(quarters ? __builtin_cosf(float(part[i])) : __builtin_sinf(float(part[i])));
      else part[i] = T(quarters ? __builtin_cos(double(part[i])) : __builtin_sin(double(part[i])));
    }
    return load(part);
  }
  const Vec<T> shifted = x * T(0.63661977236758134308) + T(round);   // 2/π
  const Vec<T> n = shifted - T(round);
  const Mask<T> whole = reinterpret_cast<Mask<T>>(shifted) - reinterpret_cast<Mask<T>>(broadcast<T>(T(round)));
  const Mask<T> quadrant = (whole + Int(quarters)) & Int(3);
  const Vec<T> r = ((x - n * T(high)) - n * T(middle)) - n * T(low), square = r * r;
  constexpr double of_sin[] = {1.0,          -1.0 / 6,        1.0 / 120,          -1.0 / 5040,
                               1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
  constexpr double of_cos[] = {1.0,
                               -1.0 / 2,
                               1.0 / 24,
                               -1.0 / 720,
                               1.0 / 40320,
                               -1.0 / 3628800,
                               1.0 / 479001600,
                               -1.0 / 87178291200.0,
                               1.0 / 20922789888000.0};
  const Vec<T> odd = r * polynomial<T>(square, of_sin, is_float<T> ? 5 : 8);
  const Vec<T> even = polynomial<T>(square, of_cos, is_float<T> ? 6 : 9);
  const Vec<T> value = (quadrant & Int(1)) != 0 ? even : odd;
  return (quadrant & Int(2)) != 0 ? -value : value;
}
template <class T>
inline Vec<T> cos(Vec<T> x) {
  return turned<T>(x, 1);
}
template <class T>
inline Vec<T> sin(Vec<T> x) {
  return turned<T>(x, 0);
}
