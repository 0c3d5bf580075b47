// Normalisation: x̂ = (x − μ) / √(v + ε), z = γ x̂ + β. Over a batch (a channel's values in all samples and positions) or a group
// (neighbouring channels at all positions of one sample). Variances take two passes over x, never E[x²] − E[x]².
//
// A group's numbers are vectors, one lane per sample, at [block][group][lane]. A batch's are the same in all lanes and blocks:
// [channel][lane], block stride 0, every channel a group. Sums over a batch are taken in `parts`, whose number depends on
// shapes alone, and added in their order: the same bits for any number of threads.

// Lanes of block b that hold a sample.
template <class T>
inline Mask<T> present(int samples, int b) {
  Mask<T> lanes_there;
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; i++) lanes_there[i] = b * lanes<T> + i < samples ? -1 : 0;
  return lanes_there;
}

// -- sums over the batch ------------------------------------------------------------------------------------------------------

// partial[part][k][channel][lane] for k < 2 from every value of the part's rows: body(x, d, channel, first sum, second sum).
template <class T, class F>
inline void batch_sums(const NormArgs<T>& g, const Map<T>& second, int begin, int end, F&& body) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const int64_t rows = int64_t(g.blocks) * g.x.height;
  for (int part = begin; part < end; part++) {
    T* const a = g.partial + ptrdiff_t(part) * 2 * channels * L;
    T* const b = a + ptrdiff_t(channels) * L;
    __builtin_memset(a, 0, sizeof(T) * 2 * size_t(channels) * L);
    for (int64_t unit = rows * part / g.parts; unit < rows * (part + 1) / g.parts; unit++) {
      const int block = int(unit / g.x.height), h = int(unit % g.x.height);
      const Mask<T> there = present<T>(g.samples, block);
      const T* x = g.x.data + block * g.x.block + h * g.x.row;
      const T* d = second.data + block * second.block + h * second.row;
      for (int w = 0; w < g.x.width; w++, x += ptrdiff_t(channels) * L, d += ptrdiff_t(channels) * L)
        for (int c = 0; c < channels; c++) {
          Vec<T> first = load(a + c * L), other = load(b + c * L);
          body(block, load(x + c * L), load(d + c * L), c, there, first, other);
          store(a + c * L, first), store(b + c * L, other);
        }
    }
  }
}

// The sum number k of channel c over all parts and lanes.
template <class T>
inline double batch_sum(const NormArgs<T>& g, int k, int c) {
  double sum = 0;
  for (int part = 0; part < g.parts; part++)
    sum += double(sum_lanes<T>(load(g.partial + ((ptrdiff_t(part) * 2 + k) * g.x.channels + c) * lanes<T>)));
  return sum;
}
template <class T>
inline double batch_count(const NormArgs<T>& g) {
  return double(g.samples) * g.x.height * g.x.width;
}

// Unit: part. Σ x; then, with μ known, Σ (x − μ)².
template <class T>
static void norm_batch_sums(const NormArgs<T>& g, bool squares, int begin, int end) {
  if (!squares)
    return batch_sums<T>(g, g.x, begin, end,
                         [](int, Vec<T> x, Vec<T>, int, Mask<T> there, Vec<T>& sum, Vec<T>&) { sum += there ? x : Vec<T>{}; });
  batch_sums<T>(g, g.x, begin, end, [&](int, Vec<T> x, Vec<T>, int c, Mask<T> there, Vec<T>& sum, Vec<T>&) {
    const Vec<T> e = x - load(g.mean + c * lanes<T>);
    sum += there ? e * e : Vec<T>{};
  });
}

// Unit: channel. μ from the sums of x; then 1/√(v + ε) and the unbiased variance from those of the squares.
template <class T>
static void norm_batch_finish(const NormArgs<T>& g, bool squares, int begin, int end) {
  const double count = batch_count<T>(g);
  for (int c = begin; c < end; c++) {
    const double sum = batch_sum<T>(g, 0, c);
    if (!squares) {
      store(g.mean + c * lanes<T>, broadcast<T>(T(sum / count)));
      continue;
    }
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
  constexpr int L = lanes<T>;
  const int size = g.x.channels / g.groups;
  const auto add = [&]<bool each>() {
    batch_sums<T>(g, g.z_delta, begin, end, [&](int b, Vec<T> x, Vec<T> d, int c, Mask<T>, Vec<T>& gamma, Vec<T>& beta) {
      const ptrdiff_t at = b * g.stat_block + ptrdiff_t(each ? c : c / size) * L;
      gamma += d * ((x - load(g.mean + at)) * load(g.inverse + at));
      beta += d;
    });
  };
  if (size == 1) add.template operator()<true>();
  else add.template operator()<false>();
}

// Unit: channel. The gradients, and of a batch ⟨e⟩ and ⟨e x̂⟩ with e = γ δ.
template <class T>
static void norm_gradient_finish(const NormArgs<T>& g, int begin, int end) {
  for (int c = begin; c < end; c++) {
    const double gamma = batch_sum<T>(g, 0, c), beta = batch_sum<T>(g, 1, c);
    g.gamma_gradient[c] = T(gamma), g.beta_gradient[c] = T(beta);
    if (!g.batch) continue;
    const double factor = double(g.gamma[c]) / batch_count<T>(g);
    store(g.mean_e + c * lanes<T>, broadcast<T>(T(factor * beta)));
    store(g.mean_ex + c * lanes<T>, broadcast<T>(T(factor * gamma)));
  }
}

// -- sums over a group --------------------------------------------------------------------------------------------------------

// Σ body(x, d, channel) over the values of group k of block b, in rows and in four sums apart within them.
template <class T, class F>
inline Vec<T> group_sum(const NormArgs<T>& g, const Map<T>& second, int b, int k, F&& body) {
  constexpr int L = lanes<T>;
  const int size = g.x.channels / g.groups, first = k * size, last = first + size;
  Vec<T> total{};
  for (int h = 0; h < g.x.height; h++) {
    const T* x = g.x.data + b * g.x.block + h * g.x.row;
    const T* d = second.data + b * second.block + h * second.row;
    Vec<T> s0{}, s1{}, s2{}, s3{};
    for (int w = 0; w < g.x.width; w++, x += ptrdiff_t(g.x.channels) * L, d += ptrdiff_t(g.x.channels) * L) {
      int c = first;
      for (; c + 4 <= last; c += 4) {
        s0 += body(load(x + c * L), load(d + c * L), c);
        s1 += body(load(x + (c + 1) * L), load(d + (c + 1) * L), c + 1);
        s2 += body(load(x + (c + 2) * L), load(d + (c + 2) * L), c + 2);
        s3 += body(load(x + (c + 3) * L), load(d + (c + 3) * L), c + 3);
      }
      for (; c < last; c++) s0 += body(load(x + c * L), load(d + c * L), c);
    }
    total += (s0 + s1) + (s2 + s3);
  }
  return total;
}
template <class T>
inline T group_share(const NormArgs<T>& g) {
  return T(1 / (double(g.x.height) * g.x.width * (g.x.channels / g.groups)));
}

// Unit: group of a block. μ and 1/√(v + ε).
template <class T>
static void norm_group_statistics(const NormArgs<T>& g, int begin, int end) {
  const T share = group_share<T>(g);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.groups, k = unit % g.groups;
    const ptrdiff_t at = b * g.stat_block + ptrdiff_t(k) * lanes<T>;
    const Vec<T> mean = share * group_sum<T>(g, g.x, b, k, [](Vec<T> x, Vec<T>, int) { return x; });
    const Vec<T> v = share * group_sum<T>(g, g.x, b, k, [&](Vec<T> x, Vec<T>, int) { return (x - mean) * (x - mean); });
    store(g.mean + at, mean);
    store(g.inverse + at, T(1) / square_root<T>(v + T(g.epsilon)));
  }
}

// Unit: group of a block. ⟨e⟩ and ⟨e x̂⟩.
template <class T>
static void norm_group_averages(const NormArgs<T>& g, int begin, int end) {
  const T share = group_share<T>(g);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.groups, k = unit % g.groups;
    const ptrdiff_t at = b * g.stat_block + ptrdiff_t(k) * lanes<T>;
    const Vec<T> mean = load(g.mean + at), inverse = load(g.inverse + at);
    store(g.mean_e + at, share * group_sum<T>(g, g.z_delta, b, k, [&](Vec<T>, Vec<T> d, int c) { return g.gamma[c] * d; }));
    store(g.mean_ex + at, share * inverse * group_sum<T>(g, g.z_delta, b, k, [&](Vec<T> x, Vec<T> d, int c) {
                            return g.gamma[c] * d * (x - mean);
                          }));
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
    const T* x = g.x.data + b * g.x.block + h * g.x.row;
    T* z = g.z.data + b * g.z.block + h * g.z.row;
    for (int w = 0; w < g.x.width; w++, x += ptrdiff_t(channels) * L, z += ptrdiff_t(channels) * L)
      for (int k = 0; k < g.groups; k++) {
        const ptrdiff_t at = b * g.stat_block + ptrdiff_t(k) * L;
        const Vec<T> mean = load(g.mean + at), inverse = load(g.inverse + at);
        for (int c = k * size; c < (k + 1) * size; c++)
          store(z + c * L, (load(x + c * L) - mean) * inverse * g.gamma[c] + g.beta[c]);
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
    const T* x = g.x.data + b * g.x.block + h * g.x.row;
    const T* d = g.z_delta.data + b * g.z_delta.block + h * g.z_delta.row;
    T* to = g.x_delta.data + b * g.x_delta.block + h * g.x_delta.row;
    for (int w = 0; w < g.x.width; w++) {
      const ptrdiff_t pixel = ptrdiff_t(w) * channels * L;
      for (int k = 0; k < g.groups; k++) {
        const ptrdiff_t at = b * g.stat_block + ptrdiff_t(k) * L;
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
