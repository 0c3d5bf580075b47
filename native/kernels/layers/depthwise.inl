// Depthwise convolution: `multiplier` kernels for every channel, and no sum over channels. Forward and δ are one loop: the
// sum over the taps of a kernel that meet the picture, of a scalar weight times a vector.
//
// Read `tap_source`, `depthwise_sum` and `depthwise_row`, which forward and δ share; then `depthwise_correlate`, ∂w.
// Shapes: as conv.inl, with channels / groups = 1: w [filters][kernel_h][kernel_w], filters = channels · multiplier.

// Where a tap reads, from the channel of the pixel that is written, and its number in the kernel.
struct Tap {
  ptrdiff_t from;
  int weight;
};
constexpr int most_taps = 64;                              // larger kernels add up in several passes
constexpr int depthwise_pixels = 4;                        // that share their taps and the loads of weights
constexpr int depthwise_filters = 4, depthwise_taps = 3;   // 12 accumulators of the weight gradient

// Column that tap n of column `at` reads, if any. Forward it lies in the picture or its halo; backward it is the output whose
// window has `at` at its tap n.
template <class T, bool backward>
inline bool tap_column(const ConvArgs<T>& g, int at, int n, int& from) {
  if constexpr (!backward) {
    from = at * g.stride_w - g.pad_left + n * g.dilation_w;
    return true;
  } else {
    from = at + g.pad_left - n * g.dilation_w;
    if (g.stride_w > 1) {
      if (from % g.stride_w) return false;
      from /= g.stride_w;
    }
    return from >= 0 && from < g.z.width;
  }
}
// The same of rows, and of row (d, m) of the kernel; forward as well there are some only within the image.
template <class T, bool backward>
inline bool tap_row(const Image<T>& image, int at, int d, int m, ptrdiff_t& from) {
  if constexpr (!backward) {
    from = image.row(at, d, m);
    return image.meets(at, d, m);
  } else {
    int t, i;
    if (!image.planes.window(image.x_plane_of(at), d, image.plane_windows, t)) return false;
    if (!image.rows.window(image.x_row_of(at), m, image.row_windows, i)) return false;
    from = ptrdiff_t(t) * image.z_rows + i;
    return true;
  }
}

// The sum over taps of P pixels `to_pixel` apart that read pixels `from_pixel` apart and meet the same taps.
template <class T, int P, bool backward>
inline void depthwise_sum(const ConvArgs<T>& g, const Tap* taps, int count, const T* from, ptrdiff_t from_pixel, T* to,
                          ptrdiff_t to_pixel, bool add) {
  constexpr int L = lanes<T>;
  const int offsets = int(kernel_taps(g)), multiplier = g.z.channels / g.x.channels;
  const int channels = backward ? g.x.channels : g.z.channels;
  const T* bias = g.bias;   // δ has none
  for (int c = 0; c < channels; c++, to += L) {
    Vec<T> acc[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) acc[p] = add ? load(to + p * to_pixel) : bias ? from_bias<T>(broadcast<T>(bias[c])) : Vec<T>{};
    for (int q = 0; q < (backward ? multiplier : 1); q++) {
      const int filter = backward ? c * multiplier + q : c;
      const T* w = g.weights + ptrdiff_t(filter) * offsets;
      const T* x = from + (backward ? filter : multiplier == 1 ? c : c / multiplier) * L;
      for (int t = 0; t < count; t++) {
        const Vec<T> wv = broadcast<T>(w[taps[t].weight]);
        const T* at = x + taps[t].from;
#pragma GCC unroll 8
        for (int p = 0; p < P; p++) acc[p] += wv * load(at + p * from_pixel);
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) store(to + p * to_pixel, acc[p]);
  }
}

// The first column behind v, of those `step` apart, that meets other taps than v: each tap is met by an interval of columns, so
// the taps are the same up to the next end of one. Forward every column meets them all, in the picture or in its halo.
template <class T, bool backward>
inline int same_taps_end(const ConvArgs<T>& g, int v) {
  if constexpr (!backward) return g.z.width;
  int end = g.x.width;
  for (int n = 0; n < g.kernel_w; n++) {
    const int begin = n * g.dilation_w - g.pad_left;   // columns begin, begin + stride, ... of one output column each
    if ((v - begin) % g.stride_w) continue;
    const int64_t behind = int64_t(g.z.width) * g.stride_w + begin;
    if (begin > v && begin < end) end = begin;
    if (behind > v && behind < end) end = int(behind);
  }
  return end;
}

// Row `at` of a block: `to` is its first pixel, `from` the first pixel of the block that is read. A run of pixels that meet the
// same taps is found first, and cut into fours; whatever its length, no pixel's taps stand for another's.
template <class T, bool backward>
inline void depthwise_row(const ConvArgs<T>& g, int at, const T* from, T* to) {
  constexpr int L = lanes<T>, P = depthwise_pixels;
  const Image<T> image(g);
  const Map<T>&target = backward ? g.x : g.z, &source = backward ? g.z : g.x;
  const ptrdiff_t to_channels = ptrdiff_t(target.channels) * L, from_channels = ptrdiff_t(source.channels) * L;
  // Pixels a stride apart can have the same taps in δ, neighbouring pixels of the output in x.
  const int step = backward ? g.stride_w : 1;
  const ptrdiff_t from_pixel = from_channels * (backward ? 1 : g.stride_w);
  for (int first = 0; first < step && first < target.width; first++)
    for (int v = first; v < target.width;) {
      const int run = (same_taps_end<T, backward>(g, v) - v + step - 1) / step;
      Tap taps[most_taps];
      int count = 0;
      bool add = false;
      const auto sum = [&] {
        int p = 0;
        for (; p + P <= run; p += P)
          depthwise_sum<T, P, backward>(g, taps, count, from + p * from_pixel, from_pixel,
                                        to + (v + ptrdiff_t(p) * step) * to_channels, step * to_channels, add);
        for (; p < run; p++)
          depthwise_sum<T, 1, backward>(g, taps, count, from + p * from_pixel, 0, to + (v + ptrdiff_t(p) * step) * to_channels,
                                        0, add);
        add = true, count = 0;
      };
      for (int d = 0; d < g.kernel_d; d++)
        for (int m = 0; m < g.kernel_h; m++) {
          ptrdiff_t row;
          if (!tap_row<T, backward>(image, at, d, m, row)) continue;
          for (int n = 0, column; n < g.kernel_w; n++) {
            if (!tap_column<T, backward>(g, v, n, column)) continue;
            if (count == most_taps) sum();
            taps[count++] = {row * source.row_step + column * from_channels, (d * g.kernel_h + m) * g.kernel_w + n};
          }
        }
      sum();
      v += run * step;
    }
}

// Unit: output row of a block.
template <class T>
static void depthwise_forward(const ConvArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.z.height, i = unit % g.z.height;
    depthwise_row<T, false>(g, i, g.x.block(b), g.z.row(b, i));
    if (g.transposed) hadamard_row<T>(g.post, g.z, b, i);
    else activate_row<T>(g.post, g.z, b, i);
  }
}

// Unit: input row of a block.
template <class T>
static void depthwise_backward(const ConvArgs<T>& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, u = unit % g.x.height;
    depthwise_row<T, true>(g, u, g.z.block(b), g.x_delta.row(b, u));
    if (g.transposed) activate_row<T>(g.post, g.x_delta, b, u);
    else hadamard_row<T>(g.post, g.x_delta, b, u);
  }
}

// Weight gradient of four filters and `taps` neighbouring taps of row m of the kernel: lanes keep their own samples' sums until
// the end. With the first taps comes the gradient of the bias.
template <class T, int P>
static void depthwise_correlate(const ConvArgs<T>& g, int filter, int m, int n) {
  constexpr int L = lanes<T>, C = depthwise_filters;
  const int multiplier = g.z.channels / g.x.channels, filters = g.z.channels - filter < C ? g.z.channels - filter : C;
  const ptrdiff_t pixel = ptrdiff_t(g.x.channels) * L, tap = g.dilation_w * pixel;
  ptrdiff_t channel[C];   // of x that the filter reads; past the last filter that of the last one
  for (int c = 0; c < C; c++) channel[c] = (filter + (c < filters ? c : filters - 1)) / multiplier * L;
  Vec<T> acc[C][P] = {}, bias[C][1] = {};
  Wide<T> total[C][P] = {}, total_bias[C][1] = {};
  int pending = 0;
  const bool with_bias = g.bias_gradient && m == 0 && n == 0;
  const Image<T> image(g);
  for (int b = 0; b < g.blocks; b++)
    for (int i = 0; i < g.z.height; i++) {
      const bool meets = image.meets(i, m / g.kernel_h, m % g.kernel_h);   // otherwise x is 0, and there is ∂b alone
      if (!meets && !with_bias) continue;
      const T* x =
          g.x.row(b, image.row(i, m / g.kernel_h, m % g.kernel_h)) + (ptrdiff_t(n) * g.dilation_w - g.pad_left) * pixel;
      const T* d = g.z.row(b, i) + ptrdiff_t(filter) * L;
      for (int j0 = 0; j0 < g.z.width; j0 += fold_terms) {
        const int j1 = g.z.width - j0 < fold_terms ? g.z.width : j0 + fold_terms;
        for (int j = j0; j < j1; j++, x += g.stride_w * pixel, d += ptrdiff_t(g.z.channels) * L)
#pragma GCC unroll 8
          for (int c = 0; c < C; c++) {
            const Vec<T> dv = load(d + c * L);   // past the last filter: read, not stored
            bias[c][0] += dv;
            if (!meets) continue;
#pragma GCC unroll 8
            for (int p = 0; p < P; p++) acc[c][p] += dv * load(x + channel[c] + p * tap);
          }
        pending += j1 - j0;
        if (pending < fold_terms) continue;
        fold_into<T, C, P>(acc, total), fold_into<T, C, 1>(bias, total_bias);
        pending = 0;
      }
    }
  fold_into<T, C, P>(acc, total), fold_into<T, C, 1>(bias, total_bias);
  for (int c = 0; c < filters; c++) {
    T* to = g.weight_gradient + (ptrdiff_t(filter + c) * kernel_rows(g) + m) * g.kernel_w + n;
    for (int p = 0; p < P; p++) to[p] = sum_lanes<T>(narrow<T>(total[c][p]));
    if (with_bias) g.bias_gradient[filter + c] = sum_lanes<T>(narrow<T>(total_bias[c][0]));
  }
}

// Unit: (four filters, kernel row, three taps of it).
template <class T>
static int depthwise_gradient_units(const ConvArgs<T>& g) {
  return groups(g.z.channels, depthwise_filters) * kernel_rows(g) * groups(g.kernel_w, depthwise_taps);
}
template <class T>
static void depthwise_gradient(const ConvArgs<T>& g, int begin, int end) {
  const int runs = groups(g.kernel_w, depthwise_taps);
  for (int unit = begin; unit < end; unit++) {
    const int n = unit % runs * depthwise_taps, m = unit / runs % kernel_rows(g),
              filter = unit / runs / kernel_rows(g) * depthwise_filters;
    const int taps = g.kernel_w - n < depthwise_taps ? g.kernel_w - n : depthwise_taps;
    if (taps == 3) depthwise_correlate<T, 3>(g, filter, m, n);
    else if (taps == 2) depthwise_correlate<T, 2>(g, filter, m, n);
    else depthwise_correlate<T, 1>(g, filter, m, n);
  }
}
