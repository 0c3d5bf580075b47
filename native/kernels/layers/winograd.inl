// 3x3, stride 1 convolution by Winograd's F(2x2, 3x3) (Lavin and Gray, 2015): y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A for every 4x4 patch
// d, 2.25 times fewer products than the sum itself. In lane layout the transforms are additions per lane. δ is the same with
// the kernel rotated; ∂w = Gᵀ[(A δ Aᵀ) ⊙ (Bᵀ d B)]G, summed over tiles and samples.
// Odd sizes: the last tile reads one row or column beyond the picture, which the halo of the map must hold as zeros.
//
// Read the three transforms (`transform_patch`, `spread_patch`, `gather_patch`); `winograd_row`, which forward and δ share;
// then `winograd_gradient` and its `finish`.
// Shapes: as conv.inl; transformed patches [16][tile][channels][lane], transformed kernels [16][output tile][inputs][8].

// How many tiles are transformed together: the transformed input and output must share L2 with the weights.
// Between the sixteen parts of a transformed patch lie multiples of 4 KB, which all fall into one set of the L1 cache; a few
// vectors more keep them apart (the transforms of the weight gradient took 2.5 times as long without).
constexpr int spacing = 1;

template <class T>
inline int winograd_chunk(int channels, int filters) {
  const int64_t per_tile = int64_t(16) * lanes<T> * sizeof(T) * (channels + filters);
  const int64_t tiles = int64_t(384 * 1024) / per_tile;
  return tiles < 1 ? 1 : tiles > 12 ? 12 : int(tiles);
}
template <class T>
static size_t winograd_packed_size(int channels, int filters) {
  const size_t forward = size_t(groups(filters, wide_channels)) * wide_channels * channels;
  const size_t backward = size_t(groups(channels, wide_channels)) * wide_channels * filters;
  return 16 * (forward > backward ? forward : backward);
}
template <class T>
static size_t winograd_scratch(int channels, int filters) {
  constexpr int L = lanes<T>;
  const size_t padded = size_t(panels<T>(channels)) * L;
  return 16 * L * (size_t(winograd_chunk<T>(channels, filters)) * (padded + filters) + L + 3 * spacing);
}
template <class T>
static size_t winograd_partial_size(int channels, int filters) {
  // Sixteen products and, behind them, the bias gradient of every filter, in double and still per lane.
  return (size_t(16) * panels<T>(channels) + sizeof(double) / sizeof(T)) * filters * lanes<T>;
}

// G g Gᵀ of every (output channel, input channel), packed [16][output tile][input channel][C output channels].
template <class T, int C>
static void winograd_pack(const ConvArgs<T>& g, bool rotated, int begin, int end) {
  const int channels = g.x.channels, filters = g.z.channels;
  const int inputs = rotated ? filters : channels, tiles = groups(rotated ? channels : filters, C);
  for (int out = begin; out < end; out++)
    for (int in = 0; in < inputs; in++) {
      T w[3][3], t[4][3];
      for (int m = 0; m < 3; m++)
        for (int n = 0; n < 3; n++)
          w[m][n] = rotated ? g.weights[((ptrdiff_t(in) * 3 + 2 - m) * 3 + 2 - n) * channels + out]
                            : g.weights[((ptrdiff_t(out) * 3 + m) * 3 + n) * channels + in];
      for (int n = 0; n < 3; n++) {
        t[0][n] = w[0][n];
        t[1][n] = T(0.5) * (w[0][n] + w[1][n] + w[2][n]);
        t[2][n] = T(0.5) * (w[0][n] - w[1][n] + w[2][n]);
        t[3][n] = w[2][n];
      }
      T* to = g.packed + (ptrdiff_t(out / C) * inputs + in) * C + out % C;
      const ptrdiff_t step = ptrdiff_t(tiles) * inputs * C;
      for (int m = 0; m < 4; m++) {
        to[(m * 4 + 0) * step] = t[m][0];
        to[(m * 4 + 1) * step] = T(0.5) * (t[m][0] + t[m][1] + t[m][2]);
        to[(m * 4 + 2) * step] = T(0.5) * (t[m][0] - t[m][1] + t[m][2]);
        to[(m * 4 + 3) * step] = t[m][2];
      }
    }
}

// Bᵀ d B of one channel of one 4x4 patch; element (m, n) goes to out + (4 m + n) * step.
template <class T>
inline void transform_patch(const T* x, ptrdiff_t row, ptrdiff_t pixel, T* out, ptrdiff_t step) {
  Vec<T> r[4][4];
#pragma GCC unroll 4
  for (int n = 0; n < 4; n++) {
    const Vec<T> d0 = load(x + n * pixel), d1 = load(x + row + n * pixel), d2 = load(x + 2 * row + n * pixel),
                 d3 = load(x + 3 * row + n * pixel);
    r[0][n] = d0 - d2, r[1][n] = d1 + d2, r[2][n] = d2 - d1, r[3][n] = d1 - d3;
  }
#pragma GCC unroll 4
  for (int m = 0; m < 4; m++) {
    store(out + (4 * m + 0) * step, r[m][0] - r[m][2]);
    store(out + (4 * m + 1) * step, r[m][1] + r[m][2]);
    store(out + (4 * m + 2) * step, r[m][2] - r[m][1]);
    store(out + (4 * m + 3) * step, r[m][1] - r[m][3]);
  }
}

// A δ Aᵀ of one channel of one 2x2 patch; returns the patch's sum (the bias gradient). Beyond the picture δ is zero.
template <class T>
inline Vec<T> spread_patch(const T* d, ptrdiff_t row, ptrdiff_t pixel, T* out, ptrdiff_t step) {
  Vec<T> r[4][2];
#pragma GCC unroll 2
  for (int n = 0; n < 2; n++) {
    const Vec<T> d0 = load(d + n * pixel), d1 = load(d + row + n * pixel);
    r[0][n] = d0, r[1][n] = d0 + d1, r[2][n] = d0 - d1, r[3][n] = -d1;
  }
#pragma GCC unroll 4
  for (int m = 0; m < 4; m++) {
    store(out + (4 * m + 0) * step, r[m][0]);
    store(out + (4 * m + 1) * step, r[m][0] + r[m][1]);
    store(out + (4 * m + 2) * step, r[m][0] - r[m][1]);
    store(out + (4 * m + 3) * step, -r[m][1]);
  }
  return r[1][0] + r[1][1];
}

// Aᵀ M A of one channel: four results; rows and columns beyond the picture are not written.
template <class T>
inline void gather_patch(const T* in, ptrdiff_t step, T* z, ptrdiff_t row, ptrdiff_t pixel, bool second_row, bool second_column,
                         Vec<T> bias, Vec<T> floor) {
  Vec<T> s[2][4];
#pragma GCC unroll 4
  for (int n = 0; n < 4; n++) {
    const Vec<T> m0 = load(in + n * step), m1 = load(in + (4 + n) * step), m2 = load(in + (8 + n) * step),
                 m3 = load(in + (12 + n) * step);
    s[0][n] = m0 + m1 + m2, s[1][n] = m1 - m2 - m3;
  }
#pragma GCC unroll 2
  for (int m = 0; m < 2; m++) {
    if (m && !second_row) break;
    store(z + m * row, at_least<T>(s[m][0] + s[m][1] + s[m][2] + bias, floor));
    if (second_column) store(z + m * row + pixel, at_least<T>(s[m][1] - s[m][2] - s[m][3] + bias, floor));
  }
}

// One row of tiles of a correlation of `in` with the packed kernels.
template <class T>
static void winograd_row(const Map<T>& in, const Map<T>& out, const T* packed, const T* bias, T floor, int pad_top,
                         int pad_left, int chunk, int b, int tile_row, T* scratch) {
  constexpr int L = lanes<T>, C = wide_channels;
  const int inputs = in.channels, outputs = out.channels, tiles = groups(outputs, C), across = groups(out.width, 2);
  const ptrdiff_t in_pixel = ptrdiff_t(inputs) * L, out_pixel = ptrdiff_t(outputs) * L;
  const T* x = in.row(b, ptrdiff_t(2) * tile_row - pad_top) - pad_left * in_pixel;
  T* z = out.row(b, ptrdiff_t(2) * tile_row);
  const Vec<T> floors = broadcast<T>(floor);
  Cut chunks{across, chunk};
  for (int t0 = 0; t0 < across;) {
    const int count = chunks.next();
    const ptrdiff_t v_step = count * in_pixel + spacing * L, m_step = count * out_pixel + spacing * L;
    T* v = scratch;
    T* product = scratch + 16 * v_step;
    for (int t = 0; t < count; t++)
      for (int c = 0; c < inputs; c++)
        transform_patch<T>(x + ptrdiff_t(2) * (t0 + t) * in_pixel + c * L, in.row_step, in_pixel, v + t * in_pixel + c * L,
                           v_step);
    for (int xi = 0; xi < 16; xi++) {
      Cut cut{count, wide_pixels};
      for (int t = 0; t < count;) {
        const int pixels = cut.next();
        Tile<T> tile{};
        tile.x = v + xi * v_step + t * in_pixel;
        tile.x_pixel = in_pixel;
        tile.segments = 1;
        tile.length = inputs;
        tile.w_k = C;
        tile.z_pixel = out_pixel;
        tile.floor = no_floor<T>;
        for (int o = 0; o < tiles; o++) {
          tile.w = packed + (ptrdiff_t(xi) * tiles + o) * inputs * C;
          tile.z = product + xi * m_step + t * out_pixel + o * C * L;
          tile.channels = outputs - o * C < C ? outputs - o * C : C;
          tile_up_to<T, C, wide_pixels, false>(pixels, tile);
        }
        t += pixels;
      }
    }
    for (int t = 0; t < count; t++) {
      const int j = 2 * (t0 + t);
      for (int c = 0; c < outputs; c++)
        gather_patch<T>(product + t * out_pixel + c * L, m_step, z + j * out_pixel + c * L, out.row_step, out_pixel,
                        2 * tile_row + 1 < out.height, j + 1 < out.width, bias ? broadcast<T>(bias[c]) : Vec<T>{}, floors);
    }
    t0 += count;
  }
}

// Unit: row of tiles of a block.
template <class T>
static void winograd_forward(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  const int rows = groups(g.z.height, 2), chunk = winograd_chunk<T>(g.x.channels, g.z.channels);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / rows, i = unit % rows;
    winograd_row<T>(g.x, g.z, g.packed, g.bias, floor_of<T>(g.post.kind), g.pad_top, g.pad_left, chunk, b, i, scratch);
    if (in_tile(g.post.kind)) continue;
    for (int h = 2 * i; h < 2 * i + 2 && h < g.z.height; h++) activate_row<T>(g.post, g.z, b, h);
  }
}
template <class T>
static void winograd_backward(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  const int rows = groups(g.x_delta.height, 2), chunk = winograd_chunk<T>(g.x.channels, g.z.channels);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / rows, i = unit % rows;
    winograd_row<T>(g.z, g.x_delta, g.packed, nullptr, no_floor<T>, 2 - g.pad_top, 2 - g.pad_left, chunk, b, i, scratch);
    for (int h = 2 * i; h < 2 * i + 2 && h < g.x_delta.height; h++) hadamard_row<T>(g.post, g.x_delta, b, h);
  }
}

// Unit: part. A part sums a fixed share of the tile rows, so that the sum does not depend on the threads.
template <class T>
static void winograd_gradient(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int channels = g.x.channels, filters = g.z.channels, rows = groups(g.z.height, 2), across = groups(g.z.width, 2);
  const int columns = panels<T>(channels), chunk = winograd_chunk<T>(channels, filters);
  const ptrdiff_t x_pixel = ptrdiff_t(channels) * L, d_pixel = ptrdiff_t(filters) * L;
  const ptrdiff_t size = ptrdiff_t(winograd_partial_size<T>(channels, filters)), product = columns * d_pixel;
  for (int part = begin; part < end; part++) {
    T* partial = g.partial + part * size;
    double* bias = reinterpret_cast<double*>(partial + 16 * product);   // sums of all tiles
    __builtin_memset(partial, 0, sizeof(T) * size_t(size));
    const int first = int(int64_t(part) * g.blocks * rows / g.parts), last = int(int64_t(part + 1) * g.blocks * rows / g.parts);
    for (int unit = first; unit < last; unit++) {
      const int b = unit / rows, i = unit % rows;
      const T* x = g.x.row(b, ptrdiff_t(2) * i - g.pad_top) - g.pad_left * x_pixel;
      const T* d = g.z.row(b, ptrdiff_t(2) * i);
      Cut chunks{across, chunk};
      for (int t0 = 0; t0 < across;) {
        const int count = chunks.next();
        const ptrdiff_t panel = ptrdiff_t(count) * L * L, v_step = columns * panel + spacing * L,
                        u_step = count * d_pixel + spacing * L, s_step = (L + spacing) * L;
        T* v = scratch;                // [16][channel panel][tile and lane][channel]
        T* u = v + 16 * v_step;        // [16][tile][filter][lane]
        T* square = u + 16 * u_step;   // [16][channel][lane] of one panel
        for (int t = 0; t < count; t++) {
          for (int j = 0; j < columns; j++) {
            const int present = channels - j * L < L ? channels - j * L : L;
            if (present < L) __builtin_memset(square, 0, sizeof(T) * 16 * size_t(s_step));
            for (int c = 0; c < present; c++)
              transform_patch<T>(x + ptrdiff_t(2) * (t0 + t) * x_pixel + (j * L + c) * L, g.x.row_step, x_pixel, square + c * L,
                                 s_step);
            for (int xi = 0; xi < 16; xi++) transpose<T>(square + xi * s_step, L, v + xi * v_step + j * panel + t * L * L, L);
          }
          for (int k = 0; k < filters; k++)
            store_wide<T>(bias + k * L, load_wide<T>(bias + k * L) +
                                            widen<T>(spread_patch<T>(d + ptrdiff_t(2) * (t0 + t) * d_pixel + k * L,
                                                                     g.z.row_step, d_pixel, u + t * d_pixel + k * L, u_step)));
        }
        for (int xi = 0; xi < 16; xi++) {
          int j = 0;
          for (; j + O <= columns; j += O)
            outer_rows<T, O>(u + xi * u_step, d_pixel, v + xi * v_step + j * panel, panel, partial + xi * product + j * d_pixel,
                             d_pixel, filters, Runs{count, L, L}, Onto::added);
          for (; j < columns; j++)
            outer_rows<T, 1>(u + xi * u_step, d_pixel, v + xi * v_step + j * panel, panel, partial + xi * product + j * d_pixel,
                             d_pixel, filters, Runs{count, L, L}, Onto::added);
        }
        t0 += count;
      }
    }
  }
}

// Gᵀ M G of the summed parts. Unit: filter.
template <class T>
static void winograd_gradient_finish(const ConvArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels, filters = g.z.channels;
  const ptrdiff_t size = ptrdiff_t(winograd_partial_size<T>(channels, filters));
  const ptrdiff_t product = ptrdiff_t(panels<T>(channels)) * filters * L;
  for (int k = begin; k < end; k++) {
    if (g.bias_gradient) {
      Wide<T> sum{};
      for (int p = 0; p < g.parts; p++)
        sum += load_wide<T>(reinterpret_cast<const double*>(g.partial + p * size + 16 * product) + k * L);
      g.bias_gradient[k] = sum_lanes<T>(narrow<T>(sum));
    }
    for (int c = 0; c < channels; c++) {
      T m[4][4], t[3][4];
      for (int xi = 0; xi < 16; xi++) {
        const T* at = g.partial + xi * product + (ptrdiff_t(c / L) * filters + k) * L + c % L;
        T sum = 0;
        for (int p = 0; p < g.parts; p++) sum += at[p * size];
        m[xi / 4][xi % 4] = sum;
      }
      for (int n = 0; n < 4; n++) {
        t[0][n] = m[0][n] + T(0.5) * (m[1][n] + m[2][n]);
        t[1][n] = T(0.5) * (m[1][n] - m[2][n]);
        t[2][n] = T(0.5) * (m[1][n] + m[2][n]) + m[3][n];
      }
      T* out = g.weight_gradient + ptrdiff_t(k) * 9 * channels + c;
      for (int r = 0; r < 3; r++) {
        out[(r * 3 + 0) * channels] = t[r][0] + T(0.5) * (t[r][1] + t[r][2]);
        out[(r * 3 + 1) * channels] = T(0.5) * (t[r][1] - t[r][2]);
        out[(r * 3 + 2) * channels] = T(0.5) * (t[r][1] + t[r][2]) + t[r][3];
      }
    }
  }
}
