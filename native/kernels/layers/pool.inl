// Max, average, L2 and Lp pooling over windows of any size and stride, overlapping or not (Tutorial, pooling; Wang).
// The δ of a window goes to its first maximum in row-major order, in equal parts to all its pixels, or in parts proportional
// to them; where windows overlap, it adds up. Padding is never read: windows are cut at the border of the picture.
// Means and squares are summed in double: a window's sum may be above float32 where its mean is not, its squares where their
// root is not. Where squares leave double, and always for the powers of Lp, a window is divided by its largest magnitude first.
//
// Read `pool_reach`, what a window covers; `pool_forward_rows`, with `large_window`; `pool_window`, δ of one window; then the
// two orders of windows, `pool_backward_apart`, with `large_windows_apart`, and `pool_backward_overlapping`. Shapes: x, δ_x
// [block][height][width][channels][lane]; z, δ_z the same with a pixel per window.

// The common windows of 2x2 and 3x3 are known to the compiler (2x2 backward: 2.3 times as fast), every other size is not; so
// are those of 2x2 in each plane of a volume.
template <class T, class F>
inline void for_window(const PoolArgs<T>& g, F&& body) {
  const auto with_kind = [&]<int size, bool deep>() {
    switch (g.kind) {
      case PoolKind::max:
        return body.template operator()<PoolKind::max, size, deep>();
      case PoolKind::average:
        return body.template operator()<PoolKind::average, size, deep>();
      case PoolKind::l2:
        return body.template operator()<PoolKind::l2, size, deep>();
      case PoolKind::lp:   // of any size: powers take longer than what the compiler gains
        return body.template operator()<PoolKind::lp, 0, deep>();
    }
  };
  const int size = g.padded || g.window_h != g.window_w ? 0 : g.window_h;
  if (g.volume && size == 2) with_kind.template operator()<2, true>();
  else if (g.volume) with_kind.template operator()<0, true>();
  else if (size == 2) with_kind.template operator()<2, false>();
  else if (size == 3) with_kind.template operator()<3, false>();
  else with_kind.template operator()<0, false>();
}

template <class T>
inline int x_rows(const PoolArgs<T>& g) {   // of a plane
  return g.x.height / g.x_planes;
}
template <class T>
inline int z_rows(const PoolArgs<T>& g) {
  return g.z.height / g.z_planes;
}

// Where a window begins in the picture (-1: one pixel before it), its row `top` among those of all planes, and its part
// [d0, d1) x [m0, m1) x [n0, n1) that lies inside.
struct Reach {
  int top, left, d0, d1, m0, m1, n0, n1;
};
// Of output row i of all planes.
template <class T, bool deep>
inline Reach pool_reach(const PoolArgs<T>& g, int i, int j) {
  const int rows = deep ? x_rows(g) : g.x.height, row = deep ? i % z_rows(g) : i;
  const int front = deep ? i / z_rows(g) * g.stride_d - g.pad_front : 0, behind = deep ? g.x_planes - front : 1;
  const int top = row * g.stride_h - g.pad_top, left = j * g.stride_w - g.pad_left;
  const int below = rows - top, right = g.x.width - left;
  return {front * rows + top,     left,
          front < 0 ? -front : 0, deep && behind >= g.window_d ? g.window_d : behind,
          top < 0 ? -top : 0,     below < g.window_h ? below : g.window_h,
          left < 0 ? -left : 0,   right < g.window_w ? right : g.window_w};
}
// What a sum is multiplied by: 1, or for a mean 1 / (the pixels counted).
template <class T>
inline double pool_share(const PoolArgs<T>& g, const Reach& r) {
  if (!g.mean) return 1;
  return 1.0 /
         (g.count_padding ? double(g.window_d) * g.window_h * g.window_w : double(r.d1 - r.d0) * (r.m1 - r.m0) * (r.n1 - r.n0));
}

// r^p for r from 0 to 1: multiples of 1/2 by products and a root, as programs have them, others as e^{p log r}, whose error of
// p |log r| roundings is below one of 1, the largest there is. (The C library's power took 4.2 times as long as this way.)
template <class T>
inline Vec<T> pool_power(Vec<T> r, double p) {
  const int whole = int(p);
  const double rest = p - whole;
  if (rest != 0 && rest != 0.5) {
    const Mask<T> there = r > T(0);
    return there ? exp<T>(T(p) * log_any<T>(there ? r : broadcast<T>(T(1)))) : Vec<T>{};
  }
  Vec<T> result = broadcast<T>(T(1)), square = r;
  for (int n = whole; n; n >>= 1, square *= square)
    if (n & 1) result *= square;
  for (int l = 0; rest != 0 && l < lanes<T>; l++) result[l] *= __builtin_sqrt(r[l]);
  return result;
}

// The unit that the entries of a window are measured in, in every lane.
template <class T>
struct PoolUnit {
  Vec<T> unit, inverse;
  Mask<T> ordinary;   // whether 1 / unit has all its digits; else they are divided, lane by lane: neighbours change no bit
  bool all;
  explicit PoolUnit(Vec<T> of) : unit(of), inverse(T(1) / of) {
    ordinary = (of > T(is_float<T> ? 1e-37 : 1e-307)) & (of < T(is_float<T> ? 1e37 : 1e307));
    all = all_lanes<T>(ordinary);
  }
  Vec<T> of(Vec<T> x) const {
    const Vec<T> share = absolute<T>(x) * inverse;
    return all ? share : ordinary ? share : absolute<T>(x) / unit;
  }
};

// (share Σ |x|^p)^(1/p) of a window, whose entries `each` hands to its argument: with the largest of them as the unit, which is
// 0, infinite or NaN where the result is.
template <class T, class F>
inline Vec<T> pool_root(double p, double share, F&& each) {
  Vec<T> most{}, sum{};
  each([&](Vec<T> x) {
    const Vec<T> size = absolute<T>(x);
    most = (size > most) | (size != size) ? size : most;
  });
  const Mask<T> within = (most > T(0)) & (most < T(__builtin_inf()));
  const PoolUnit<T> unit(within ? most : broadcast<T>(T(1)));
  each([&](Vec<T> x) { sum += pool_power<T>(unit.of(x), p); });
  sum *= T(share);
  if (p == 2)
    for (int l = 0; l < lanes<T>; l++) sum[l] = __builtin_sqrt(sum[l]);
  else if (p != 1) sum = exp<T>(log<T>(within ? sum : broadcast<T>(T(1))) * T(1 / p));
  return within ? unit.unit * sum : most;
}

// Windows of so many pixels are read pixel by pixel, some channels of each: channel by channel every number of a window lies in
// another page (a mean over 32x32 pixels of 64 channels ran at 1 GB/s).
constexpr int large_pixels = 16, large_channels = 16;
template <PoolKind kind, int size, bool deep>
constexpr bool by_pixel = (kind == PoolKind::max || kind == PoolKind::average) && size == 0 && !deep;
template <class T, PoolKind kind, int size, bool deep>
inline bool is_large(const PoolArgs<T>& g) {
  return by_pixel<kind, size, deep> && int64_t(g.window_h) * g.window_w >= large_pixels;
}
template <class T, PoolKind kind>
inline void large_window(const PoolArgs<T>& g, const Reach& r, const T* x, T* z, ptrdiff_t pixel, double share, int channels) {
  constexpr int L = lanes<T>;
  double sums[large_channels * L] __attribute__((aligned(64))) = {};
  for (int m = r.m0; m < r.m1; m++)
    for (int n = r.n0; n < r.n1; n++) {
      const T* const at = x + m * g.x.row_step + n * pixel;
      if constexpr (kind == PoolKind::max) {
        for (int c = 0; c < channels; c++) {
          const Vec<T> next = load(at + c * L), value = m == r.m0 && n == r.n0 ? next : load(z + c * L);
          store(z + c * L, ((next > value) | (next != next)) ? next : value);   // NaN wins
        }
      } else {
        add_widened<T>(sums, at, ptrdiff_t(channels) * L, false);
      }
    }
  for (int c = 0; kind != PoolKind::max && c < channels; c++) store(z + c * L, narrow<T>(load_wide<T>(sums + c * L) * share));
}

// Unit: output row of a block.
template <class T, PoolKind kind, int size, bool deep>
static void pool_forward_rows(const PoolArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, height = g.z.height;
  const ptrdiff_t pixel = ptrdiff_t(channels) * L, plane = deep ? x_rows(g) * g.x.row_step : 0;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, i = unit % height;
    T* z = g.z.row(b, i);
    for (int j = 0; j < g.z.width; j++) {
      const Reach r = pool_reach<T, deep>(g, i, j);
      const int d0 = deep ? r.d0 : 0, d1 = deep ? r.d1 : 1;
      const int m0 = size ? 0 : r.m0, m1 = size ? size : r.m1, n0 = size ? 0 : r.n0, n1 = size ? size : r.n1;
      const double share = pool_share<T>(g, r);
      const T* window = g.x.row(b, r.top) + r.left * pixel;
      int c = 0;
      if constexpr (by_pixel<kind, size, deep>)
        for (; is_large<T, kind, size, deep>(g) && c < channels; c += large_channels)
          large_window<T, kind>(g, r, window + c * L, z + j * pixel + c * L, pixel, share,
                                channels - c < large_channels ? channels - c : large_channels);
      for (; c < channels; c++) {
        const T* x = window + c * L;
        if constexpr (kind == PoolKind::max) {
          Vec<T> value = load(x + d0 * plane + m0 * g.x.row_step + n0 * pixel);
          for (int d = d0; d < d1; d++)
            for (int m = m0; m < m1; m++)
              for (int n = n0; n < n1; n++) {
                const Vec<T> next = load(x + d * plane + m * g.x.row_step + n * pixel);
                // NaN wins, so that it is seen: a comparison with NaN is false.
                value = ((next > value) | (next != next)) ? next : value;
              }
          store(z + j * pixel + c * L, value);
        } else {
          const auto each = [&](auto&& take) {
            for (int d = d0; d < d1; d++)
              for (int m = m0; m < m1; m++)
                for (int n = n0; n < n1; n++) take(load(x + d * plane + m * g.x.row_step + n * pixel));
          };
          if constexpr (kind == PoolKind::lp) {
            store(z + j * pixel + c * L, pool_root<T>(g.power, share, each));
            continue;
          }
          Wide<T> sum{};
          for (int d = d0; d < d1; d++)
            for (int m = m0; m < m1; m++)
              for (int n = n0; n < n1; n++) {
                const Wide<T> next = widen<T>(load(x + d * plane + m * g.x.row_step + n * pixel));
                sum += kind == PoolKind::l2 ? next * next : next;
              }
          sum *= share;
          [[maybe_unused]] const Wide<T> squares = sum;
          for (int l = 0; kind == PoolKind::l2 && l < L; l++) sum[l] = __builtin_sqrt(sum[l]);
          Vec<T> value = narrow<T>(sum);
          if constexpr (kind == PoolKind::l2 && !is_float<T>) {
            Mask<T> beyond = (squares < 1e-280) | (squares == __builtin_inf());
            if (!all_lanes<T>(~beyond)) {
              Mask<T> bits{};   // of all entries: none where the sum is 0 in truth
              each([&](Vec<T> entry) { bits |= reinterpret_cast<Mask<T>>(entry); });
              beyond &= (bits << 1) != 0;
              if (!all_lanes<T>(~beyond)) value = beyond ? pool_root<T>(2, share, each) : value;
            }
          }
          store(z + j * pixel + c * L, value);
        }
      }
    }
  }
}

template <class T>
static void pool_forward(const PoolArgs<T>& g, int begin, int end) {
  for_window<T>(g, [&]<PoolKind kind, int size, bool deep>() { pool_forward_rows<T, kind, size, deep>(g, begin, end); });
}

// One window of an Lp pool, as `pool_window` below: d · sign(x) (|x| / z)^{p−1}.
template <class T, bool add, bool deep>
static void lp_window(const PoolArgs<T>& g, const Reach& r, const T* x, T* x_delta, Vec<T> value, Vec<T> d, ptrdiff_t x_pixel) {
  const PoolUnit<T> unit(value == T(0) ? broadcast<T>(T(1)) : value);
  const int rows = deep ? x_rows(g) : 0;
  for (int p = deep ? r.d0 : 0; p < (deep ? r.d1 : 1); p++)
    for (int m = p * rows + r.m0; m < p * rows + r.m1; m++)
      for (int n = r.n0; n < r.n1; n++) {
        T* to = x_delta + m * g.x_delta.row_step + n * x_pixel;
        const Vec<T> at = load(x + m * g.x.row_step + n * x_pixel), part = d * pool_power<T>(unit.of(at), g.power - 1);
        const Vec<T> own = at > T(0) ? part : at < T(0) ? -part : Vec<T>{};
        store(to, add ? load(to) + own : own);
      }
}

// One window: adds (or, where windows cannot overlap, writes) the δ of its output. x and x_delta are where it begins.
template <class T, PoolKind kind, bool add, int size, bool deep>
inline void pool_window(const PoolArgs<T>& g, const Reach& r, const T* x, T* x_delta, Vec<T> value, Vec<T> d, T share,
                        ptrdiff_t x_pixel) {
  if constexpr (kind == PoolKind::lp) return lp_window<T, add, deep>(g, r, x, x_delta, value, d, x_pixel);
  const int d0 = deep ? r.d0 : 0, d1 = deep ? r.d1 : 1;
  const int m0 = size ? 0 : r.m0, m1 = size ? size : r.m1, n0 = size ? 0 : r.n0, n1 = size ? size : r.n1;
  const int rows = deep ? x_rows(g) : 0;
  if (kind != PoolKind::max) d *= share;
  for (int p = d0; p < d1; p++)
    for (int m = p * rows + m0; m < p * rows + m1; m++)
      for (int n = n0; n < n1; n++) {
        T* to = x_delta + m * g.x_delta.row_step + n * x_pixel;
        Vec<T> part = d;
        if (kind == PoolKind::l2) {
          // Not d / value, which may overflow.
          part = value == T(0) ? Vec<T>{} : d * (load(x + m * g.x.row_step + n * x_pixel) / value);
        } else if (kind == PoolKind::max) {
          const Mask<T> winner = load(x + m * g.x.row_step + n * x_pixel) == value;
          part = winner ? d : Vec<T>{};
          d = winner ? Vec<T>{} : d;
        }
        store(to, add ? load(to) + part : part);
      }
}

// The only pixel a window of a max pool sends δ to holds the maximum itself, so f' of the layer below can be taken there,
// once a window, wherever f' is computed from the pool's own input.
template <class T, PoolKind kind>
inline bool derivative_at_maximum(const PoolArgs<T>& g) {
  return kind == PoolKind::max && g.post.saved.data == g.x.data;
}
template <class T>
inline Vec<T> window_delta(const PoolArgs<T>& g, bool at_maximum, Vec<T> maximum, Vec<T> d) {
  if (!at_maximum) return d;
  return for_kind(g.post.kind, [&]<Act k>() { return times_derivative<T, k>(g.post.slope, maximum, d); });
}

// Windows that overlap share pixels; padded ones are cut, so that rows of windows own no fixed rows of pixels.
template <class T>
inline bool pool_overlaps(const PoolArgs<T>& g) {
  return g.window_d > g.stride_d || g.window_h > g.stride_h || g.window_w > g.stride_w || g.padded;
}
// Channels per unit where windows overlap: as many as lie side by side in 1 KB, unless threads would have nothing to do.
template <class T>
inline int pool_channels(const PoolArgs<T>& g) {
  constexpr int most = 16;
  return g.blocks * groups(g.x.channels, most) >= 8 ? most : 4;
}

// Unit: output row of a block where windows are apart; (block, group of channels) where they overlap.
template <class T>
static int pool_backward_units(const PoolArgs<T>& g) {
  if (pool_overlaps<T>(g)) return g.blocks * groups(g.x.channels, pool_channels<T>(g));
  return g.blocks * g.z.height;
}

// As below, of large windows, row by row of x, which is in the cache for f'. left: δ of maxima whose pixel is not found yet.
template <class T, PoolKind kind>
static void large_windows_apart(const PoolArgs<T>& g, int b, int i, int first, int last, T share) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const ptrdiff_t x_pixel = ptrdiff_t(channels) * L;
  const bool at_maximum = derivative_at_maximum<T, kind>(g);
  const T* const x = g.x.row(b, first);
  const T* const z = g.z.row(b, i);
  const T* const d = g.z_delta.row(b, i);
  T* const to = g.x_delta.row(b, first);
  T left[large_channels * L] __attribute__((aligned(64)));
  for (int j = 0; kind == PoolKind::max && j < g.z.width; j++)
    for (int c0 = 0; c0 < channels; c0 += large_channels) {
      const int count = channels - c0 < large_channels ? channels - c0 : large_channels;
      const ptrdiff_t at = ptrdiff_t(j) * x_pixel + c0 * L, from = ptrdiff_t(j) * g.stride_w * x_pixel + c0 * L;
      for (int c = 0; c < count; c++)
        store(left + c * L, window_delta<T>(g, at_maximum, load(z + at + c * L), load(d + at + c * L)));
      for (int m = 0; m < g.window_h; m++)
        for (int n = 0; n < g.window_w; n++)
          for (int c = 0; c < count; c++) {
            const Vec<T> own = load(left + c * L);
            const Mask<T> winner = load(x + from + m * g.x.row_step + n * x_pixel + c * L) == load(z + at + c * L);
            store(to + from + m * g.x_delta.row_step + n * x_pixel + c * L, winner ? own : Vec<T>{});
            store(left + c * L, winner ? Vec<T>{} : own);
          }
    }
  for (int u = first; u < last; u++) {
    for (int j = 0; kind == PoolKind::average && u - first < g.window_h && j < g.z.width; j++)
      for (int n = 0; n < g.window_w; n++) {
        T* const pixel = to + (u - first) * g.x_delta.row_step + (ptrdiff_t(j) * g.stride_w + n) * x_pixel;
        for (int c = 0; c < channels; c++) store(pixel + c * L, load(d + ptrdiff_t(j) * x_pixel + c * L) * share);
      }
    if (!at_maximum) hadamard_row<T>(g.post, g.x_delta, b, u);
  }
}

template <class T, PoolKind kind, int size, bool deep>
static void pool_backward_apart(const PoolArgs<T>& g, int b, int i) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, rows = x_rows(g), row = i % z_rows(g), plane = i / z_rows(g);
  const ptrdiff_t x_pixel = ptrdiff_t(channels) * L;
  // Rows that this unit owns, and planes.
  const int first = row * g.stride_h, last = row + 1 < z_rows(g) ? first + g.stride_h : rows;
  const int front = plane * g.stride_d, behind = plane + 1 < g.z_planes ? front + g.stride_d : g.x_planes;
  const bool gaps =
      g.window_d < behind - front || g.window_h < last - first || g.window_w < g.stride_w || g.z.width * g.stride_w < g.x.width;
  const auto each_row = [&](auto&& body) {
    for (int p = front; p < behind; p++)
      for (int u = first; u < last; u++) body(p * rows + u);
  };
  if (gaps) each_row([&](int u) { __builtin_memset(g.x_delta.row(b, u), 0, sizeof(T) * size_t(g.x.width) * x_pixel); });
  const bool at_maximum = derivative_at_maximum<T, kind>(g);
  const T* x = g.x.row(b, ptrdiff_t(front) * rows + first);
  const T* z = g.z.row(b, i);
  const T* d = g.z_delta.row(b, i);
  T* to = g.x_delta.row(b, ptrdiff_t(front) * rows + first);
  const Reach whole{0, 0, 0, g.window_d, 0, g.window_h, 0, g.window_w};
  const T share = T(pool_share<T>(g, whole));
  if (is_large<T, kind, size, deep>(g)) {
    if constexpr (by_pixel<kind, size, deep>) large_windows_apart<T, kind>(g, b, i, first, last, share);
    return;
  }
  for (int j = 0; j < g.z.width; j++)
    for (int c = 0; c < channels; c++) {
      const ptrdiff_t at = ptrdiff_t(j) * x_pixel + c * L, from = ptrdiff_t(j) * g.stride_w * x_pixel + c * L;
      const Vec<T> value = load(z + at);
      pool_window<T, kind, false, size, deep>(g, whole, x + from, to + from, value,
                                              window_delta<T>(g, at_maximum, value, load(d + at)), share, x_pixel);
    }
  if (at_maximum) return;
  each_row([&](int u) { hadamard_row<T>(g.post, g.x_delta, b, u); });
}

// Rows of pixels, of volumes planes, are cleared as the windows reach them, and multiplied by f' as these have left them, while
// they are in the cache.
template <class T, PoolKind kind, int size, bool deep>
static void pool_backward_overlapping(const PoolArgs<T>& g, int b, int c0, int c1) {
  constexpr int L = lanes<T>;
  const ptrdiff_t x_pixel = ptrdiff_t(g.x.channels) * L, run = ptrdiff_t(c1 - c0) * L;
  const bool at_maximum = derivative_at_maximum<T, kind>(g), derives = !at_maximum && g.post.kind != Act::identity;
  int cleared = 0, left = 0;   // rows
  const auto until = [&](int end, int& row, auto&& body) {
    for (; row < end && row < g.x.height; row++)
      for (int v = 0; v < g.x.width; v++) body(g.x_delta.row(b, row) + v * x_pixel + c0 * L, row, v);
  };
  const auto clear = [&](T* d, int, int) { __builtin_memset(d, 0, sizeof(T) * size_t(run)); };
  const auto derive = [&](T* d, int u, int v) {
    derive_run<T>(g.post.kind, g.post.slope, g.post.saved.row(b, u) + v * x_pixel + c0 * L, d, d, c1 - c0);
  };
  for (int i = 0; i < g.z.height; i++) {
    const int front = i / z_rows(g) * g.stride_d - g.pad_front;
    const int top = deep ? front * x_rows(g) : i * g.stride_h - g.pad_top, reach = deep ? g.window_d * x_rows(g) : g.window_h;
    until(top + reach, cleared, clear);
    if (derives) until(top < cleared ? top : cleared, left, derive);
    for (int j = 0; j < g.z.width; j++) {
      const Reach r = pool_reach<T, deep>(g, i, j);
      const T share = T(pool_share<T>(g, r));
      const T* x = g.x.row(b, r.top) + r.left * x_pixel;
      T* to = g.x_delta.row(b, r.top) + r.left * x_pixel;
      const T* z = g.z.row(b, i) + j * x_pixel;
      const T* d = g.z_delta.row(b, i) + j * x_pixel;
      for (int c = c0; c < c1; c++) {
        const Vec<T> value = load(z + c * L);
        pool_window<T, kind, true, size, deep>(g, r, x + c * L, to + c * L, value,
                                               window_delta<T>(g, at_maximum, value, load(d + c * L)), share, x_pixel);
      }
    }
  }
  until(g.x.height, cleared, clear);
  if (derives) until(g.x.height, left, derive);
}

template <class T, PoolKind kind, int size, bool deep>
static void pool_backward_units_of(const PoolArgs<T>& g, int begin, int end) {
  if (!pool_overlaps<T>(g)) {
    for (int unit = begin; unit < end; unit++)
      pool_backward_apart<T, kind, size, deep>(g, unit / g.z.height, unit % g.z.height);
    return;
  }
  const int size_of_unit = pool_channels<T>(g), per_block = groups(g.x.channels, size_of_unit);
  for (int unit = begin; unit < end; unit++) {
    const int c0 = unit % per_block * size_of_unit, c1 = c0 + size_of_unit < g.x.channels ? c0 + size_of_unit : g.x.channels;
    pool_backward_overlapping<T, kind, size, deep>(g, unit / per_block, c0, c1);
  }
}
template <class T>
static void pool_backward(const PoolArgs<T>& g, int begin, int end) {
  for_window<T>(g, [&]<PoolKind kind, int size, bool deep>() { pool_backward_units_of<T, kind, size, deep>(g, begin, end); });
}

// -- over steps ---------------------------------------------------------------------------------------------------------------

// The mean of a sequence whose steps lie in the lanes, [sample][steps / lanes][channels][lane]; z and its δ have samples there.
// Unit: sample.
template <class T>
static void steps_mean(const StepsMeanArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, whole = g.steps / L, rest = g.steps % L;
  for (int s = begin; s < end; s++) {
    const T* const x = g.x.block(s);
    T* const z = g.z.block(s / L) + s % L;
    for (int c = 0; c < channels; c++) {
      Wide<T> sum{};   // which may be above float32 where the mean is not
      for (int v = 0; v < whole; v++) sum += widen<T>(load(x + (ptrdiff_t(v) * channels + c) * L));
      double total = 0;
      for (int l = 0; l < L; l++) total += sum[l];
      for (int l = 0; l < rest; l++) total += double(x[(ptrdiff_t(whole) * channels + c) * L + l]);
      const T mean = T(total / g.steps);
      const bool last = s + 1 == g.samples;   // empty lanes hold a sample again, as `gather` has it
      for (int l = 0; l < (last ? L - s % L : 1); l++) z[c * L + l] = mean;
    }
  }
}
template <class T>
static void steps_mean_backward(const StepsMeanArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x_delta.channels, vectors = groups(g.steps, L), rest = g.steps % L;
  Vec<T> there = broadcast<T>(T(1));
  for (int l = rest; l < L && rest; l++) there[l] = T(0);
  for (int s = begin; s < end; s++) {
    const T* const d = g.z_delta.block(s / L) + s % L;
    T* const to = g.x_delta.block(s);
    for (int v = 0; v < vectors; v++)
      for (int c = 0; c < channels; c++) {
        const Vec<T> share = broadcast<T>(d[c * L] / T(g.steps));
        store(to + (ptrdiff_t(v) * channels + c) * L, v + 1 == vectors && rest ? share * there : share);
      }
  }
}
