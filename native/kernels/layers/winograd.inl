// 3x3, stride 1 convolution by Winograd's F(2x2, 3x3) (Lavin and Gray, 2015): y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A for every 4x4 patch
// d, 2.25 times fewer products than the sum itself. In lane layout the transforms are additions per lane. δ is the same with
// the kernel rotated; ∂w = Gᵀ[(A δ Aᵀ) ⊙ (Bᵀ d B)]G, summed over tiles and samples.
// Odd sizes: the last tile reads one row or column beyond the picture, which the halo of the map must hold as zeros.
// Of a volume the planes of the kernel are further terms of the sixteen products, and the rows around a plane, which lie in its
// neighbours, are taken for zeros.
//
// Read the three transforms (`transform_patch`, `spread_patch`, `gather_patch`); `winograd_row`, which forward and δ share;
// then `winograd_gradient` and its `finish`.
// Shapes: as conv.inl; transformed patches [plane of the kernel][16][tile][channels][lane], transformed kernels [plane][16]
// [output tile][inputs][8].

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
// Of several planes whole tiles of products, whatever they take.
template <class T>
inline int winograd_chunk(int inputs, int outputs, int planes) {
  const int tiles = winograd_chunk<T>(planes * inputs, outputs);
  return planes > 1 && tiles < wide_pixels ? wide_pixels : tiles;
}
template <class T>
static size_t winograd_packed_size(int channels, int filters, int planes) {
  const size_t forward = size_t(groups(filters, wide_channels)) * wide_channels * channels;
  const size_t backward = size_t(groups(channels, wide_channels)) * wide_channels * filters;
  return 16 * size_t(planes) * (forward > backward ? forward : backward);
}
template <class T>
static size_t winograd_scratch(int channels, int filters, int planes) {
  constexpr int L = lanes<T>;
  const auto of_products = [planes](int inputs, int outputs) {
    const size_t vectors = size_t(planes) * inputs + outputs;
    return size_t(winograd_chunk<T>(inputs, outputs, planes)) * vectors + size_t(planes + 1) * spacing;
  };
  const size_t padded = size_t(panels<T>(channels)) * L, forward = of_products(channels, filters),
               backward = of_products(filters, channels);
  const size_t gradient = size_t(winograd_chunk<T>(channels, filters)) * (padded + filters) + L + 3 * spacing;
  const size_t most = forward > backward ? forward : backward;
  return 16 * L * (most > gradient ? most : gradient);
}
template <class T>
static size_t winograd_partial_size(int channels, int filters, int planes) {
  // Sixteen products a plane and, behind them, the bias gradient of every filter, in double and still per lane.
  return (size_t(16) * planes * panels<T>(channels) + sizeof(double) / sizeof(T)) * filters * lanes<T>;
}

// G g Gᵀ of every (output channel, input channel), packed [plane][16][output tile][input channel][C output channels].
template <class T, int C>
static void winograd_pack(const ConvArgs<T>& g, bool rotated, int begin, int end) {
  const int channels = g.x.channels, filters = g.z.channels;
  const int inputs = rotated ? filters : channels, tiles = groups(rotated ? channels : filters, C);
  const ptrdiff_t step = ptrdiff_t(tiles) * inputs * C;
  for (int out = begin; out < end; out++)
    for (int i = 0; i < inputs * g.kernel_d; i++) {
      const int in = i % inputs, d = i / inputs;
      T w[3][3], t[4][3];
      for (int m = 0; m < 3; m++)
        for (int n = 0; n < 3; n++) {
          const int filter = rotated ? in : out, channel = rotated ? out : in;
          const int tap = rotated ? ((g.kernel_d - 1 - d) * 3 + 2 - m) * 3 + 2 - n : (d * 3 + m) * 3 + n;
          w[m][n] = g.weights[(ptrdiff_t(filter) * g.kernel_d * 9 + tap) * channels + channel];
        }
      for (int n = 0; n < 3; n++) {
        t[0][n] = w[0][n];
        t[1][n] = T(0.5) * (w[0][n] + w[1][n] + w[2][n]);
        t[2][n] = T(0.5) * (w[0][n] - w[1][n] + w[2][n]);
        t[3][n] = w[2][n];
      }
      T* to = g.packed + d * 16 * step + (ptrdiff_t(out / C) * inputs + in) * C + out % C;
      for (int m = 0; m < 4; m++) {
        to[(m * 4 + 0) * step] = t[m][0];
        to[(m * 4 + 1) * step] = T(0.5) * (t[m][0] + t[m][1] + t[m][2]);
        to[(m * 4 + 2) * step] = T(0.5) * (t[m][0] - t[m][1] + t[m][2]);
        to[(m * 4 + 3) * step] = t[m][2];
      }
    }
}

// Bᵀ d B of one channel of one 4x4 patch; element (m, n) goes to out + (4 m + n) * step. Unless it is whole, rows that are not
// among [there.first, there.last) are zeros.
template <class T, bool whole = true>
inline void transform_patch(const T* x, ptrdiff_t row, ptrdiff_t pixel, T* out, ptrdiff_t step, Span there = {0, 4}) {
  const auto at = [&](int m, int n) {
    return whole || (there.first <= m && m < there.last) ? load(x + m * row + n * pixel) : Vec<T>{};
  };
  Vec<T> r[4][4];
#pragma GCC unroll 4
  for (int n = 0; n < 4; n++) {
    const Vec<T> d0 = at(0, n), d1 = at(1, n), d2 = at(2, n), d3 = at(3, n);
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

// A δ Aᵀ of one channel of one 2x2 patch; returns the patch's sum (the bias gradient). Beyond the picture δ is zero; without a
// second row that is.
template <class T>
inline Vec<T> spread_patch(const T* d, ptrdiff_t row, ptrdiff_t pixel, T* out, ptrdiff_t step, bool second_row) {
  Vec<T> r[4][2];
#pragma GCC unroll 2
  for (int n = 0; n < 2; n++) {
    const Vec<T> d0 = load(d + n * pixel), d1 = second_row ? load(d + row + n * pixel) : Vec<T>{};
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

// Where a row of tiles reads, and the planes that it meets: those of taps [taps.first, taps.last) of the kernel, the first at
// row `plane` of the image, and so many rows apart. The patches begin at row `first` of each.
struct PatchRow {
  Span taps;
  ptrdiff_t plane;
  int rows, first;
  // Which rows of a patch lie in their plane.
  Span there() const { return {first < 0 ? -first : 0, rows - first < 4 ? rows - first : 4}; }
};
// Of the row of tiles `tile_row` of plane t of a value whose windows read planes of so many rows.
template <class T>
inline PatchRow strip_of(const ConvArgs<T>& g, const Axis& planes, int t, int rows, int first) {
  if (!g.volume) return {{0, 1}, 0, rows, first};
  const Span taps = planes.taps(t);
  return {taps, (ptrdiff_t(t) - planes.pad + taps.first) * rows, rows, first};
}
// A channel of a patch: the zeros around an image are there, those around a plane are not.
template <class T>
inline void strip_patch(bool volume, Span there, const T* x, ptrdiff_t row, ptrdiff_t pixel, T* out, ptrdiff_t step) {
  if (!volume || (there.first == 0 && there.last == 4)) transform_patch<T>(x, row, pixel, out, step);
  else transform_patch<T, false>(x, row, pixel, out, step, there);
}

// One row of tiles of a correlation of `in` with the packed kernels, of `planes` planes. out_row: where it lies in out; last:
// it has no second row.
template <class T>
static void winograd_row(bool volume, const Map<T>& in, const Map<T>& out, const T* packed, const T* bias, T floor,
                         const PatchRow& strip, int pad_left, int planes, int b, ptrdiff_t out_row, bool last, T* scratch) {
  constexpr int L = lanes<T>, C = wide_channels;
  const int inputs = in.channels, outputs = out.channels, tiles = groups(outputs, C), across = groups(out.width, 2);
  const int chunk = winograd_chunk<T>(inputs, outputs, planes), depth = strip.taps.count();
  const ptrdiff_t in_pixel = ptrdiff_t(inputs) * L, out_pixel = ptrdiff_t(outputs) * L;
  const T* x = in.row(b, strip.plane + strip.first) - pad_left * in_pixel;
  T* z = out.row(b, out_row);
  const Span there = strip.there();
  const Vec<T> floors = broadcast<T>(floor);
  Cut chunks{across, chunk};
  for (int t0 = 0; t0 < across;) {
    const int count = chunks.next();
    const ptrdiff_t v_step = count * in_pixel + spacing * L, m_step = count * out_pixel + spacing * L;
    T* v = scratch;
    T* product = scratch + 16 * planes * v_step;
    for (int d = 0; d < depth; d++)
      for (int t = 0; t < count; t++)
        for (int c = 0; c < inputs; c++)
          strip_patch<T>(volume, there, x + d * strip.rows * in.row_step + ptrdiff_t(2) * (t0 + t) * in_pixel + c * L,
                         in.row_step, in_pixel, v + 16 * d * v_step + t * in_pixel + c * L, v_step);
    for (int xi = 0; xi < 16; xi++) {
      Cut cut{count, wide_pixels};
      for (int t = 0; t < count;) {
        const int pixels = cut.next();
        Tile<T> tile{};
        tile.x = v + xi * v_step + t * in_pixel;
        tile.x_pixel = in_pixel;
        tile.x_segment = 16 * v_step;
        tile.segments = depth;
        tile.length = inputs;
        tile.w_k = C;
        tile.w_segment = ptrdiff_t(16) * tiles * inputs * C;
        tile.z_pixel = out_pixel;
        tile.floor = no_floor<T>;
        for (int o = 0; o < tiles; o++) {
          tile.w = packed + strip.taps.first * tile.w_segment + (ptrdiff_t(xi) * tiles + o) * inputs * C;
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
        gather_patch<T>(product + t * out_pixel + c * L, m_step, z + j * out_pixel + c * L, out.row_step, out_pixel, !last,
                        j + 1 < out.width, bias ? from_bias<T>(broadcast<T>(bias[c])) : Vec<T>{}, floors);
    }
    t0 += count;
  }
}

// The rows of tiles of a block, plane by plane: which one a unit is.
struct TileRow {
  int b, t, i;   // block, plane, row of tiles
  TileRow(int unit, int planes, int rows)
      : b(unit / (planes * groups(rows, 2))), t(unit / groups(rows, 2) % planes), i(unit % groups(rows, 2)) {}
};
// Unit: row of tiles of a plane of a block.
template <class T>
static void winograd_forward(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  const Image<T> image(g);
  for (int unit = begin; unit < end; unit++) {
    const TileRow at(unit, g.z_planes, image.z_rows);
    const PatchRow strip = strip_of(g, image.planes, at.t, image.x_rows, 2 * at.i - g.pad_top);
    const ptrdiff_t row = ptrdiff_t(at.t) * image.z_rows + 2 * at.i;
    const bool last = 2 * at.i + 1 >= image.z_rows;
    winograd_row<T>(g.volume, g.x, g.z, g.packed, g.bias, floor_of<T>(g.post.kind), strip, g.pad_left, g.kernel_d, at.b, row,
                    last, scratch);
    if (in_tile(g.post.kind)) continue;
    for (int h = 0; h < (last ? 1 : 2); h++) activate_row<T>(g.post, g.z, at.b, row + h);
  }
}
// The same of δ, through the kernel rotated.
template <class T>
static void winograd_backward(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  const Image<T> image(g);
  const Axis planes{-g.above, g.z_planes + g.below, g.kernel_d, 1, 1, g.kernel_d - 1 - g.pad_front};
  for (int unit = begin; unit < end; unit++) {
    const TileRow at(unit, g.x_planes, image.x_rows);
    const PatchRow strip = strip_of(g, planes, at.t, image.z_rows, 2 * at.i - (2 - g.pad_top));
    const ptrdiff_t row = ptrdiff_t(at.t) * image.x_rows + 2 * at.i;
    const bool last = 2 * at.i + 1 >= image.x_rows;
    winograd_row<T>(g.volume, g.z, g.x_delta, g.packed, nullptr, no_floor<T>, strip, 2 - g.pad_left, g.kernel_d, at.b, row,
                    last, scratch);
    for (int h = 0; h < (last ? 1 : 2); h++) hadamard_row<T>(g.post, g.x_delta, at.b, row + h);
  }
}

// Unit: part. A part sums a fixed share of the tile rows, so that the sum does not depend on the threads: of a volume those of
// the planes of x, each with all planes of δ that read it.
template <class T>
static void winograd_gradient(const ConvArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const Image<T> image(g);
  const int channels = g.x.channels, filters = g.z.channels, across = groups(g.z.width, 2);
  const int above = g.volume ? g.x_above : 0, planes = above + g.x_planes + (g.volume ? g.x_below : 0);
  const int columns = panels<T>(channels), chunk = winograd_chunk<T>(channels, filters);
  const ptrdiff_t x_pixel = ptrdiff_t(channels) * L, d_pixel = ptrdiff_t(filters) * L;
  const ptrdiff_t size = ptrdiff_t(winograd_partial_size<T>(channels, filters, g.kernel_d)), product = columns * d_pixel;
  const int64_t units = int64_t(g.blocks) * planes * groups(image.z_rows, 2);
  for (int part = begin; part < end; part++) {
    T* partial = g.partial + part * size;
    double* bias = reinterpret_cast<double*>(partial + 16 * g.kernel_d * product);   // sums of all tiles
    __builtin_memset(partial, 0, sizeof(T) * size_t(size));
    const int first = int(part * units / g.parts), last = int((part + 1) * units / g.parts);
    for (int unit = first; unit < last; unit++) {
      const TileRow at(unit, planes, image.z_rows);
      const int p = at.t - above;
      const PatchRow strip{{0, 1}, ptrdiff_t(p) * image.x_rows, image.x_rows, 2 * at.i - g.pad_top};
      const Span there = strip.there();
      const bool second_row = !g.volume || 2 * at.i + 1 < image.z_rows;   // of an image its zeros
      const T* x = g.x.row(at.b, strip.plane + strip.first) - g.pad_left * x_pixel;
      Cut chunks{across, chunk};
      for (int t0 = 0; t0 < across;) {
        const int count = chunks.next();
        const ptrdiff_t panel = ptrdiff_t(count) * L * L, v_step = columns * panel + spacing * L,
                        u_step = count * d_pixel + spacing * L, s_step = (L + spacing) * L;
        T* v = scratch;                // [16][channel panel][tile and lane][channel]
        T* u = v + 16 * v_step;        // [16][tile][filter][lane]
        T* square = u + 16 * u_step;   // [16][channel][lane] of one panel
        for (int t = 0; t < count; t++)
          for (int j = 0; j < columns; j++) {
            const int present = channels - j * L < L ? channels - j * L : L;
            if (present < L) __builtin_memset(square, 0, sizeof(T) * 16 * size_t(s_step));
            for (int c = 0; c < present; c++)
              strip_patch<T>(g.volume, there, x + ptrdiff_t(2) * (t0 + t) * x_pixel + (j * L + c) * L, g.x.row_step, x_pixel,
                             square + c * L, s_step);
            for (int xi = 0; xi < 16; xi++) transpose<T>(square + xi * s_step, L, v + xi * v_step + j * panel + t * L * L, L);
          }
        for (int d = 0, k; d < g.kernel_d; d++) {
          if (!image.planes.window(p, d, {0, g.z_planes}, k)) continue;
          const T* delta = g.z.row(at.b, ptrdiff_t(k) * image.z_rows + 2 * at.i);
          const bool with_bias = image.planes.taps(k).first == d;   // once of every plane of δ
          for (int t = 0; t < count; t++)
            for (int f = 0; f < filters; f++) {
              const Vec<T> sum = spread_patch<T>(delta + ptrdiff_t(2) * (t0 + t) * d_pixel + f * L, g.z.row_step, d_pixel,
                                                 u + t * d_pixel + f * L, u_step, second_row);
              if (with_bias) store_wide<T>(bias + f * L, load_wide<T>(bias + f * L) + widen<T>(sum));
            }
          for (int xi = 0; xi < 16; xi++) {
            T* const to = partial + (ptrdiff_t(d) * 16 + xi) * product;
            int j = 0;
            for (; j + O <= columns; j += O)
              outer_rows<T, O>(u + xi * u_step, d_pixel, v + xi * v_step + j * panel, panel, to + j * d_pixel, d_pixel, filters,
                               Runs{count, L, L}, Onto::added);
            for (; j < columns; j++)
              outer_rows<T, 1>(u + xi * u_step, d_pixel, v + xi * v_step + j * panel, panel, to + j * d_pixel, d_pixel, filters,
                               Runs{count, L, L}, Onto::added);
          }
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
  const ptrdiff_t size = ptrdiff_t(winograd_partial_size<T>(channels, filters, g.kernel_d));
  const ptrdiff_t product = ptrdiff_t(panels<T>(channels)) * filters * L;
  for (int k = begin; k < end; k++) {
    if (g.bias_gradient) {
      Wide<T> sum{};
      for (int p = 0; p < g.parts; p++)
        sum += load_wide<T>(reinterpret_cast<const double*>(g.partial + p * size + 16 * g.kernel_d * product) + k * L);
      g.bias_gradient[k] = sum_lanes<T>(narrow<T>(sum));
    }
    for (int i = 0; i < channels * g.kernel_d; i++) {
      const int c = i % channels, d = i / channels;
      T m[4][4], t[3][4];
      for (int xi = 0; xi < 16; xi++) {
        const T* at = g.partial + (ptrdiff_t(d) * 16 + xi) * product + (ptrdiff_t(c / L) * filters + k) * L + c % L;
        T sum = 0;
        for (int p = 0; p < g.parts; p++) sum += at[p * size];
        m[xi / 4][xi % 4] = sum;
      }
      for (int n = 0; n < 4; n++) {
        t[0][n] = m[0][n] + T(0.5) * (m[1][n] + m[2][n]);
        t[1][n] = T(0.5) * (m[1][n] - m[2][n]);
        t[2][n] = T(0.5) * (m[1][n] + m[2][n]) + m[3][n];
      }
      T* out = g.weight_gradient + (ptrdiff_t(k) * g.kernel_d + d) * 9 * channels + c;
      for (int r = 0; r < 3; r++) {
        out[(r * 3 + 0) * channels] = t[r][0] + T(0.5) * (t[r][1] + t[r][2]);
        out[(r * 3 + 1) * channels] = T(0.5) * (t[r][1] - t[r][2]);
        out[(r * 3 + 2) * channels] = T(0.5) * (t[r][1] + t[r][2]) + t[r][3];
      }
    }
  }
}
