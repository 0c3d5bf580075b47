// The register tile: acc[c][p] += broadcast(w(k, c)) * x[p][k]. Dense layers (forward and δ), convolution (forward and δ)
// and the sixteen small products of Winograd are this one loop; c runs over output channels, p over pixels or sample
// blocks, k over inputs that lie contiguously (for a convolution: kernel column and channel, an implicit im2col).
//
// Read `Tile`, what the loop is told; `tile`, the loop; `tile_up_to`, which chooses the number of pixels; `Cut`.
// Shapes: x [pixel][segment][k][lane], w [segment][k][channel], or in panels [channel][k]; z [pixel][channel][lane]. Factors F
// of T, or pairs of bfloat16: then k counts these.

// Accumulators must fit the register file: 32 vectors on AVX-512 and arm64, 16 on AVX2 and SSE.
#if CHAINRULE_BYTES == 64
constexpr int narrow_channels = 4, narrow_pixels = 6;     // 24 accumulators; suits 20, 40, 100 output channels
constexpr int wide_channels = 8, wide_pixels = 3;         // 24; fewer loads of x per product
constexpr int single_channels = 16;                       // dense layers of one block: one vector of x, one line of weights
constexpr int gradient_rows = 12, gradient_columns = 2;   // 24
#elif defined(__aarch64__)
constexpr int narrow_channels = 4, narrow_pixels = 6;
constexpr int wide_channels = 4, wide_pixels = 6;
constexpr int single_channels = 16;
constexpr int gradient_rows = 12, gradient_columns = 2;
#elif CHAINRULE_BYTES == 32
constexpr int narrow_channels = 4, narrow_pixels = 3;   // 12 accumulators, 3 of x, 1 broadcast: all sixteen registers
constexpr int wide_channels = 4, wide_pixels = 3;
constexpr int single_channels = 8;
constexpr int gradient_rows = 6, gradient_columns = 2;
#else
constexpr int narrow_channels = 4, narrow_pixels = 2;   // SSE has no FMA: the product needs a register too
constexpr int wide_channels = 4, wide_pixels = 2;
constexpr int single_channels = 8;
constexpr int gradient_rows = 4, gradient_columns = 2;
#endif
template <class T, int most>
constexpr int panel_channels = most < lanes<T> ? most : lanes<T>;   // must divide a panel of `lanes`

// Float32 sums only: double has digits to spare.
template <class T>
constexpr bool is_long(int64_t terms) {
  return is_float<T> && terms > fold_terms;
}
// What the runs of a sum are added up in. Two floats added are what they are in double, rounded, so that of two runs no more is
// needed: the same bits without 48 conversions and half the memory (300 inputs).
enum class Total { none, same, wide };
template <class T, Total in>
struct Summed {
  typedef Vec<T> vector;
};
template <class T>
struct Summed<T, Total::wide> {
  typedef Wide<T> vector;
};
template <class T, Total in>
using Sum = typename Summed<T, in>::vector;
// `segment`: terms of a segment, behind each of which a run that is long enough ends.
template <class T>
constexpr Total total_of(int64_t terms, int64_t segment) {
  if (!is_long<T>(terms)) return Total::none;
  return terms <= 2 * fold_terms && (segment <= fold_terms || segment == terms) ? Total::same : Total::wide;
}
// body<total>() of the runtime's choice; two runs are a case of their own only where `apart`.
template <class T, bool apart, class F>
inline void for_total(Total total, F&& body) {
  if (total == Total::none) return body.template operator()<Total::none>();
  if constexpr (is_float<T>) {
    if constexpr (apart)
      if (total == Total::same) return body.template operator()<Total::same>();
    body.template operator()<Total::wide>();
  }
}
template <class T, int C, int P, class S>
inline void fold_into(Vec<T> (&acc)[C][P], S (&total)[C][P]) {
#pragma GCC unroll 16
  for (int c = 0; c < C; c++)
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) total[c][p] += convert<S>(acc[c][p]), acc[c][p] = Vec<T>{};
}

template <class T, class F = T>
struct Tile {
  const F* x;   // pixel p starts at x + p * x_pixel
  ptrdiff_t x_pixel;
  ptrdiff_t x_segment;   // the sum over k runs over `segments` runs of `length`, this far apart in x ...
  ptrdiff_t w_segment;   // ... and this far apart in w
  int segments, length;
  int shorter;   // by how much the last of these runs is shorter
  // ... and over `planes` times that, so far apart.
  int planes = 1;
  ptrdiff_t x_plane, w_plane;
  // Terms that are left out because they are 0: how many, and of those in front of the first the ones in its run of fold_terms.
  int left_out, before;
  const F* w;   // w(k, c): w[k * w_k + c], or in transposed panels w[c * lanes + k]
  ptrdiff_t w_k;
  T* z;   // channel c of pixel p is written at z + p * z_pixel + c * lanes
  ptrdiff_t z_pixel;
  const T* bias;        // or null
  T floor;              // the result is max(result, floor): 0 for ReLU, -inf for none
  int channels;         // how many of the tile's channels exist and are stored
  bool add;             // start from what z holds
  const int* present;   // of one segment: the k that count, because x is not 0 in all lanes; null: all do
  int present_count;
};

// in: what the sum over k is taken in, in runs of fold_terms where it is long.
template <class T, int C, int P, bool transposed, Total in, bool listed, class F>
__attribute__((noinline)) static void tile(const Tile<T, F>& t) {
  constexpr int L = lanes<T>, X = L / terms_of<F>;
  constexpr bool folds = in != Total::none;
  Vec<T> acc[C][P];
  Sum<T, in> total[C][P];
  if (folds)
#pragma GCC unroll 16
    for (int c = 0; c < C; c++)
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) total[c][p] = Sum<T, in>{};
  if (t.add) {
#pragma GCC unroll 16
    for (int c = 0; c < C; c++)
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) acc[c][p] = c < t.channels ? load(t.z + p * t.z_pixel + c * L) : Vec<T>{};
  } else {
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      const Vec<T> start = t.bias && c < t.channels ? from_bias<T>(broadcast<T>(t.bias[c])) : Vec<T>{};
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) acc[c][p] = start;
    }
  }
  const ptrdiff_t x_pixel = t.x_pixel, w_k = t.w_k;
  int pending = t.before;
  for (int plane = 0; plane < t.planes; plane++) {
    const F* xs = t.x + plane * t.x_plane;
    const F* ws = t.w + plane * t.w_plane;
    for (int s = 0; s < t.segments; s++, xs += t.x_segment, ws += t.w_segment) {
      const int length = s + 1 < t.segments ? t.length : t.length - t.shorter;
      const F* x = xs;
      const F* w = ws;
      if (transposed)   // of panels far apart, which no processor foresees
#pragma GCC unroll 16
        for (int c = 0; c < C; c++) __builtin_prefetch(w + t.w_segment + c * X);
      int stop = folds && length > fold_terms ? fold_terms : length;
      const int count = listed ? t.present_count : length;
      for (int n = 0; n < count; n++) {
        const int k = listed ? t.present[n] : n;
        if (folds && (listed ? k >= stop : k == stop)) {   // where the sum of all terms would
          fold_into<T, C, P>(acc, total);
          stop += listed ? (k - stop) / fold_terms * fold_terms + fold_terms : fold_terms;
        }
        if (listed) x = xs + ptrdiff_t(k) * L, w = ws + k * w_k;
        // Of a panel out of L2: 2048² on 32 samples 66 → 87 GFLOP/s. Filters of a convolution lie closer, 4 to a line: as fast
        // without (AVX-512).
        if (folds && !transposed && C >= wide_channels) __builtin_prefetch(w + 16 * w_k);
        Vec<F> xv[P];
#pragma GCC unroll 16
        for (int p = 0; p < P; p++)   // x of a group does not fit L1 where sums are long: 0.96 to 0.99 of a step's time
          xv[p] = load(x + p * x_pixel), __builtin_prefetch(x + p * x_pixel + 8 * L);
#pragma GCC unroll 16
        for (int c = 0; c < C; c++) {
          const Vec<F> wv = broadcast<F>(transposed ? w[c * X] : w[c]);
#pragma GCC unroll 16
          for (int p = 0; p < P; p++) add_product<F>(acc[c][p], wv, xv[p]);
        }
        if (!listed) x += L, w += transposed ? 1 : w_k;
      }
      pending += length;
      if (folds && pending >= fold_terms) {
        fold_into<T, C, P>(acc, total);
        pending = 0;
      }
    }
  }
  if (folds)
#pragma GCC unroll 16
    for (int c = 0; c < C; c++)
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) acc[c][p] = convert<Vec<T>>(total[c][p] + convert<Sum<T, in>>(acc[c][p]));
  const Vec<T> floor = broadcast<T>(t.floor);
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
    if (c >= t.channels) break;
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) store(t.z + p * t.z_pixel + c * L, at_least<T>(acc[c][p], watched<F>(floor, acc[c][p])));
  }
}

// Runs the tile for `pixels` <= P.
template <class T, int C, int P, bool transposed, class F>
inline void tile_up_to(int pixels, const Tile<T, F>& t) {
  if (pixels == P) {
    const Total in = total_of<T>(int64_t(t.planes) * t.segments * t.length + t.left_out, t.length);
    if constexpr (!transposed && !is_pair<F> && P <= wide_pixels && C <= wide_channels)
      if (t.present) return for_total<T, true>(in, [&]<Total of>() { tile<T, C, P, transposed, of, true>(t); });
    return for_total<T, !is_pair<F>>(in, [&]<Total of>() { tile<T, C, P, transposed, of, false>(t); });
  }
  if constexpr (P > 1) tile_up_to<T, C, P - 1, transposed>(pixels, t);
}

// `count` channels in runs of C, and what is left of them in runs of half, of a quarter, ...: body<C>(first). A tile of one
// channel takes a third of the time of one of eight.
template <int C, class F>
inline void in_runs_of(int first, int end, F&& body) {
  for (; first + C <= end; first += C) body.template operator()<C>(first);
  if constexpr (C > 1) in_runs_of<C / 2>(first, end, body);
}

// How many runs of `size`, and how many panels of lanes, hold so many.
inline int groups(int count, int size) { return (count + size - 1) / size; }
template <class T>
inline int panels(int outputs) {
  return groups(outputs, lanes<T>);
}

// Cuts `count` pixels into runs of at most `most` that differ by one at the most: 8 = 3 + 3 + 2, never 6 + 2.
struct Cut {
  int count, most;
  int at = 0;
  int next() {
    const int left = count - at, runs = (left + most - 1) / most;
    const int size = runs ? (left + runs - 1) / runs : 0;
    at += size;
    return size;
  }
};

template <class T>
constexpr T no_floor = -__builtin_huge_val();
// The activations that a tile applies itself, and the floor that does it.
inline bool in_tile(Act kind) { return kind == Act::identity || kind == Act::relu; }
template <class T>
inline T floor_of(Act kind) {
  return kind == Act::relu ? T(0) : no_floor<T>;
}
