// Convolution, direct: forward (cross-correlation), δ by scattering each δ pixel through the kernel (exactly the needed
// products, at any stride and padding), and ∂w with accumulators per sample, summed over lanes at the end (seed 000, conv 1-3).

template <class T>
inline int channel_tiles(int channels) {
  return (channels + narrow_channels - 1) / narrow_channels;
}

template <class T>
static size_t conv_packed_size(const ConvArgs<T>& g) {
  const size_t offsets = size_t(g.kernel_h) * g.kernel_w;
  const size_t forward = size_t(channel_tiles<T>(g.z.channels)) * narrow_channels * offsets * g.x.channels;
  const size_t backward = size_t(channel_tiles<T>(g.x.channels)) * narrow_channels * offsets * g.z.channels;
  return forward > backward ? forward : backward;
}

// [filter tile][kernel_h][kernel_w][channel][4 filters]; missing filters are left as they are and never stored.
template <class T>
static void conv_pack_forward(const ConvArgs<T>& g, int begin, int end) {
  const ptrdiff_t size = ptrdiff_t(g.kernel_h) * g.kernel_w * g.x.channels;
  for (int k = begin; k < end; k++) {
    const T* w = g.weights + k * size;
    T* to = g.packed + (k / narrow_channels) * narrow_channels * size + k % narrow_channels;
    for (ptrdiff_t i = 0; i < size; i++) to[i * narrow_channels] = w[i];
  }
}

// [kernel offset][channel tile][filter][4 channels]
template <class T>
static void conv_pack_backward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int C = narrow_channels;
  const int offsets = g.kernel_h * g.kernel_w, channels = g.x.channels, filters = g.z.channels,
            tiles = channel_tiles<T>(channels);
  for (int k = begin; k < end; k++)
    for (int o = 0; o < offsets; o++) {
      const T* w = g.weights + (ptrdiff_t(k) * offsets + o) * channels;
      for (int c = 0; c < channels; c++) g.packed[((ptrdiff_t(o) * tiles + c / C) * filters + k) * C + c % C] = w[c];
    }
}

// Unit: output row of a block.
template <class T>
static void conv_forward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, C = narrow_channels;
  const int channels = g.x.channels, filters = g.z.channels, height = g.z.height, width = g.z.width;
  const ptrdiff_t size = ptrdiff_t(g.kernel_h) * g.kernel_w * channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, i = unit % height;
    const T* x =
        g.x.data + b * g.x.block + (ptrdiff_t(i) * g.stride_h - g.pad_top) * g.x.row - ptrdiff_t(g.pad_left) * channels * L;
    T* z = g.z.data + b * g.z.block + i * g.z.row;
    Cut cut{width, narrow_pixels};
    for (int j = 0; j < width;) {
      const int pixels = cut.next();
      Tile<T> t{};
      t.x = x + ptrdiff_t(j) * g.stride_w * channels * L;
      t.x_pixel = ptrdiff_t(g.stride_w) * channels * L;
      t.x_segment = g.x.row;
      t.segments = g.kernel_h;
      t.length = g.kernel_w * channels;
      t.w_k = C;
      t.w_segment = ptrdiff_t(t.length) * C;
      t.z_pixel = ptrdiff_t(filters) * L;
      t.floor = g.post.kind == Act::relu ? T(0) : no_floor<T>;
      for (int k = 0; k < filters; k += C) {
        t.w = g.packed + k * size;
        t.z = z + (ptrdiff_t(j) * filters + k) * L;
        t.bias = g.bias ? g.bias + k : nullptr;
        t.channels = filters - k < C ? filters - k : C;
        tile_up_to<T, C, narrow_pixels, false>(pixels, t);
      }
      j += pixels;
    }
    if (g.post.kind != Act::identity && g.post.kind != Act::relu)
      activate_run<T>(g.post.kind, g.post.slope, z, g.post.saved.data + b * g.post.saved.block + i * g.post.saved.row,
                      ptrdiff_t(width) * filters);
  }
}

// Unit: input row of a block. Row u receives from output rows i with u = i·stride − pad + m; within a row every δ pixel is
// added at its kernel columns. Conv 1 as a scatter: no flipped kernel, no padded δ, no wasted product.
template <class T>
static void conv_backward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, C = narrow_channels;
  const int channels = g.x.channels, filters = g.z.channels, height = g.x.height, width = g.x.width;
  const int tiles = channel_tiles<T>(channels);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, u = unit % height;
    T* row = g.x_delta.data + b * g.x_delta.block + u * g.x_delta.row;
    __builtin_memset(row, 0, sizeof(T) * size_t(width) * channels * L);
    for (int m = 0; m < g.kernel_h; m++) {
      const int shifted = u + g.pad_top - m;
      if (shifted < 0 || shifted % g.stride_h) continue;
      const int i = shifted / g.stride_h;
      if (i >= g.z.height) continue;
      const T* d = g.z.data + b * g.z.block + i * g.z.row;
      for (int n = 0; n < g.kernel_w; n++) {
        // Output columns j with 0 <= j·stride − pad + n < width.
        const int low = g.pad_left - n, high = width - 1 + g.pad_left - n;
        int j = low > 0 ? (low + g.stride_w - 1) / g.stride_w : 0;
        const int last = high < 0 ? -1 : (high / g.stride_w < g.z.width - 1 ? high / g.stride_w : g.z.width - 1);
        Cut cut{last + 1 - j, narrow_pixels};
        while (j <= last) {
          const int pixels = cut.next();
          Tile<T> t{};
          t.x = d + ptrdiff_t(j) * filters * L;
          t.x_pixel = ptrdiff_t(filters) * L;
          t.segments = 1;
          t.length = filters;
          t.w_k = C;
          t.z_pixel = ptrdiff_t(g.stride_w) * channels * L;
          t.floor = no_floor<T>;
          t.add = true;
          T* z = row + (ptrdiff_t(j) * g.stride_w - g.pad_left + n) * channels * L;
          for (int c = 0; c < tiles; c++) {
            t.w = g.packed + ((ptrdiff_t(m) * g.kernel_w + n) * tiles + c) * filters * C;
            t.z = z + c * C * L;
            t.channels = channels - c * C < C ? channels - c * C : C;
            tile_up_to<T, C, narrow_pixels, false>(pixels, t);
          }
          j += pixels;
        }
      }
    }
    hadamard_row<T>(g.post, g.x_delta, b, u);
  }
}

// Weight gradient of C filters and P consecutive (kernel column, channel) pairs of one kernel row: lanes accumulate the
// gradients of their own samples; only the end sums over them.
// With the bias, its gradient (conv 3: the sum of δ over positions and samples) is summed on the way.
template <class T, int C, int P, bool with_bias>
__attribute__((noinline)) static void correlate(const ConvArgs<T>& g, int filter, int m, int r) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, filters = g.z.channels;
  const ptrdiff_t step = ptrdiff_t(g.stride_w) * channels * L;
  Vec<T> acc[C][P];
#pragma GCC unroll 16
  for (int c = 0; c < C; c++)
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) acc[c][p] = Vec<T>{};
  Vec<T> bias[C] = {};
  for (int b = 0; b < g.blocks; b++)
    for (int i = 0; i < g.z.height; i++) {
      const T* x = g.x.data + b * g.x.block + (ptrdiff_t(i) * g.stride_h - g.pad_top + m) * g.x.row +
                   (r - ptrdiff_t(g.pad_left) * channels) * L;
      const T* d = g.z.data + b * g.z.block + i * g.z.row + ptrdiff_t(filter) * L;
      for (int j = 0; j < g.z.width; j++, x += step, d += ptrdiff_t(filters) * L) {
        Vec<T> xv[P];
#pragma GCC unroll 16
        for (int p = 0; p < P; p++) xv[p] = load(x + p * L);
#pragma GCC unroll 16
        for (int c = 0; c < C; c++) {
          const Vec<T> dv = load(d + c * L);   // past the last filter: read, not stored
          if (with_bias) bias[c] += dv;
#pragma GCC unroll 16
          for (int p = 0; p < P; p++) acc[c][p] += dv * xv[p];
        }
      }
    }
  const ptrdiff_t row = ptrdiff_t(g.kernel_w) * channels;
#pragma GCC unroll 16
  for (int first = 0; first < C * P; first += L) {
    Vec<T> group[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) group[i] = first + i < C * P ? acc[(first + i) / P % C][(first + i) % P] : Vec<T>{};
    T sums[L] __attribute__((aligned(CHAINRULE_BYTES)));
    store(sums, sum_each<T>(group));
    for (int i = 0; i < L && first + i < C * P; i++) {
      const int c = (first + i) / P, p = (first + i) % P;
      if (filter + c < filters) g.weight_gradient[(ptrdiff_t(filter + c) * g.kernel_h + m) * row + r + p] = sums[i];
    }
  }
  if (with_bias)
    for (int c = 0; c < C && filter + c < filters; c++) g.bias_gradient[filter + c] = sum_lanes<T>(bias[c]);
}
template <class T, int C, int P>
inline void correlate_up_to(int pairs, const ConvArgs<T>& g, int filter, int m, int r) {
  if (pairs == P)
    return g.bias_gradient && m == 0 && r == 0 ? correlate<T, C, P, true>(g, filter, m, r)
                                               : correlate<T, C, P, false>(g, filter, m, r);
  if constexpr (P > 1) correlate_up_to<T, C, P - 1>(pairs, g, filter, m, r);
}

// A block with few samples: there the lanes of a vector are filters, not samples, and only the samples that exist are
// multiplied; for 10 samples of 16 lanes and 40 filters three quarters of the work. δ is transposed once to
// [panel of filters][pixel][sample][filter], the gradient is summed as [panel][pair][filter] and copied out at the end.
template <class T>
inline bool few_samples_gradient(const ConvArgs<T>& g) {
  return g.blocks == 1 && panels<T>(g.z.channels) * g.samples * 10 <= g.z.channels * 9;
}
template <class T>
static size_t conv_few_size(const ConvArgs<T>& g) {
  const size_t columns = size_t(panels<T>(g.z.channels)), L = size_t(lanes<T>);
  return columns * L *
         (size_t(g.z.height) * size_t(g.z.width) * L + size_t(g.kernel_h) * size_t(g.kernel_w) * size_t(g.x.channels));
}
template <class T>
inline T* few_sums(const ConvArgs<T>& g) {
  return g.partial + ptrdiff_t(panels<T>(g.z.channels)) * g.z.height * g.z.width * lanes<T> * lanes<T>;
}

// Unit: output row.
template <class T>
static void conv_few_transpose(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int filters = g.z.channels;
  T square[L * L] __attribute__((aligned(64)));
  for (int i = begin; i < end; i++)
    for (int j = 0; j < g.z.width; j++)
      for (int k = 0; k < filters; k += L) {
        // Past the last filter the neighbouring pixel is read; those columns of the gradient are not copied out.
        transpose<T>(g.z.data + i * g.z.row + (ptrdiff_t(j) * filters + k) * L, L, square, L);
        T* to = g.partial + ((ptrdiff_t(k / L) * g.z.height + i) * g.z.width + j) * g.samples * L;
        __builtin_memcpy(to, square, sizeof(T) * size_t(g.samples) * L);
      }
}

constexpr int few_pairs = 24;   // pairs of a unit
template <class T>
static int conv_few_units(const ConvArgs<T>& g) {
  if (!few_samples_gradient<T>(g)) return 0;
  return g.kernel_h * groups(g.kernel_w * g.x.channels, few_pairs) * groups(panels<T>(g.z.channels), gradient_columns);
}
// Unit: (kernel row, run of pairs, two panels).
template <class T>
static void conv_few_gradient(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int columns = panels<T>(g.z.channels), pairs = g.kernel_w * g.x.channels, width = g.z.width;
  const int steps = groups(columns, O), chunks = groups(pairs, few_pairs);
  const ptrdiff_t x_step = ptrdiff_t(g.stride_w) * g.x.channels * L, d_row = ptrdiff_t(width) * g.samples * L;
  const ptrdiff_t d_panel = d_row * g.z.height, g_panel = ptrdiff_t(g.kernel_h) * pairs * L;
  const Runs runs{width, g.samples, g.samples};
  for (int unit = begin; unit < end; unit++) {
    const int j = unit % steps * O, r = unit / steps % chunks * few_pairs, m = unit / steps / chunks;
    const int rows = pairs - r < few_pairs ? pairs - r : few_pairs;
    T* gradient = few_sums<T>(g) + j * g_panel + (ptrdiff_t(m) * pairs + r) * L;
    for (int i = 0; i < g.z.height; i++) {
      const T* x =
          g.x.data + (ptrdiff_t(i) * g.stride_h - g.pad_top + m) * g.x.row + (r - ptrdiff_t(g.pad_left) * g.x.channels) * L;
      const T* d = g.partial + j * d_panel + i * d_row;
      if (j + O <= columns) outer_rows<T, O>(x, x_step, d, d_panel, gradient, g_panel, rows, runs, i > 0);
      else outer_rows<T, 1>(x, x_step, d, d_panel, gradient, g_panel, rows, runs, i > 0);
    }
  }
}

// Unit: filter.
template <class T>
static void conv_few_finish(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t size = ptrdiff_t(g.kernel_h) * g.kernel_w * g.x.channels;
  for (int k = begin; k < end; k++) {
    const T* sums = few_sums<T>(g) + (k / L) * size * L + k % L;
    for (ptrdiff_t i = 0; i < size; i++) g.weight_gradient[k * size + i] = sums[i * L];
    if (!g.bias_gradient) continue;
    Vec<T> sum{};
    for (int i = 0; i < g.z.height; i++)
      for (int j = 0; j < g.z.width; j++) sum += load(g.z.data + i * g.z.row + (ptrdiff_t(j) * g.z.channels + k) * L);
    g.bias_gradient[k] = sum_lanes<T>(sum);
  }
}

// Unit: (kernel row, run of pairs, tile of filters).
template <class T>
static int conv_gradient_units(const ConvArgs<T>& g) {
  return g.kernel_h * groups(g.kernel_w * g.x.channels, narrow_pixels) * channel_tiles<T>(g.z.channels);
}
template <class T>
static void conv_gradient(const ConvArgs<T>& g, int begin, int end) {
  const int pairs = g.kernel_w * g.x.channels, runs = groups(pairs, narrow_pixels), tiles = channel_tiles<T>(g.z.channels);
  for (int unit = begin; unit < end; unit++) {
    const int filter = (unit % tiles) * narrow_channels, run = unit / tiles % runs, m = unit / tiles / runs;
    const int r = int(int64_t(run) * pairs / runs), r_end = int(int64_t(run + 1) * pairs / runs);
    correlate_up_to<T, narrow_channels, narrow_pixels>(r_end - r, g, filter, m, r);
  }
}
