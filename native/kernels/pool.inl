// Max and average pooling over windows of any size and stride, overlapping or not (seed 000, pooling; seed 003).
// The δ of a window goes to its first maximum in row-major order, or in equal parts to all; where windows overlap, it adds up.

// The common 2x2 window is known to the compiler (backward: 2.3 times as fast), every other size is not.
template <class T, class F>
inline void for_window(const PoolArgs<T>& g, F&& body) {
  if (g.window_h == 2 && g.window_w == 2) body.template operator()<2>();
  else body.template operator()<0>();
}

// Unit: output row of a block.
template <class T, int size>
static void pool_forward_rows(const PoolArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int window_h = size ? size : g.window_h, window_w = size ? size : g.window_w;
  const int channels = g.x.channels, height = g.z.height;
  const T share = T(1) / T(g.window_h * g.window_w);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, i = unit % height;
    const T* rows = g.x.data + b * g.x.block + ptrdiff_t(i) * g.stride_h * g.x.row;
    T* z = g.z.data + b * g.z.block + i * g.z.row;
    for (int j = 0; j < g.z.width; j++)
      for (int c = 0; c < channels; c++) {
        const T* x = rows + (ptrdiff_t(j) * g.stride_w * channels + c) * L;
        Vec<T> value = load(x);
        for (int m = 0; m < window_h; m++)
          for (int n = 0; n < window_w; n++) {
            if (m == 0 && n == 0) continue;
            const Vec<T> next = load(x + m * g.x.row + ptrdiff_t(n) * channels * L);
            // NaN wins, so that it is seen: a comparison with NaN is false.
            if (g.average) value += next;
            else value = ((next > value) | (next != next)) ? next : value;
          }
        store(z + (ptrdiff_t(j) * channels + c) * L, g.average ? value * share : value);
      }
  }
}

template <class T>
static void pool_forward(const PoolArgs<T>& g, int begin, int end) {
  for_window<T>(g, [&]<int size>() { pool_forward_rows<T, size>(g, begin, end); });
}

// One window: adds (or, where windows cannot overlap, writes) the δ of its output.
template <class T, bool add, int size>
inline void pool_window(const PoolArgs<T>& g, const T* x, T* x_delta, Vec<T> maximum, Vec<T> d, ptrdiff_t x_pixel) {
  const int window_h = size ? size : g.window_h, window_w = size ? size : g.window_w;
  const T share = T(1) / T(window_h * window_w);
  for (int m = 0; m < window_h; m++)
    for (int n = 0; n < window_w; n++) {
      T* to = x_delta + m * g.x_delta.row + n * x_pixel;
      Vec<T> part;
      if (g.average) {
        part = d * share;
      } else {
        const Mask<T> winner = load(x + m * g.x.row + n * x_pixel) == maximum;
        part = winner ? d : Vec<T>{};
        d = winner ? Vec<T>{} : d;
      }
      store(to, add ? load(to) + part : part);
    }
}

// The only pixel a window of a max pool sends δ to holds the maximum itself, so f' of the layer below can be taken there,
// once a window, wherever f' is computed from the pool's own input.
template <class T>
inline bool derivative_at_maximum(const PoolArgs<T>& g) {
  return !g.average && g.post.saved.data == g.x.data;
}
template <class T>
inline Vec<T> window_delta(const PoolArgs<T>& g, bool at_maximum, Vec<T> maximum, Vec<T> d) {
  if (!at_maximum || g.post.kind == Act::identity) return d;
  if (g.post.kind == Act::relu) return maximum > T(0) ? d : Vec<T>{};
  return d * derivative<T>(g.post.kind, g.post.slope, maximum);
}

inline bool pool_overlaps(int window_h, int window_w, int stride_h, int stride_w) {
  return window_h > stride_h || window_w > stride_w;
}
constexpr int pool_channels = 4;   // channels per unit where windows overlap

// Unit: output row of a block where windows are apart; (block, group of channels) where they overlap.
template <class T>
static int pool_backward_units(const PoolArgs<T>& g) {
  if (pool_overlaps(g.window_h, g.window_w, g.stride_h, g.stride_w)) return g.blocks * groups(g.x.channels, pool_channels);
  return g.blocks * g.z.height;
}

template <class T, int size>
static void pool_backward_apart(const PoolArgs<T>& g, int b, int i) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const ptrdiff_t x_pixel = ptrdiff_t(channels) * L;
  const int first = i * g.stride_h, last = i + 1 < g.z.height ? first + g.stride_h : g.x.height;   // rows this unit owns
  const bool gaps = g.window_h < last - first || g.window_w < g.stride_w || g.z.width * g.stride_w < g.x.width;
  if (gaps)
    for (int u = first; u < last; u++)
      __builtin_memset(g.x_delta.data + b * g.x_delta.block + u * g.x_delta.row, 0, sizeof(T) * size_t(g.x.width) * x_pixel);
  const bool at_maximum = derivative_at_maximum<T>(g);
  const T* x = g.x.data + b * g.x.block + first * g.x.row;
  const T* z = g.z.data + b * g.z.block + i * g.z.row;
  const T* d = g.z_delta.data + b * g.z_delta.block + i * g.z_delta.row;
  T* to = g.x_delta.data + b * g.x_delta.block + first * g.x_delta.row;
  for (int j = 0; j < g.z.width; j++)
    for (int c = 0; c < channels; c++) {
      const ptrdiff_t at = ptrdiff_t(j) * x_pixel + c * L, from = ptrdiff_t(j) * g.stride_w * x_pixel + c * L;
      const Vec<T> maximum = load(z + at);
      pool_window<T, false, size>(g, x + from, to + from, maximum, window_delta<T>(g, at_maximum, maximum, load(d + at)),
                                  x_pixel);
    }
  if (at_maximum) return;
  for (int u = first; u < last; u++) hadamard_row<T>(g.post, g.x_delta, b, u);
}

template <class T, int size>
static void pool_backward_overlapping(const PoolArgs<T>& g, int b, int c0, int c1) {
  constexpr int L = lanes<T>;
  const ptrdiff_t x_pixel = ptrdiff_t(g.x.channels) * L, run = ptrdiff_t(c1 - c0) * L;
  T* delta = g.x_delta.data + b * g.x_delta.block + c0 * L;
  for (int u = 0; u < g.x.height; u++)
    for (int v = 0; v < g.x.width; v++) __builtin_memset(delta + u * g.x_delta.row + v * x_pixel, 0, sizeof(T) * size_t(run));
  const bool at_maximum = derivative_at_maximum<T>(g);
  for (int i = 0; i < g.z.height; i++)
    for (int j = 0; j < g.z.width; j++) {
      const ptrdiff_t at = i * g.z.row + ptrdiff_t(j) * x_pixel, d_at = i * g.z_delta.row + ptrdiff_t(j) * x_pixel;
      for (int c = c0; c < c1; c++) {
        const Vec<T> maximum = load(g.z.data + b * g.z.block + at + c * L);
        pool_window<T, true, size>(
            g, g.x.data + b * g.x.block + ptrdiff_t(i) * g.stride_h * g.x.row + ptrdiff_t(j) * g.stride_w * x_pixel + c * L,
            g.x_delta.data + b * g.x_delta.block + ptrdiff_t(i) * g.stride_h * g.x_delta.row +
                ptrdiff_t(j) * g.stride_w * x_pixel + c * L,
            maximum, window_delta<T>(g, at_maximum, maximum, load(g.z_delta.data + b * g.z_delta.block + d_at + c * L)),
            x_pixel);
      }
    }
  if (at_maximum || g.post.kind == Act::identity) return;
  for (int u = 0; u < g.x.height; u++)
    for (int v = 0; v < g.x.width; v++) {
      T* d = delta + u * g.x_delta.row + v * x_pixel;
      derive_run<T>(g.post.kind, g.post.slope,
                    g.post.saved.data + b * g.post.saved.block + u * g.post.saved.row + v * x_pixel + c0 * L, d, d, c1 - c0);
    }
}

template <class T, int size>
static void pool_backward_units_of(const PoolArgs<T>& g, int begin, int end) {
  if (!pool_overlaps(g.window_h, g.window_w, g.stride_h, g.stride_w)) {
    for (int unit = begin; unit < end; unit++) pool_backward_apart<T, size>(g, unit / g.z.height, unit % g.z.height);
    return;
  }
  const int per_block = groups(g.x.channels, pool_channels);
  for (int unit = begin; unit < end; unit++) {
    const int c0 = unit % per_block * pool_channels, c1 = c0 + pool_channels < g.x.channels ? c0 + pool_channels : g.x.channels;
    pool_backward_overlapping<T, size>(g, unit / per_block, c0, c1);
  }
}
template <class T>
static void pool_backward(const PoolArgs<T>& g, int begin, int end) {
  for_window<T>(g, [&]<int size>() { pool_backward_units_of<T, size>(g, begin, end); });
}
