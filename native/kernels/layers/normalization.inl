// Normalisation: x̂ = (x − μ) / √(v + ε), z = γ x̂ + β. Over a batch (a channel's values in all samples and positions), a group
// (neighbouring channels at all positions of one sample), or the features of each position. Without μ and β: by the root mean
// square. Variances take two passes over x, never E[x²] − E[x]². Both look at x − x₀, where x₀ is one of the values: far from 0
// the differences still have the digits that a sum of x has lost. Sums are taken in runs of float32, which are added in double;
// where squares are beyond float32, once more in double from the start.
//
// A group's numbers are vectors, one lane per sample, at [block][group][lane], those of positions at [block][position][lane]. A
// batch's are the same in all lanes and blocks: [channel][lane], block stride 0, every channel a group. Sums over a batch are
// taken in `parts`, whose number depends on shapes alone, and added in their order: the same bits for any number of threads.
//
// Read of a batch: `batch_sums`, `norm_batch_sums`, `norm_batch_finish`; of groups and positions: `group_sums`,
// `norm_group_statistics`; for both `norm_forward`, then the gradients' sums, and `norm_backward` (δ).
// Shapes: x, z and their δ [block][height][width][channels][lane]; γ, β [channels].

// Lanes of block b that hold a sample.
template <class T>
inline Mask<T> present(int samples, int b) {
  Mask<T> lanes_there;
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; i++) lanes_there[i] = b * lanes<T> + i < samples ? -1 : 0;
  return lanes_there;
}

// Where the numbers of group k lie at a pixel of block b.
template <class T>
inline ptrdiff_t norm_place(const NormArgs<T>& g, int b, int h, int w, int k) {
  return b * g.stat_block + (g.each_position ? ptrdiff_t(h) * g.x.width + w : ptrdiff_t(k)) * lanes<T>;
}

// Whether sums of squares taken in T, or means of them, are what they are in double: none overflowed, and what vanishes below
// 1e-38 does not count beside them or ε.
template <class T>
inline Mask<T> fine(Vec<T> sums, double epsilon) {
  const Vec<T> size = absolute<T>(sums);
  return (size < T(1e37)) & (size + T(epsilon) > T(1e-30));
}

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// -- sums over the batch ------------------------------------------------------------------------------------------------------

// partial[part][k][channel][lane] for k < 2 from every value of the part's rows: body(x, d, place of its numbers, lanes with a
// sample, first sum, second sum), with sums of type S along a row. each: the numbers are those of positions.
template <class T, class S, bool each, class F>
inline void batch_sums(const NormArgs<T>& g, const Map<T>& other, int part, F&& body) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, size = channels / g.groups;
  const ptrdiff_t step = ptrdiff_t(channels) * L;
  const int64_t rows = int64_t(g.blocks) * g.x.height;
  double* const sums = g.partial + ptrdiff_t(part) * 2 * step;
  __builtin_memset(sums, 0, sizeof(double) * 2 * size_t(step));
  for (int64_t unit = rows * part / g.parts; unit < rows * (part + 1) / g.parts; unit++) {
    const int block = int(unit / g.x.height), h = int(unit % g.x.height);
    const Mask<T> there = present<T>(g.samples, block);
    const auto along_row = [&]<int C>(int c) {   // C channels from c on
      const T* x = g.x.row(block, h) + c * L;
      const T* d = other.row(block, h) + c * L;
      double *const a = sums + ptrdiff_t(c) * L, *const b = a + step;
      ptrdiff_t at[C];
#pragma GCC unroll 4
      for (int i = 0; i < C; i++) at[i] = norm_place<T>(g, block, h, 0, size == 1 ? c + i : (c + i) / size);
      for (int w = 0; w < g.x.width;) {
        S first[C] = {}, second[C] = {};
        const int stop = g.x.width - w < run_terms ? g.x.width : w + run_terms;
        for (; w < stop; w++, x += step, d += step)
#pragma GCC unroll 4
          for (int i = 0; i < C; i++)
            body(load(x + i * L), load(d + i * L), each ? at[i] + w * L : at[i], there, first[i], second[i]);
#pragma GCC unroll 4
        for (int i = 0; i < C; i++) add_lanes(a + i * L, first[i]), add_lanes(b + i * L, second[i]);
      }
    };
    int c = 0;
    for (; c + 4 <= channels; c += 4) along_row.template operator()<4>(c);
    for (; c < channels; c++) along_row.template operator()<1>(c);
  }
}

// The sum number k of channel c over all parts and lanes.
template <class T>
inline double batch_sum(const NormArgs<T>& g, int k, int c) {
  double of_lanes[lanes<T>] = {}, sum = 0;
  for (int part = 0; part < g.parts; part++) {
    const double* of_part = g.partial + ((ptrdiff_t(part) * 2 + k) * g.x.channels + c) * lanes<T>;
    for (int i = 0; i < lanes<T>; i++) of_lanes[i] += of_part[i];
  }
  for (const double of_lane : of_lanes) sum += of_lane;
  return sum;
}
template <class T>
inline double batch_count(const NormArgs<T>& g) {
  return double(g.samples) * g.x.height * g.x.width;
}

// x₀ of a channel, whose numbers are at `at`.
template <class T>
inline T batch_origin(const NormArgs<T>& g, ptrdiff_t at) {
  return g.origin[at];
}

// Σ (x − x₀), or with its mean known Σ (x − μ)², in sums of type S.
template <class T, class S>
inline void batch_statistics(const NormArgs<T>& g, bool squares, int part) {
  const auto add = [&]<bool squared>() {
    batch_sums<T, S, false>(g, g.x, part, [&](Vec<T> x, Vec<T>, ptrdiff_t at, Mask<T> there, S& sum, S&) {
      S e = convert<S>(x) - convert<S>(broadcast<T>(batch_origin(g, at)));
      if (squared) e -= convert<S>(load(g.mean + at)), e *= e;
      sum += convert<decltype(e < e)>(there) ? e : S{};
    });
  };
  squares ? add.template operator()<true>() : add.template operator()<false>();
}

// Unit: part. Σ (x − x₀); then, with its mean known, Σ (x − μ)².
template <class T>
static void norm_batch_sums(const NormArgs<T>& g, bool squares, int begin, int end) {
  for (int part = begin; part < end; part++) {
    batch_statistics<T, Vec<T>>(g, squares, part);
    if (!is_float<T>) continue;
    const double* const sums = g.partial + ptrdiff_t(part) * 2 * g.x.channels * lanes<T>;
    Mask<T> all_fine = Mask<T>{} == Mask<T>{};
    for (int c = 0; c < g.x.channels; c++) all_fine &= fine<T>(narrow<T>(load_wide<T>(sums + c * lanes<T>)), g.epsilon);
    if (!all_lanes<T>(all_fine)) batch_statistics<T, Wide<T>>(g, squares, part);
  }
}

// Unit: channel. The mean of x − x₀ from its sums; then μ, and from the sums of squares 1/√(v + ε) and the unbiased variance.
template <class T>
static void norm_batch_finish(const NormArgs<T>& g, bool squares, int begin, int end) {
  const double count = batch_count<T>(g);
  for (int c = begin; c < end; c++) {
    const double sum = batch_sum<T>(g, 0, c);
    if (!squares) {
      store(g.mean + c * lanes<T>, broadcast<T>(T(sum / count)));
      continue;
    }
    store(g.mean + c * lanes<T>, broadcast<T>(batch_origin(g, c * lanes<T>)) + load(g.mean + c * lanes<T>));
    store(g.inverse + c * lanes<T>, broadcast<T>(T(1 / __builtin_sqrt(sum / count + g.epsilon))));
    g.unbiased[c] = T(sum / (count - 1));
  }
}

// Unit: channel. For a prediction: μ and 1/√(v + ε) from the running numbers.
template <class T>
static void norm_running(const NormArgs<T>& g, int begin, int end) {
  for (int c = begin; c < end; c++) {
    store(g.mean + c * lanes<T>, broadcast<T>(g.running_mean[c]));
    const double root = __builtin_sqrt(double(g.running_variance[c]) + g.epsilon);
    store(g.inverse + c * lanes<T>, broadcast<T>(T(1 / root)));
  }
}

// Unit: part. Σ δ x̂ and Σ δ; lanes without a sample have δ = 0.
template <class T>
static void norm_gradient_sums(const NormArgs<T>& g, int begin, int end) {
  const auto add = [&]<bool each>(int part) {
    batch_sums<T, Vec<T>, each>(g, g.z_delta, part,
                                [&](Vec<T> x, Vec<T> d, ptrdiff_t at, Mask<T>, Vec<T>& gamma, Vec<T>& beta) {
                                  gamma += d * ((x - load(g.mean + at)) * load(g.inverse + at));
                                  beta += d;
                                });
  };
  for (int part = begin; part < end; part++)
    g.each_position ? add.template operator()<true>(part) : add.template operator()<false>(part);
}

// Unit: channel. The gradients, and of a batch ⟨e⟩ and ⟨e x̂⟩ with e = γ δ.
template <class T>
static void norm_gradient_finish(const NormArgs<T>& g, int begin, int end) {
  for (int c = begin; c < end; c++) {
    const double gamma = batch_sum<T>(g, 0, c), beta = batch_sum<T>(g, 1, c);
    if (g.gamma_gradient) g.gamma_gradient[c] = T(gamma);
    if (g.beta_gradient) g.beta_gradient[c] = T(beta);
    if (!g.batch) continue;
    const double factor = double(g.gamma[c]) / batch_count<T>(g);
    store(g.mean_e + c * lanes<T>, broadcast<T>(T(factor * beta)));
    store(g.mean_ex + c * lanes<T>, broadcast<T>(T(factor * gamma)));
  }
}

// -- sums over a group --------------------------------------------------------------------------------------------------------

// The values of one group: channels from `first` on, at all positions or at one.
struct NormGroup {
  int block, h0, h1, w0, w1, first, last;
  ptrdiff_t place;   // of its numbers
  double share;      // 1 / (how many values)
};
template <class T>
inline NormGroup norm_group(const NormArgs<T>& g, int unit) {
  const int size = g.x.channels / g.groups;
  if (!g.each_position) {
    const int b = unit / g.groups, k = unit % g.groups;
    return {b,
            0,
            g.x.height,
            0,
            g.x.width,
            k * size,
            (k + 1) * size,
            norm_place<T>(g, b, 0, 0, k),
            1 / (double(g.x.height) * g.x.width * size)};
  }
  const int w = unit % g.x.width, h = unit / g.x.width % g.x.height, b = unit / g.x.width / g.x.height;
  return {b, h, h + 1, w, w + 1, 0, size, norm_place<T>(g, b, h, w, 0), 1.0 / size};
}

// Sums over a group: body(x, d, channel, first sum, second sum), with sums of type S in four chains, so that additions need not
// wait; they are added in double after run_terms terms.
template <class T, class S, class F>
inline void group_sums(const NormArgs<T>& g, const Map<T>& other, const NormGroup& group, double* first, double* second,
                       F&& body) {
  constexpr int L = lanes<T>;
  const ptrdiff_t step = ptrdiff_t(g.x.channels) * L;
  S a[4] = {}, b[4] = {};
  int terms = 0;
  const auto fold = [&] {
    add_lanes(first, (a[0] + a[1]) + (a[2] + a[3])), add_lanes(second, (b[0] + b[1]) + (b[2] + b[3]));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) a[i] = S{}, b[i] = S{};
    terms = 0;
  };
  for (int h = group.h0; h < group.h1; h++) {
    const T* x = g.x.row(group.block, h) + group.w0 * step;
    const T* d = other.row(group.block, h) + group.w0 * step;
    for (int w = group.w0; w < group.w1; w++, x += step, d += step) {
      int c = group.first;
      while (c + 4 <= group.last) {
        for (; terms < run_terms && c + 4 <= group.last; terms++, c += 4)
#pragma GCC unroll 4
          for (int i = 0; i < 4; i++) body(load(x + (c + i) * L), load(d + (c + i) * L), c + i, a[i], b[i]);
        if (terms == run_terms) fold();
      }
      for (; c < group.last; c++) {
        body(load(x + c * L), load(d + c * L), c, a[0], b[0]);
        if (++terms == run_terms) fold();
      }
    }
  }
  fold();
}

// The means from such sums.
template <class V>
inline V shares(const double* sums, double share) {
  V v;
#pragma GCC unroll 16
  for (int i = 0; i < int(sizeof(V) / sizeof(v[0])); i++) v[i] = sums[i] * share;
  return v;
}

// μ and 1/√(v + ε) of a group, in sums of type S, of the lanes `wanted`; returns those for which they are not to be had in it.
// A lane's numbers do not depend on its neighbours'.
template <class T, class S>
inline Mask<T> group_statistics(const NormArgs<T>& g, const NormGroup& group, Mask<T> wanted) {
  const ptrdiff_t start =
      group.block * g.x.block_step + group.h0 * g.x.row_step + (ptrdiff_t(group.w0) * g.x.channels + group.first) * lanes<T>;
  const S origin = g.centred ? convert<S>(load(g.x.data + start)) : S{};
  double sums[lanes<T>] = {}, squares[lanes<T>] = {}, unused[lanes<T>] = {};
  if (g.centred)
    group_sums<T, S>(g, g.x, group, sums, unused, [&](Vec<T> x, Vec<T>, int, S& a, S&) { a += convert<S>(x) - origin; });
  const S offset = shares<S>(sums, group.share);
  group_sums<T, S>(g, g.x, group, squares, unused, [&](Vec<T> x, Vec<T>, int, S& a, S&) {
    const S e = (convert<S>(x) - origin) - offset;
    a += e * e;
  });
  const S v = shares<S>(squares, group.share);
  Mask<T> missing{};
  if constexpr (sizeof(S) != sizeof(Wide<T>)) missing = ~fine<T>(v, g.epsilon);
  const auto put = [&](T* to, Vec<T> made) { store(to, wanted ? made : load(to)); };
  put(g.mean + group.place, convert<Vec<T>>(origin + offset));
  S deviation = g.parted ? v : v + convert<S>(Wide<T>{} + g.epsilon);
  for (int i = 0; i < lanes<T>; i++) deviation[i] = root(deviation[i]);
  put(g.inverse + group.place, convert<Vec<T>>(g.parted ? deviation : 1 / deviation));
  return missing;
}

// Unit: group or position of a block. μ and 1/√(v + ε), or √v of a part of a group.
template <class T>
static void norm_group_statistics(const NormArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const NormGroup group = norm_group<T>(g, unit);
    const Mask<T> missing = group_statistics<T, Vec<T>>(g, group, ~Mask<T>{});
    if (!all_lanes<T>(~missing)) group_statistics<T, Wide<T>>(g, group, missing);
  }
}

// Unit: group or position of a block. ⟨e⟩ and ⟨e x̂⟩.
template <class T>
static void norm_group_averages(const NormArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const NormGroup group = norm_group<T>(g, unit);
    const Vec<T> mean = load(g.mean + group.place), inverse = load(g.inverse + group.place);
    double sums_e[lanes<T>] = {}, sums_ex[lanes<T>] = {};
    group_sums<T, Vec<T>>(g, g.z_delta, group, sums_e, sums_ex, [&](Vec<T> x, Vec<T> d, int c, Vec<T>& e, Vec<T>& ex) {
      const Vec<T> own = g.gamma[c] * d;
      e += own, ex += own * ((x - mean) * inverse);
    });
    store(g.mean_e + group.place, g.centred ? shares<Vec<T>>(sums_e, group.share) : Vec<T>{});
    store(g.mean_ex + group.place, shares<Vec<T>>(sums_ex, group.share));
  }
}

// -- every value --------------------------------------------------------------------------------------------------------------

// Unit: row of a block.
template <class T>
static void norm_forward(const NormArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, size = channels / g.groups;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const T* x = g.x.row(b, h);
    T* z = g.z.row(b, h);
    for (int w = 0; w < g.x.width; w++, x += ptrdiff_t(channels) * L, z += ptrdiff_t(channels) * L)
      for (int k = 0; k < g.groups; k++) {
        const ptrdiff_t at = norm_place<T>(g, b, h, w, k);
        const Vec<T> mean = load(g.mean + at), inverse = load(g.inverse + at);
        for (int c = k * size; c < (k + 1) * size; c++) {
          // The branch stands before the product: GCC fuses no sum with a product of another block, and `norm_channels`, which
          // computes the same for a few samples, has no branch (arm64 at -O2: other bits).
          const T beta = g.beta ? g.beta[c] : T(0);
          store(z + c * L, (load(x + c * L) - mean) * inverse * g.gamma[c] + beta);
        }
      }
    activate_row<T>(g.post, g.z, b, h);
  }
}

// Unit: row of a block. ∂J/∂x = (γ δ − ⟨e⟩ − x̂ ⟨e x̂⟩) / √(v + ε), and 0 in lanes without a sample.
template <class T>
static void norm_backward(const NormArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, size = channels / g.groups;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const Mask<T> there = present<T>(g.samples, b);
    const T* x = g.x.row(b, h);
    const T* d = g.z_delta.row(b, h);
    T* to = g.x_delta.row(b, h);
    for (int w = 0; w < g.x.width; w++) {
      const ptrdiff_t pixel = ptrdiff_t(w) * channels * L;
      for (int k = 0; k < g.groups; k++) {
        const ptrdiff_t at = norm_place<T>(g, b, h, w, k);
        const Vec<T> mean = load(g.mean + at), inverse = load(g.inverse + at);
        const Vec<T> e = load(g.mean_e + at), ex = load(g.mean_ex + at);
        for (int c = k * size; c < (k + 1) * size; c++) {
          const Vec<T> normal = (load(x + pixel + c * L) - mean) * inverse;
          const Vec<T> delta = (load(d + pixel + c * L) * g.gamma[c] - e - normal * ex) * inverse;
          store(to + pixel + c * L, there ? delta : Vec<T>{});
        }
      }
    }
    hadamard_row<T>(g.post, g.x_delta, b, h);
  }
}
