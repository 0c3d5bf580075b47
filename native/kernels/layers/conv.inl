// Convolution, direct: forward (cross-correlation), δ by scattering each δ pixel through the kernel (exactly the needed
// products, at any stride and padding), and ∂w with accumulators per sample, summed over lanes at the end (conv ①②③).
//
// Read `conv_forward` down to its tile (`conv_forward_pixels`), with the packed weights it takes (`conv_pack_forward`); then
// `conv_backward` with `conv_scatter_row`; then `correlate`, the weight gradient, and what chooses its tiles,
// `conv_gradient`. `conv_filters_...` are the weight gradient with filters in the lanes.
// With F pairs of bfloat16: forward the channels of x are pairs, in the pass back the filters of z; of the gradient x has pairs
// of lanes (arithmetic/bfloat16.inl). Lengths count these then.
// Shapes: x, δ_x [block][height][width][channels][lane]; z, δ_z [block][height][width][filters][lane];
// w, ∂w [filters][kernel_h][kernel_w][channels / groups].

// A kernel's taps and their channels lie contiguously along a row of pixels, unless the taps are apart or a group sees only a
// part of the channels: then a row of the kernel is `kernel_w` segments.
template <class T>
inline bool whole_rows(const ConvArgs<T>& g) {
  return g.dilation_w == 1 && g.groups == 1;
}

template <class T>
inline int channel_tiles(int channels) {
  return (channels + narrow_channels - 1) / narrow_channels;
}
template <class T>
inline int group_channels(const ConvArgs<T>& g) {
  return g.x.channels / g.groups;
}
template <class T>
inline int group_filters(const ConvArgs<T>& g) {
  return g.z.channels / g.groups;
}
// Rows of a kernel, those of its planes one below the other, and its taps.
template <class T>
inline int kernel_rows(const ConvArgs<T>& g) {
  return g.kernel_d * g.kernel_h;
}
template <class T>
inline ptrdiff_t kernel_taps(const ConvArgs<T>& g) {
  return ptrdiff_t(kernel_rows(g)) * g.kernel_w;
}

// Of an axis: what a window meets there, [first, last).
struct Span {
  int first, last;
  int count() const { return last > first ? last - first : 0; }
};
// How far an axis reaches, [low, high), with what there is around it, and how windows stand on it.
struct Axis {
  int low, high, kernel, stride, dilation, pad;
  // The taps of window i that meet it.
  Span taps(int i) const {
    const ptrdiff_t at = ptrdiff_t(i) * stride - pad, room = high - 1 - at;
    const auto steps = [this](ptrdiff_t length) { return dilation == 1 ? length : length / dilation; };
    const ptrdiff_t first = at >= low ? 0 : steps(low - at + dilation - 1), last = room < 0 ? 0 : steps(room) + 1;
    return {int(first < kernel ? first : kernel), int(last < kernel ? last : kernel)};
  }
  bool meets(int i, int tap) const {
    const ptrdiff_t at = ptrdiff_t(i) * stride - pad + ptrdiff_t(tap) * dilation;
    return low <= at && at < high;
  }
  // Which of `windows` has this tap at u, if one has.
  bool window(int u, int tap, const Span& windows, int& i) const {
    const ptrdiff_t at = ptrdiff_t(u) + pad - ptrdiff_t(tap) * dilation;
    i = int(stride == 1 ? at : at / stride);   // no division in the common case
    if (ptrdiff_t(i) * stride != at) return false;
    return windows.first <= i && i < windows.last;
  }
};
// The planes and rows of an image: zeros around it are no terms of any sum. Of bands those beside are there as well.
template <class T>
struct Image {
  int x_planes, z_planes, x_rows, z_rows;   // rows of a plane
  Axis planes, rows;
  Span plane_windows, row_windows;   // whose δ is there
  explicit Image(const ConvArgs<T>& g)
      : x_planes(g.x_planes),
        z_planes(g.z_planes),
        x_rows(g.x.height / g.x_planes),
        z_rows(g.z.height / g.z_planes),
        planes{g.volume ? -g.x_above : 0,
               g.x_planes + (g.volume ? g.x_below : 0),
               g.kernel_d,
               g.stride_d,
               g.dilation_d,
               g.pad_front},
        rows{g.volume ? 0 : -g.x_above, x_rows + (g.volume ? 0 : g.x_below), g.kernel_h, g.stride_h, g.dilation_h, g.pad_top},
        plane_windows{g.volume ? -g.above : 0, z_planes + (g.volume ? g.below : 0)},
        row_windows{g.volume ? 0 : -g.above, z_rows + (g.volume ? 0 : g.below)} {}
  // Of a row of windows its plane, and its row in that.
  int plane_of(int unit) const { return z_planes == 1 ? 0 : unit / z_rows; }
  int row_of(int unit) const { return z_planes == 1 ? unit : unit % z_rows; }
  // The same of a row of pixels.
  int x_plane_of(int u) const { return x_planes == 1 ? 0 : u / x_rows; }
  int x_row_of(int u) const { return x_planes == 1 ? u : u % x_rows; }
  // Where tap (d, m) of the kernel's rows lies of a row of windows.
  ptrdiff_t row(int unit, int d, int m) const {
    return (ptrdiff_t(plane_of(unit)) * planes.stride - planes.pad + ptrdiff_t(d) * planes.dilation) * x_rows +
           ptrdiff_t(row_of(unit)) * rows.stride - rows.pad + ptrdiff_t(m) * rows.dilation;
  }
  bool meets(int unit, int d, int m) const { return planes.meets(plane_of(unit), d) && rows.meets(row_of(unit), m); }
};

// Packed weights of one group.
template <class T>
inline ptrdiff_t forward_panel(const ConvArgs<T>& g) {
  return ptrdiff_t(channel_tiles<T>(group_filters<T>(g))) * narrow_channels * kernel_taps(g) * group_channels<T>(g);
}
template <class T>
inline ptrdiff_t backward_panel(const ConvArgs<T>& g) {
  return ptrdiff_t(channel_tiles<T>(group_channels<T>(g))) * narrow_channels * kernel_taps(g) * group_filters<T>(g);
}

template <class T>
static size_t conv_packed_size(const ConvArgs<T>& g) {
  const ptrdiff_t forward = forward_panel<T>(g), backward = backward_panel<T>(g);
  return size_t(g.groups) * size_t(forward > backward ? forward : backward);
}

// [group][filter tile][kernel row][kernel_w][channel][4 filters]; missing filters are left as they are and never stored.
template <class T>
static void conv_pack_forward(const ConvArgs<T>& g, int begin, int end) {
  const int own = group_filters<T>(g);
  const ptrdiff_t size = kernel_taps(g) * group_channels<T>(g);
  for (int filter = begin; filter < end; filter++) {
    const int k = filter % own;
    const T* w = g.weights + filter * size;
    T* to =
        g.packed + filter / own * forward_panel<T>(g) + (k / narrow_channels) * narrow_channels * size + k % narrow_channels;
    if (k % narrow_channels == 0 && k + narrow_channels <= own && filter + narrow_channels <= end) {   // a tile at once
      for (ptrdiff_t i = 0; i < size; i++)
#pragma GCC unroll 8
        for (int c = 0; c < narrow_channels; c++) to[i * narrow_channels + c] = w[c * size + i];
      filter += narrow_channels - 1;
      continue;
    }
    for (ptrdiff_t i = 0; i < size; i++) to[i * narrow_channels] = w[i];
  }
}

// [group][kernel offset][channel tile][filter][4 channels]
template <class T>
static void conv_pack_backward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int C = narrow_channels;
  const int offsets = int(kernel_taps(g)), channels = group_channels<T>(g), filters = group_filters<T>(g),
            tiles = channel_tiles<T>(channels);
  for (int filter = begin; filter < end; filter++) {
    const int k = filter % filters;
    T* packed = g.packed + filter / filters * backward_panel<T>(g);
    for (int o = 0; o < offsets; o++) {
      const T* w = g.weights + (ptrdiff_t(filter) * offsets + o) * channels;
      for (int c = 0; c < channels; c++) packed[((ptrdiff_t(o) * tiles + c / C) * filters + k) * C + c % C] = w[c];
    }
  }
}

// `pixels` output pixels of one group: in one pass, or where the taps are not contiguous in a pass per row of the kernel. x:
// where the first tap would lie. planes, rows: those of the kernel that meet the image; x_plane: from one to the next.
template <class T, class F>
inline void conv_forward_pixels(const ConvArgs<T>& g, int group, const Span& planes, const Span& rows, ptrdiff_t x_plane,
                                const T* x, T* z, int pixels) {
  constexpr int L = lanes<T>, C = narrow_channels;
  const int channels = group_channels<T>(g), filters = group_filters<T>(g);
  const ptrdiff_t x_pixel = ptrdiff_t(g.x.channels) * L, w_row = ptrdiff_t(g.kernel_w) * channels * C;
  const bool whole = whole_rows<T>(g);
  const int present = planes.count() * rows.count(), passes = whole || present == 0 ? 1 : present;
  Tile<T, F> t{};
  t.x_pixel = g.stride_w * x_pixel;
  t.x_segment = whole ? g.dilation_h * g.x.row_step : g.dilation_w * x_pixel;
  t.segments = whole ? rows.count() : g.kernel_w;
  t.length = whole ? g.kernel_w * channels : channels;
  t.planes = present == 0 ? 0 : whole ? planes.count() : 1;
  t.x_plane = x_plane;
  t.w_k = C;
  t.w_segment = ptrdiff_t(t.length) * C;
  t.w_plane = g.kernel_h * w_row;
  if (whole) {   // the bits are those of a sum over all rows
    t.left_out = (kernel_rows(g) - present) * t.length;
    if (rows.first > 0 && t.length < fold_terms) t.before = rows.first % groups(fold_terms, t.length) * t.length;
  }
  t.z_pixel = ptrdiff_t(g.z.channels) * L;
  for (int k = 0; k < filters; k += C) {
    const int filter = group * filters + k;
    t.z = z + filter * L;
    t.bias = g.bias ? g.bias + filter : nullptr;
    t.channels = filters - k < C ? filters - k : C;
    const T* const w = g.packed + group * forward_panel<T>(g) + k * kernel_taps(g) * channels;
    for (int pass = 0; pass < passes; pass++) {
      const int d = planes.first + (whole || present == 0 ? 0 : pass / rows.count()),
                m = rows.first + (whole || present == 0 ? 0 : pass % rows.count());
      t.x = as<F>(x + group * channels * L + d * x_plane + m * g.dilation_h * g.x.row_step);
      t.w = as<F>(w + (ptrdiff_t(d) * g.kernel_h + m) * w_row);
      t.add = pass > 0;
      t.floor = !g.transposed && pass == passes - 1 ? floor_of<T>(g.post.kind) : no_floor<T>;
      tile_up_to<T, C, narrow_pixels, false>(pixels, t);
    }
  }
}

// Unit: output row of a block. Where this is the δ of a transposed convolution it ends with the factor f' of what lies below.
template <class T, class F = T>
static void conv_forward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int height = g.z.height, width = g.z.width;
  const ptrdiff_t x_pixel = ptrdiff_t(g.x.channels) * L, z_pixel = ptrdiff_t(g.z.channels) * L;
  const Image<T> image(g);
  const ptrdiff_t x_plane = ptrdiff_t(g.dilation_d) * image.x_rows * g.x.row_step;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, i = unit % height;
    const Span planes = image.planes.taps(image.plane_of(i)), rows = image.rows.taps(image.row_of(i));
    const T* x = g.x.row(b, image.row(i, 0, 0)) - g.pad_left * x_pixel;
    T* z = g.z.row(b, i);
    Cut cut{width, narrow_pixels};
    for (int j = 0; j < width;) {
      const int pixels = cut.next();
      for (int group = 0; group < g.groups; group++)
        conv_forward_pixels<T, F>(g, group, planes, rows, x_plane, x + ptrdiff_t(j) * g.stride_w * x_pixel, z + j * z_pixel,
                                  pixels);
      j += pixels;
    }
    if (g.transposed) hadamard_row<T>(g.post, g.z, b, i);
    else if (!in_tile(g.post.kind)) activate_row<T>(g.post, g.z, b, i);
  }
}

// δ of an output row, which lies at row m of the kernel, added to the input row at `row`.
template <class T, class F>
inline void conv_scatter_row(const ConvArgs<T>& g, int group, const T* d, T* row, int m) {
  constexpr int L = lanes<T>, C = narrow_channels;
  const int channels = group_channels<T>(g), filters = group_filters<T>(g), tiles = channel_tiles<T>(channels);
  const ptrdiff_t x_pixel = ptrdiff_t(g.x.channels) * L;
  Tile<T, F> t{};
  t.x_pixel = ptrdiff_t(g.z.channels) * L;
  t.segments = 1;
  t.length = filters;
  t.w_k = C;
  t.z_pixel = g.stride_w * x_pixel;
  t.floor = no_floor<T>;
  t.add = true;
  for (int n = 0; n < g.kernel_w; n++) {
    // Output columns j with 0 <= j·stride − pad + n·dilation < width.
    const int low = g.pad_left - n * g.dilation_w, high = g.x.width - 1 + low;
    int j = low > 0 ? (low + g.stride_w - 1) / g.stride_w : 0;
    const int last = high < 0 ? -1 : (high / g.stride_w < g.z.width - 1 ? high / g.stride_w : g.z.width - 1);
    Cut cut{last + 1 - j, narrow_pixels};
    while (j <= last) {
      const int pixels = cut.next();
      t.x = as<F>(d + j * t.x_pixel + group * filters * L);
      T* z = row + (ptrdiff_t(j) * g.stride_w - low) * x_pixel + group * channels * L;
      for (int c = 0; c < tiles; c++) {
        t.w = as<F>(g.packed + group * backward_panel<T>(g) + ((ptrdiff_t(m) * g.kernel_w + n) * tiles + c) * filters * C);
        t.z = z + c * C * L;
        t.channels = channels - c * C < C ? channels - c * C : C;
        tile_up_to<T, C, narrow_pixels, false>(pixels, t);
      }
      j += pixels;
    }
  }
}

// Unit: input row of a block. Row u receives from output rows i with u = i·stride − pad + m·dilation, of volumes from planes
// that are found the same way; within a row every δ pixel is added at its kernel columns. Conv ① as a scatter: no flipped
// kernel, no padded δ, no wasted product. The same sum is the forward pass of a transposed convolution, which starts from the
// bias and ends with the activation.
template <class T, class F = T>
static void conv_backward(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, height = g.x.height, width = g.x.width;
  const Image<T> image(g);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / height, u = unit % height;
    T* row = g.x_delta.row(b, u);
    if (g.transposed && g.bias) {
      for (int c = 0; c < channels; c++)
        for (int v = 0; v < width; v++) store(row + (ptrdiff_t(v) * channels + c) * L, from_bias<T>(broadcast<T>(g.bias[c])));
    } else {
      __builtin_memset(row, 0, sizeof(T) * size_t(width) * channels * L);
    }
    const int x_plane = image.x_plane_of(u), x_row = image.x_row_of(u);
    for (int d = 0, t; d < g.kernel_d; d++) {
      if (!image.planes.window(x_plane, d, image.plane_windows, t)) continue;
      for (int m = 0, i; m < g.kernel_h; m++) {
        if (!image.rows.window(x_row, m, image.row_windows, i)) continue;
        const T* const delta = g.z.row(b, ptrdiff_t(t) * image.z_rows + i);
        for (int group = 0; group < g.groups; group++) conv_scatter_row<T, F>(g, group, delta, row, d * g.kernel_h + m);
      }
    }
    if (g.transposed) activate_row<T>(g.post, g.x_delta, b, u);
    else hadamard_row<T>(g.post, g.x_delta, b, u);
  }
}

// What one tile of the weight gradient covers: filters from `filter` on, up to `filters`; row m of plane d of the kernel; pairs
// (kernel column, channel) from `pair` of the row on, the first of which lies at x + `offset`.
struct Pairs {
  int filter, filters, d, m, pair;
  ptrdiff_t offset;
};

// Weight gradient of C filters and P consecutive (kernel column, channel) pairs of one kernel row: lanes accumulate the
// gradients of their own samples; only the end sums over them.
// With the bias, its gradient (conv 3: the sum of δ over positions and samples) is summed on the way.
// Of strips of a batch the sums over lanes are added up in double, in `partial`: those of the weights, behind them the bias's.
template <class T, int C, int P, bool with_bias, bool folds>
__attribute__((noinline)) static void correlate(const ConvArgs<T>& g, const Image<T>& image, const Pairs& at) {
  constexpr int L = lanes<T>;
  const int filter = at.filter;
  const ptrdiff_t step = ptrdiff_t(g.stride_w) * g.x.channels * L, d_step = ptrdiff_t(g.z.channels) * L;
  Vec<T> acc[C][P];
#pragma GCC unroll 16
  for (int c = 0; c < C; c++)
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) acc[c][p] = Vec<T>{};
  Vec<T> bias[C] = {};
  Wide<T> total[C][P] = {}, total_bias[C] = {};
  int pending = 0;
  const auto fold = [&]() __attribute__((always_inline)) {
    fold_into<T, C, P>(acc, total);
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) total_bias[c] += widen<T>(bias[c]), bias[c] = Vec<T>{};
    pending = 0;
  };
  for (int b = 0; b < g.blocks; b++)
    for (int i = g.first_row; i < g.first_row + g.rows; i++) {
      const T* x = g.x.row(b, image.row(i, at.d, at.m)) + at.offset;
      const T* d = g.z.row(b, i) + ptrdiff_t(filter) * L;
      if (!image.meets(i, at.d, at.m)) {   // zeros: there is ∂b alone
        for (int j = 0; with_bias && j < g.z.width; j++, d += d_step) {
#pragma GCC unroll 16
          for (int c = 0; c < C; c++) bias[c] += load(d + c * L);
          if (folds && ++pending >= fold_terms) fold();
        }
        continue;
      }
      for (int j0 = 0; j0 < g.z.width; j0 += fold_terms) {
        const int j1 = g.z.width - j0 < fold_terms ? g.z.width : j0 + fold_terms;
        for (int j = j0; j < j1; j++, x += step, d += d_step) {
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
        pending += j1 - j0;
        if (folds && pending >= fold_terms) fold();
      }
    }
  if (folds)
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      bias[c] = narrow<T>(total_bias[c] + widen<T>(bias[c]));
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) acc[c][p] = narrow<T>(total[c][p] + widen<T>(acc[c][p]));
    }
  if (g.norms) {
    T kept[C * (P + 1) * L] __attribute__((aligned(64)));   // an address of the accumulators would cost them their registers
    const int count = at.filters - filter < C ? at.filters - filter : C;
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) store(kept + (c * (P + 1) + p) * L, acc[c][p]);
      store(kept + (c * (P + 1) + P) * L, bias[c]);   // 0 without a bias
    }
    store_wide<T>(g.norms, lane_norms<T>([&](auto&& body) {
                    for (int i = 0; i < count * (P + 1); i++) body(load(kept + i * L));
                  }));
  }
  const ptrdiff_t row = ptrdiff_t(g.kernel_w) * group_channels<T>(g);
  double* const strips = g.norms ? nullptr : reinterpret_cast<double*>(g.partial);
  const auto put = [&](T* gradient, ptrdiff_t number, T sum) {
    T& to = gradient[number];
    if (!strips) {
      to = g.accumulate ? to + sum : sum;
      return;
    }
    double& total = strips[number + (gradient == g.weight_gradient ? 0 : ptrdiff_t(g.z.channels) * kernel_rows(g) * row)];
    total = g.accumulate ? total + sum : sum;
    to = T(total);
  };
#pragma GCC unroll 16
  for (int first = 0; first < C * P; first += L) {
    Vec<T> group[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) group[i] = first + i < C * P ? acc[(first + i) / P % C][(first + i) % P] : Vec<T>{};
    T sums[L] __attribute__((aligned(CHAINRULE_BYTES)));
    store(sums, sum_each<T>(group));
    for (int i = 0; i < L && first + i < C * P; i++) {
      const int c = (first + i) / P, p = (first + i) % P;
      if (filter + c >= at.filters) continue;
      const ptrdiff_t of_row = ptrdiff_t(filter + c) * kernel_rows(g) + at.d * g.kernel_h + at.m;
      put(g.weight_gradient, of_row * row + at.pair + p, sums[i]);
    }
  }
  if (with_bias)
    for (int c = 0; c < C && filter + c < at.filters; c++) put(g.bias_gradient, filter + c, sum_lanes<T>(bias[c]));
}
template <class T, int C, int P>
inline void correlate_up_to(int pairs, const ConvArgs<T>& g, const Image<T>& image, const Pairs& at) {
  if (pairs == P) {
    const bool with_bias = g.bias_gradient && at.d == 0 && at.m == 0 && at.pair == 0;
    if (is_long<T>(int64_t(g.blocks) * g.rows * g.z.width))
      return with_bias ? correlate<T, C, P, true, true>(g, image, at) : correlate<T, C, P, false, true>(g, image, at);
    return with_bias ? correlate<T, C, P, true, false>(g, image, at) : correlate<T, C, P, false, false>(g, image, at);
  }
  if constexpr (P > 1) correlate_up_to<T, C, P - 1>(pairs, g, image, at);
}

// A row of the kernel is one run of pairs, or where taps are apart, or see a part of the channels, a segment per tap.
template <class T>
inline int pair_segments(const ConvArgs<T>& g) {
  return whole_rows<T>(g) ? 1 : g.kernel_w;
}
template <class T>
inline int segment_pairs(const ConvArgs<T>& g) {
  return whole_rows<T>(g) ? g.kernel_w * g.x.channels : group_channels<T>(g);
}

// By filters: there the lanes of a vector are filters, not samples. Only the samples that exist are multiplied, for 10 of 16
// and 40 filters three quarters of the work; and a number of x, once it is in a register, meets whole vectors of filters, so
// that little is read beside what `correlate` reads. In strips of a block's image, whose δ, transposed to [panel of
// filters][pixel][sample][filter], stays in the cache; the gradient is summed in double as [panel][pair][filter] and copied out
// at the end.
// The filters of a group have panels of their own.
template <class T>
inline int group_panels(const ConvArgs<T>& g) {
  return panels<T>(group_filters<T>(g));
}
template <class T>
inline int all_panels(const ConvArgs<T>& g) {
  return g.groups * group_panels<T>(g);
}
template <class T>
inline bool few_samples_gradient(const ConvArgs<T>& g) {
  return g.blocks == 1 && all_panels<T>(g) * g.samples * 10 <= g.z.channels * 9;
}
// `correlate` reads x and δ of a batch once for every tile: from so many bytes on that takes half as long again, and more
// (docs/decisions/0016-lanes-in-training.md), where it is not cut into strips (ConvolutionOperation::cut_in_strips).
constexpr int64_t correlate_cache = 256 * 1024;
template <class T>
static bool conv_by_filters(const ConvArgs<T>& g) {
  if (g.norms) return false;
  if (few_samples_gradient<T>(g)) return true;
  const int64_t pixels = int64_t(g.z.height) * g.z.width;
  const int64_t bytes = int64_t(sizeof(T)) * g.blocks * lanes<T> * pixels * (g.x.channels + g.z.channels);
  const int64_t by_samples = int64_t(g.blocks) * channel_tiles<T>(group_filters<T>(g)) * narrow_channels * g.groups;
  if (bytes > correlate_cache)
    return int64_t(all_panels<T>(g)) * g.samples * 2 <= by_samples * (bytes > 8 * correlate_cache ? 4 : 3);
  // Of few positions `correlate` ends with a sum over lanes for every number of the gradient, which costs as much as so many
  // products; by filters the end turns whole vectors, and δ is transposed.
  constexpr int64_t sum = 8, turn = 8, transposed = 8 * lanes<T>;
  const int64_t pairs = int64_t(kernel_taps(g)) * group_channels<T>(g), padded = by_samples / g.blocks;
  const int64_t there = pairs * padded * (g.blocks * pixels + sum);
  return int64_t(all_panels<T>(g)) * (pairs * (g.samples * pixels + turn) + g.blocks * pixels * transposed) * 5 <= there * 4;
}

// Rows of a strip: 256 KB of δ, in whole runs of fold_terms.
template <class T>
inline int64_t strip_pixels(const ConvArgs<T>& g) {   // times samples
  return 256 * 1024 / (int64_t(sizeof(T)) * all_panels<T>(g) * lanes<T>);
}
template <class T>
static int conv_filters_rows(const ConvArgs<T>& g) {
  const int64_t row = int64_t(g.z.width) * g.samples, run = row < fold_terms ? groups(fold_terms, int(row)) : 1;
  const int64_t fit = strip_pixels<T>(g) / row / run * run, rows = fit > run ? fit : run;
  return rows < g.z.height ? int(rows) : g.z.height;
}
// Whole images, of blocks whose lanes are full: their sums, which may be more than the caches hold, are then added once.
template <class T>
static int conv_filters_blocks(const ConvArgs<T>& g) {
  const int64_t fit = strip_pixels<T>(g) / (int64_t(g.z.height) * g.z.width * lanes<T>);
  return fit < 1 ? 1 : int(fit);
}
template <class T>
inline int64_t turned_size(const ConvArgs<T>& g) {
  const int64_t least = fold_terms + int64_t(g.z.width) * lanes<T>, most = strip_pixels<T>(g);
  return (least > most ? least : most) * all_panels<T>(g) * lanes<T>;
}
// Scalars in `partial`: δ of a strip, and the sums.
template <class T>
static size_t conv_filters_size(const ConvArgs<T>& g) {
  const int64_t pairs = int64_t(kernel_taps(g)) * group_channels<T>(g);
  return size_t(turned_size<T>(g) + all_panels<T>(g) * (pairs + 1) * lanes<T> * int64_t(sizeof(double) / sizeof(T)));
}
template <class T>
inline double* filter_sums(const ConvArgs<T>& g) {
  return reinterpret_cast<double*>(g.partial + turned_size<T>(g));
}
// Behind them those of the bias, [filter].
template <class T>
inline double* filter_bias(const ConvArgs<T>& g) {
  return filter_sums<T>(g) + ptrdiff_t(all_panels<T>(g)) * kernel_taps(g) * group_channels<T>(g) * lanes<T>;
}

// Unit: row of the strip, of `samples` of each block.
template <class T, class F = T>
static void conv_filters_transpose(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int count = groups(g.samples, terms_of<F>);
  const int filters = g.z.channels, own = group_panels<T>(g);
  const int rows = g.rows * g.strip_blocks;
  T square[L * L] __attribute__((aligned(64)));
  for (int i = begin; i < end; i++)
    for (int j = 0; j < g.z.width; j++)
      for (int panel = 0; panel < all_panels<T>(g); panel++) {
        // Past the last filter of a group the next one, or the neighbouring pixel, is read; those columns of the gradient are
        // not copied out.
        const int k = panel / own * group_filters<T>(g) + panel % own * L;
        const T* from = g.z.row(i / g.rows, g.first_row + i % g.rows) + (ptrdiff_t(j) * filters + k) * L;
        T* to = g.partial + ((ptrdiff_t(panel) * rows + i) * g.z.width + j) * count * L;
        if constexpr (is_pair<F>) {
          transpose<T>(from, L, square, L);
          pairs_of_rows(square, g.samples, as<F>(to));
          continue;
        }
        if (g.samples == L) {
          transpose<T>(from, L, to, L);
          continue;
        }
        transpose<T>(from, L, square, L);
        __builtin_memcpy(to, square, sizeof(T) * size_t(g.samples) * L);
      }
}

constexpr int unit_pairs = 24;   // pairs of a unit
template <class T>
static int conv_filters_units(const ConvArgs<T>& g) {
  return kernel_rows(g) * pair_segments<T>(g) * groups(segment_pairs<T>(g), unit_pairs) * g.groups *
         groups(group_panels<T>(g), gradient_columns);
}
// sums[o] += Σ_s d[o][s] of O panels, in as many chains; of a panel that lies apart by 0 twice.
template <class T, int O>
inline void add_rows(const T* d, ptrdiff_t d_panel, int count, T* sums) {
  constexpr int L = lanes<T>;
  Vec<T> sum[O];
#pragma GCC unroll 4
  for (int o = 0; o < O; o++) sum[o] = load(sums + o * L);
  for (int s = 0; s < count; s++, d += L)
#pragma GCC unroll 4
    for (int o = 0; o < O; o++) sum[o] += load(d + o * d_panel);
#pragma GCC unroll 4
  for (int o = 0; o < O; o++) store(sums + o * L, sum[o]);
}

// Unit: (kernel row, segment of it, run of pairs, group, two panels). Of the strip, of `samples` of each block; added to the
// sums if `accumulate`.
template <class T, class F = T>
static void conv_filters_gradient(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, O = gradient_columns, X = L / terms_of<F>;
  const int count = groups(g.samples, terms_of<F>);
  const int own = group_panels<T>(g), segments = pair_segments<T>(g), pairs = segment_pairs<T>(g), width = g.z.width;
  const int steps = groups(own, O), chunks = groups(pairs, unit_pairs);
  const ptrdiff_t x_step = ptrdiff_t(g.stride_w) * g.x.channels * X, d_row = ptrdiff_t(width) * count * L;
  const int strip_rows = g.rows * g.strip_blocks;
  const ptrdiff_t d_panel = d_row * strip_rows, g_panel = ptrdiff_t(kernel_rows(g)) * segments * pairs * L;
  // Runs and folds as `correlate` has them: a single sample has the same bits there.
  const int most = fold_terms / g.samples;
  const bool apart = int64_t(sizeof(double)) * all_panels<T>(g) * g_panel > correlate_cache &&
                     int64_t(strip_rows) * width * g.samples > fold_terms;
  const Image<T> image(g);
  for (int unit = begin; unit < end; unit++) {
    int rest = unit;
    const auto digit = [&rest](int base) {
      const int value = rest % base;
      rest /= base;
      return value;
    };
    const int panel = digit(steps) * O, group = digit(g.groups), chunk = digit(chunks), n = digit(segments), m = rest;
    const int j = group * own + panel, kernel_plane = m / g.kernel_h, kernel_row = m - kernel_plane * g.kernel_h;
    const int r = int(int64_t(chunk) * pairs / chunks), rows = int(int64_t(chunk + 1) * pairs / chunks) - r;
    const ptrdiff_t first = (ptrdiff_t(n) * g.dilation_w - g.pad_left) * g.x.channels + group * group_channels<T>(g) + r;
    const int across = panel + O <= own ? O : 1, size = rows * L;
    T run[O * unit_pairs * L] __attribute__((aligned(64)));        // [panel][pair][filter], of a few rows of the image
    double sum[O * unit_pairs * L] __attribute__((aligned(64)));   // of such runs, where all sums are more than the cache holds
    double* const total = filter_sums<T>(g) + j * g_panel + ((ptrdiff_t(m) * segments + n) * pairs + r) * L;
    const bool with_bias = g.bias_gradient && m == 0 && n == 0 && chunk == 0;
    T bias[O * L] __attribute__((aligned(64))) = {};
    double* const onto = apart ? sum : total;
    const ptrdiff_t onto_panel = apart ? size : g_panel;
    bool fresh = apart || !g.accumulate, fresh_bias = !g.accumulate;
    int pending = 0, pending_bias = 0;
    for (int i = 0; i < strip_rows; i++) {
      const int block = g.strip_blocks == 1 ? 0 : i / g.rows, row = g.first_row + i - block * g.rows;
      const bool meets = image.meets(row, kernel_plane, kernel_row);   // otherwise x is 0
      const F* x = as<F>(g.x.row(block, image.row(row, kernel_plane, kernel_row)) + first * X);
      const F* d = as<F>(g.partial + j * d_panel + i * d_row);
      for (int p = 0; p < width; p += most, x += most * x_step, d += ptrdiff_t(most) * count * L) {
        const Runs runs{width - p < most ? width - p : most, count, count};
        const int terms = runs.blocks * g.samples;
        const bool last = i + 1 == strip_rows && p + most >= width;
        if (meets) {
          const Onto how = pending ? Onto::continued : Onto::fresh;
          if (across == O) outer_rows<T, O, false, F>(x, x_step, d, d_panel, run, size, rows, runs, how);
          else outer_rows<T, 1, false, F>(x, x_step, d, d_panel, run, size, rows, runs, how);
          pending += terms;
        }
        if (pending ? last || (is_float<T> && pending >= fold_terms) : last && fresh) {
          if (!pending) __builtin_memset(run, 0, sizeof(run));   // no row of the strip meets the image
          for (int o = 0; o < across; o++) add_widened<T>(onto + o * onto_panel, run + o * size, size, fresh);
          fresh = false, pending = 0;
        }
        if (last && apart)
          for (int o = 0; o < across; o++) add_widened<double>(total + o * g_panel, sum + o * size, size, !g.accumulate);
        if (is_pair<F> || !with_bias) continue;   // the gradient of the bias is no product
        if constexpr (!is_pair<F>) add_rows<T, O>(d, across == O ? d_panel : 0, terms, bias);
        pending_bias += terms;
        if (!last && !(is_float<T> && pending_bias >= fold_terms)) continue;
        add_widened<T>(filter_bias<T>(g) + j * L, bias, across * L, fresh_bias);
        for (int o = 0; o < across; o++) store(bias + o * L, Vec<T>{});
        fresh_bias = false, pending_bias = 0;
      }
    }
  }
}

// Unit: (panel of filters, run of pairs).
constexpr int finish_pairs = 256;
template <class T>
static int conv_filters_finish_units(const ConvArgs<T>& g) {
  return all_panels<T>(g) * groups(int(kernel_taps(g) * group_channels<T>(g)), finish_pairs);
}
template <class T>
static void conv_filters_finish(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int size = int(kernel_taps(g) * group_channels<T>(g)), runs = groups(size, finish_pairs);
  T rows[L * L] __attribute__((aligned(64))), turned[L * L] __attribute__((aligned(64)));
  for (int unit = begin; unit < end; unit++) {
    const int panel = unit / runs, first = unit % runs * finish_pairs;
    const int group = panel / group_panels<T>(g), own = panel % group_panels<T>(g) * L;
    const int filter = group * group_filters<T>(g) + own, left = group_filters<T>(g) - own, count = left < L ? left : L;
    const double* sums = filter_sums<T>(g) + (ptrdiff_t(panel) * size + first) * L;
    const int stop = size - first < finish_pairs ? size - first : finish_pairs;
    for (int i = 0; i < stop; i += L) {
      const int pairs = stop - i < L ? stop - i : L;
      for (int r = 0; r < pairs; r++) store(rows + r * L, narrow<T>(load_wide<T>(sums + ptrdiff_t(i + r) * L)));
      for (int r = pairs; r < L; r++) store(rows + r * L, Vec<T>{});
      transpose<T>(rows, L, turned, L);
      for (int k = 0; k < count; k++) {
        T* const to = g.weight_gradient + ptrdiff_t(filter + k) * size + first + i;
        if (pairs == L) __builtin_memcpy(to, turned + k * L, sizeof(T) * L);
        else __builtin_memcpy(to, turned + k * L, sizeof(T) * pairs);
      }
    }
    if (g.bias_gradient && first == 0)
      for (int k = 0; k < count; k++) g.bias_gradient[filter + k] = T(filter_bias<T>(g)[panel * L + k]);
  }
}

// Unit: (kernel row, segment of it, run of pairs, group, tile of filters).
template <class T>
static int conv_gradient_units(const ConvArgs<T>& g) {
  return kernel_rows(g) * pair_segments<T>(g) * groups(segment_pairs<T>(g), narrow_pixels) * g.groups *
         channel_tiles<T>(group_filters<T>(g));
}
template <class T>
static void conv_gradient(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int segments = pair_segments<T>(g), pairs = segment_pairs<T>(g), runs = groups(pairs, narrow_pixels);
  const int filters = group_filters<T>(g), tiles = channel_tiles<T>(filters);
  const Image<T> image(g);
  for (int unit = begin; unit < end; unit++) {
    int rest = unit;
    const auto digit = [&rest](int base) {
      const int value = rest % base;
      rest /= base;
      return value;
    };
    const int tile = digit(tiles), group = digit(g.groups), run = digit(runs), n = digit(segments), m = rest;
    const int r = int(int64_t(run) * pairs / runs), r_end = int(int64_t(run + 1) * pairs / runs);
    const int plane = g.kernel_d == 1 ? 0 : m / g.kernel_h;
    const ptrdiff_t pixels = ptrdiff_t(n) * g.dilation_w - g.pad_left;
    const Pairs at{group * filters + tile * narrow_channels,
                   (group + 1) * filters,
                   plane,
                   m - plane * g.kernel_h,
                   n * pairs + r,
                   (pixels * g.x.channels + group * group_channels<T>(g) + r) * L};
    if (!g.norms) {
      correlate_up_to<T, narrow_channels, narrow_pixels>(r_end - r, g, image, at);
      continue;
    }
    for (int b = 0; b < g.blocks; b++) {   // block by block: until the lanes are summed they hold every sample's own gradient
      ConvArgs<T> one = g;
      one.blocks = 1, one.x.data = g.x.block(b), one.z.data = g.z.block(b);
      one.norms = g.norms + (ptrdiff_t(unit) * g.blocks + b) * L, one.accumulate = b > 0;
      correlate_up_to<T, narrow_channels, narrow_pixels>(r_end - r, one, image, at);
    }
  }
}

// ∂b of a transposed convolution: the sum of δ, here the image, over pixels and samples. Unit: channel.
template <class T>
static void conv_transposed_bias(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  for (int c = begin; c < end; c++) {
    LongSum<T> sum;
    for (int b = 0; b < g.blocks; b++)
      for (int u = 0; u < g.x.height; u++) {
        const T* d = g.x.row(b, u) + c * L;
        for (int v = 0; v < g.x.width; v++) sum.add(load(d + ptrdiff_t(v) * g.x.channels * L));
      }
    g.bias_gradient[c] = sum_lanes<T>(sum.value());
  }
}
