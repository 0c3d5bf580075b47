// Normalisation: x̂ = (x − μ) / √(v + ε), z = γ x̂ + β. Over a batch (a channel's values in all samples and positions), a group
// (neighbouring channels at all positions of one sample), or the features of each position. Without μ and β: by the root mean
// square. Variances take two passes over x, never E[x²] − E[x]², and sums are taken in double: squares of float32 numbers above
// 1.8e19 are beyond float32, and a sum of many of them loses digits.
//
// A group's numbers are vectors, one lane per sample, at [block][group][lane], those of positions at [block][position][lane]. A
// batch's are the same in all lanes and blocks: [channel][lane], block stride 0, every channel a group. Sums over a batch are
// taken in `parts`, whose number depends on shapes alone, and added in their order: the same bits for any number of threads.

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

// -- sums over the batch ------------------------------------------------------------------------------------------------------

// partial[part][k][channel][lane] for k < 2 from every value of the part's rows: body(x, d, place of its numbers, channel,
// lanes with a sample, first sum, second sum).
template <class T, class F>
inline void batch_sums(const NormArgs<T>& g, const Map<T>& second, int begin, int end, F&& body) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, size = channels / g.groups;
  const int64_t rows = int64_t(g.blocks) * g.x.height;
  for (int part = begin; part < end; part++) {
    double* const a = g.partial + ptrdiff_t(part) * 2 * channels * L;
    double* const b = a + ptrdiff_t(channels) * L;
    __builtin_memset(a, 0, sizeof(double) * 2 * size_t(channels) * L);
    for (int64_t unit = rows * part / g.parts; unit < rows * (part + 1) / g.parts; unit++) {
      const int block = int(unit / g.x.height), h = int(unit % g.x.height);
      const Mask<T> there = present<T>(g.samples, block);
      const T* x = g.x.data + block * g.x.block + h * g.x.row;
      const T* d = second.data + block * second.block + h * second.row;
      for (int c = 0; c < channels; c++) {   // the sums of a channel stay in registers along the row
        Wide<T> first = load_wide<T>(a + c * L), other = load_wide<T>(b + c * L);
        const int k = size == 1 ? c : c / size;
        for (int w = 0; w < g.x.width; w++) {
          const ptrdiff_t at = (ptrdiff_t(w) * channels + c) * L;
          body(load(x + at), load(d + at), norm_place<T>(g, block, h, w, k), c, there, first, other);
        }
        store_wide<T>(a + c * L, first), store_wide<T>(b + c * L, other);
      }
    }
  }
}

// The sum number k of channel c over all parts and lanes.
template <class T>
inline double batch_sum(const NormArgs<T>& g, int k, int c) {
  double sum = 0;
  for (int part = 0; part < g.parts; part++) {
    const double* of_part = g.partial + ((ptrdiff_t(part) * 2 + k) * g.x.channels + c) * lanes<T>;
    for (int i = 0; i < lanes<T>; i++) sum += of_part[i];
  }
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
    return batch_sums<T>(g, g.x, begin, end, [](Vec<T> x, Vec<T>, ptrdiff_t, int, Mask<T> there, Wide<T>& sum, Wide<T>&) {
      sum += widen<T>(there ? x : Vec<T>{});
    });
  batch_sums<T>(g, g.x, begin, end, [&](Vec<T> x, Vec<T>, ptrdiff_t, int c, Mask<T> there, Wide<T>& sum, Wide<T>&) {
    const Vec<T> mean = load(g.mean + c * lanes<T>);
    const Wide<T> e = widen<T>(there ? x : mean) - widen<T>(mean);
    sum += e * e;
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
  batch_sums<T>(g, g.z_delta, begin, end, [&](Vec<T> x, Vec<T> d, ptrdiff_t at, int, Mask<T>, Wide<T>& gamma, Wide<T>& beta) {
    gamma += widen<T>(d * ((x - load(g.mean + at)) * load(g.inverse + at)));
    beta += widen<T>(d);
  });
}

// Unit: channel. The gradients, and of a batch ⟨e⟩ and ⟨e x̂⟩ with e = γ δ.
template <class T>
static void norm_gradient_finish(const NormArgs<T>& g, int begin, int end) {
  for (int c = begin; c < end; c++) {
    const double gamma = batch_sum<T>(g, 0, c), beta = batch_sum<T>(g, 1, c);
    g.gamma_gradient[c] = T(gamma);
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

// The mean of body(x, d, channel), vectors in double, over a group: in two sums apart, so that additions need not wait.
template <class T, class F>
inline Wide<T> group_mean(const NormArgs<T>& g, const Map<T>& second, const NormGroup& group, F&& body) {
  constexpr int L = lanes<T>;
  Wide<T> s0{}, s1{};
  for (int h = group.h0; h < group.h1; h++) {
    const ptrdiff_t step = ptrdiff_t(g.x.channels) * L;
    const T* x = g.x.data + group.block * g.x.block + h * g.x.row + group.w0 * step;
    const T* d = second.data + group.block * second.block + h * second.row + group.w0 * step;
    for (int w = group.w0; w < group.w1; w++, x += step, d += step) {
      int c = group.first;
      for (; c + 2 <= group.last; c += 2) {
        s0 += body(load(x + c * L), load(d + c * L), c);
        s1 += body(load(x + (c + 1) * L), load(d + (c + 1) * L), c + 1);
      }
      if (c < group.last) s0 += body(load(x + c * L), load(d + c * L), c);
    }
  }
  return (s0 + s1) * group.share;
}

// Unit: group or position of a block. μ and 1/√(v + ε).
template <class T>
static void norm_group_statistics(const NormArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const NormGroup group = norm_group<T>(g, unit);
    Wide<T> mean{};
    if (g.centred) mean = group_mean<T>(g, g.x, group, [](Vec<T> x, Vec<T>, int) { return widen<T>(x); });
    Wide<T> root = group_mean<T>(g, g.x, group, [&](Vec<T> x, Vec<T>, int) {
      const Wide<T> e = widen<T>(x) - mean;
      return e * e;
    });
    for (int i = 0; i < lanes<T>; i++) root[i] = 1 / __builtin_sqrt(root[i] + g.epsilon);
    store(g.mean + group.place, narrow<T>(mean)), store(g.inverse + group.place, narrow<T>(root));
  }
}

// Unit: group or position of a block. ⟨e⟩ and ⟨e x̂⟩.
template <class T>
static void norm_group_averages(const NormArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const NormGroup group = norm_group<T>(g, unit);
    const Vec<T> mean = load(g.mean + group.place), inverse = load(g.inverse + group.place);
    Wide<T> mean_e{};
    if (g.centred)
      mean_e = group_mean<T>(g, g.z_delta, group, [&](Vec<T>, Vec<T> d, int c) { return widen<T>(g.gamma[c] * d); });
    const Wide<T> mean_ex = group_mean<T>(
        g, g.z_delta, group, [&](Vec<T> x, Vec<T> d, int c) { return widen<T>(g.gamma[c] * d * ((x - mean) * inverse)); });
    store(g.mean_e + group.place, narrow<T>(mean_e)), store(g.mean_ex + group.place, narrow<T>(mean_ex));
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
        const ptrdiff_t at = norm_place<T>(g, b, h, w, k);
        const Vec<T> mean = load(g.mean + at), inverse = load(g.inverse + at);
        for (int c = k * size; c < (k + 1) * size; c++)
          store(z + c * L, (load(x + c * L) - mean) * inverse * g.gamma[c] + (g.beta ? g.beta[c] : T(0)));
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
