// Products in whose vectors the lanes are output channels, not samples: z = W x + b of dense layers and convolutions, for
// values that lie [sample][height][width][channel], channels padded to whole vectors (docs/decisions/0015-lanes.md). A row is a
// pixel, or a sample of vectors; a row's numbers are read one by one and multiply vectors of W, which lies in panels as in
// dense.inl. Every output is the sum that `tile` takes, with its terms, order and runs: the same bits in either arrangement.
//
// Read `RowsTile` and `rows_tile`, the loop; `rows_panels` and `rows_next`, which choose its size; `RowsCut`, the units, and
// `rows_forward`. `winograd_rows` is the same for 3x3 kernels by the transforms of winograd.inl.
// Shapes: x rows of `channels` numbers; W [panel][kernel_h][kernel_w][channel][lane]; z [row][panel][lane].

template <class T>
struct RowsTile {
  const T* x;   // row r starts at x + r * x_row
  ptrdiff_t x_row;
  int segments, taps, length;   // the sum runs over segments of `taps` runs of `length` numbers ...
  ptrdiff_t x_segment, x_tap;   // ... that lie so far apart in x, and one behind the other in w
  const T* w;
  ptrdiff_t w_panel;
  T* z;
  ptrdiff_t z_row;
  const T* bias;   // or null
  T floor;
  bool add;   // start from what z holds
};

template <class T, int R, int P, Total in>
__attribute__((noinline)) static void rows_tile(const RowsTile<T>& t) {
  constexpr int L = lanes<T>, B = (R + 2) / 3;
  constexpr bool folds = in != Total::none;
  Vec<T> acc[R][P];
  Sum<T, in> total[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
      acc[r][p] = t.add ? load(t.z + r * t.z_row + p * L) : t.bias ? from_bias<T>(load(t.bias + p * L)) : Vec<T>{};
      if (folds) total[r][p] = Sum<T, in>{};
    }
  const ptrdiff_t row = t.x_row, w_panel = t.w_panel;
  const T *w = t.w, *segment = t.x;
  int pending = 0;
  for (int s = 0; s < t.segments; s++, segment += t.x_segment) {
    int done = 0, stop = fold_terms;
    const T* tap = segment;
    for (int n = 0; n < t.taps; n++, tap += t.x_tap) {
      const T* x[B];   // of every third row, so that few registers hold addresses
#pragma GCC unroll 8
      for (int b = 0; b < B; b++) x[b] = tap + 3 * b * row;
      for (int left = t.length; left > 0;) {
        if (folds && done == stop) {
          fold_into<T, R, P>(acc, total);
          stop += fold_terms;
        }
        const int count = folds && left > stop - done ? stop - done : left;
        left -= count, done += count;
        for (int k = 0; k < count; k++, w += L) {
          Vec<T> wv[P];
#pragma GCC unroll 8
          for (int p = 0; p < P; p++) wv[p] = load(w + p * w_panel);
#pragma GCC unroll 16
          for (int r = 0; r < R; r++) {
            const Vec<T> xv = broadcast<T>(x[r / 3][r % 3 * row]);
#pragma GCC unroll 8
            for (int p = 0; p < P; p++) acc[r][p] += wv[p] * xv;
          }
#pragma GCC unroll 8
          for (int b = 0; b < B; b++) x[b]++;
        }
      }
    }
    pending += t.taps * t.length;
    if (folds && pending >= fold_terms) {
      fold_into<T, R, P>(acc, total);
      pending = 0;
    }
  }
  const Vec<T> floor = broadcast<T>(t.floor);
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
      const Vec<T> sum = folds ? convert<Vec<T>>(total[r][p] + convert<Sum<T, in>>(acc[r][p])) : acc[r][p];
      store(t.z + r * t.z_row + p * L, at_least<T>(sum, floor));
    }
}

// How many rows the next tile takes of so many: sizes that have a tile, and never such that a single one is left over.
inline int rows_next(int left) {
  constexpr int sizes[] = {12, 8, 6, 4, 3, 2};
  for (const int size : sizes)
    if (size <= gradient_rows && size <= left && left - size != 1) return size;
  return 1;
}
// How many panels a tile of R rows takes: as many as the registers hold, and no more than keep the multipliers busy.
constexpr int rows_panels(int rows) {
  const int fit = gradient_rows * gradient_columns / rows;
  return rows == 1 ? 8 : fit < 4 ? fit : 4;
}

// `panels` panels of R rows.
template <class T, int R, int P, Total in>
inline void rows_across(RowsTile<T> t, int panels) {
  constexpr int L = lanes<T>;
  for (; panels >= P; panels -= P) {
    rows_tile<T, R, P, in>(t);
    t.w += P * t.w_panel, t.z += P * L;
    if (t.bias) t.bias += P * L;
  }
  if constexpr (P > 1)
    if (panels > 0) rows_across<T, R, R == 1 ? P - 1 : P / 2, in>(t, panels);
}
template <class T, int R>
inline void rows_of(const RowsTile<T>& t, int panels) {
  if constexpr (R <= gradient_rows) {
    const int64_t segment = int64_t(t.taps) * t.length;
    for_total<T, true>(total_of<T>(t.segments * segment, segment),
                       [&]<Total of>() { rows_across<T, R, rows_panels(R), of>(t, panels); });
  }
}
// All of `rows` rows and `panels` panels.
template <class T>
static void rows_product(RowsTile<T> t, int rows, int panels) {
  while (rows > 0) {
    const int size = rows_next(rows);
    switch (size) {
      case 12:
        rows_of<T, 12>(t, panels);
        break;
      case 8:
        rows_of<T, 8>(t, panels);
        break;
      case 6:
        rows_of<T, 6>(t, panels);
        break;
      case 4:
        rows_of<T, 4>(t, panels);
        break;
      case 3:
        rows_of<T, 3>(t, panels);
        break;
      case 2:
        rows_of<T, 2>(t, panels);
        break;
      default:
        rows_of<T, 1>(t, panels);
    }
    t.x += size * t.x_row, t.z += size * t.z_row, rows -= size;
  }
}

// Units: runs of rows that lie at one distance, cut into chunks, by groups of panels. Where the images lie one behind the other
// and a kernel is one pixel all rows are one run; otherwise it is a row of an output image.
constexpr int rows_chunk = 48;

template <class T>
struct RowsCut {
  bool merged;
  int runs, rows, chunks, panels, group, panel_groups;
  explicit RowsCut(const RowsArgs<T>& g) {
    const auto whole = [](const Map<T>& m, ptrdiff_t pixel) {
      return m.row_step == m.width * pixel && m.block_step == m.height * m.row_step;
    };
    const int positions = g.z.height * g.z.width;
    const ptrdiff_t pixel = ptrdiff_t(g.z.channels) * lanes<T>;
    merged = positions == 1;
    merged = merged || (g.kernel_h * g.kernel_w == 1 && g.stride_h * g.stride_w == 1 && g.x.height == g.z.height &&
                        g.x.width == g.z.width && whole(g.x, g.x_pixel) && whole(g.z, pixel) && whole(g.a, pixel));
    runs = merged ? 1 : g.samples * g.z.height;
    rows = merged ? g.samples * positions : g.z.width;
    chunks = groups(rows, rows_chunk);
    panels = g.z.channels;
    group = rows_panels(rows_next(rows < rows_chunk ? rows : rows_chunk));
    panel_groups = groups(panels, group);
  }
};
template <class T>
static int rows_units(const RowsArgs<T>& g) {
  const RowsCut<T> cut(g);
  return cut.runs * cut.chunks * cut.panel_groups;
}

template <class T>
static void rows_forward(const RowsArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const RowsCut<T> cut(g);
  const int chunks = cut.runs * cut.chunks;
  const bool single = g.z.height * g.z.width == 1;
  const ptrdiff_t w_tap = ptrdiff_t(g.channels) * L, pixel = ptrdiff_t(g.z.channels) * L;
  // One pass, or where the taps are apart one per row of the kernel: as conv.inl.
  const bool whole = g.dilation_w == 1;
  RowsTile<T> t{};
  t.x_row = cut.merged && single ? g.x.block_step : g.stride_w * g.x_pixel;
  t.segments = whole ? g.kernel_h : g.kernel_w;
  t.x_segment = whole ? g.dilation_h * g.x.row_step : g.dilation_w * g.x_pixel;
  t.taps = whole ? g.kernel_w : 1;
  t.x_tap = g.x_pixel;
  t.length = g.channels;
  if (g.x_pixel == g.channels) t.length *= t.taps, t.taps = 1;
  t.w_panel = w_tap * g.kernel_h * g.kernel_w;
  t.z_row = cut.merged && single ? g.z.block_step : pixel;
  const ptrdiff_t a_row = cut.merged && single ? g.a.block_step : pixel;
  // Where W is larger than the cache, it is read once; where x is, x.
  const bool x_inside = int64_t(g.samples) * g.x.height * g.x.width * g.x_pixel * int64_t(sizeof(T)) <= 512 * 1024;
  for (int unit = begin; unit < end; unit++) {
    const int chunk = x_inside ? unit % chunks : unit / cut.panel_groups,
              group = x_inside ? unit / chunks : unit % cut.panel_groups;
    const int run = chunk / cut.chunks, first = chunk % cut.chunks * rows_chunk;
    const int rows = cut.rows - first < rows_chunk ? cut.rows - first : rows_chunk, panel = group * cut.group;
    const int panels = cut.panels - panel < cut.group ? cut.panels - panel : cut.group;
    const int b = cut.merged ? 0 : run / g.z.height, i = cut.merged ? 0 : run % g.z.height;
    const T* x = g.x.row(b, ptrdiff_t(i) * g.stride_h - g.pad_top) - g.pad_left * g.x_pixel + first * t.x_row;
    t.z = g.z.row(b, i) + first * t.z_row + panel * L;
    t.bias = g.bias ? g.bias + panel * L : nullptr;
    for (int m = 0, passes = whole ? 1 : g.kernel_h; m < passes; m++) {
      t.x = x + m * g.dilation_h * g.x.row_step;
      t.w = g.weights + panel * t.w_panel + m * g.kernel_w * w_tap;
      t.add = m > 0;
      t.floor = m == passes - 1 ? floor_of<T>(g.act) : no_floor<T>;
      rows_product<T>(t, rows, panels);
    }
    if (in_tile(g.act)) continue;
    T* a = g.a.row(b, i) + first * a_row + panel * L;
    for (int r = 0; r < rows; r++) activate_run<T>(g.act, g.slope, t.z + r * t.z_row, a + r * a_row, panels);
  }
}

// -- by Winograd --------------------------------------------------------------------------------------------------------------

// Tiles transformed together; their transforms share L2 with the kernels.
template <class T>
inline int winograd_rows_chunk(const RowsArgs<T>& g) {
  const int64_t per_tile = int64_t(16) * lanes<T> * sizeof(T) * (g.x.channels + g.z.channels);
  const int64_t tiles = int64_t(384 * 1024) / per_tile;
  return tiles < 12 ? 12 : tiles > rows_chunk ? rows_chunk : int(tiles / 12 * 12);
}
template <class T>
static size_t winograd_rows_scratch(const RowsArgs<T>& g) {
  const size_t tiles = size_t(winograd_rows_chunk<T>(g));
  return 16 * size_t(lanes<T>) * (tiles * size_t(g.x.channels + g.z.channels) + 2 * spacing);
}
template <class T>
inline int winograd_rows_chunks(const RowsArgs<T>& g) {
  return groups(groups(g.z.height, 2) * groups(g.z.width, 2), winograd_rows_chunk<T>(g));
}
template <class T>
static int winograd_rows_units(const RowsArgs<T>& g) {
  return g.samples * winograd_rows_chunks<T>(g);
}
// Unit: chunk of the tiles of a sample. The transformed kernels are [16][panel][channel][lane].
template <class T>
static void winograd_rows(const RowsArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  const int across = groups(g.z.width, 2), tiles = groups(g.z.height, 2) * across, chunks = winograd_rows_chunks<T>(g);
  const int inputs = g.x.channels, outputs = g.z.channels;   // panels
  const ptrdiff_t in_pixel = ptrdiff_t(inputs) * L, out_pixel = ptrdiff_t(outputs) * L;
  const Vec<T> floor = broadcast<T>(floor_of<T>(g.act));
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / chunks, chunk = unit % chunks;
    const int first = int(int64_t(chunk) * tiles / chunks), count = int(int64_t(chunk + 1) * tiles / chunks) - first;
    const ptrdiff_t v_step = count * in_pixel + spacing * L, m_step = count * out_pixel + spacing * L;
    T *const v = scratch, *const product = scratch + 16 * v_step;
    for (int t = 0; t < count; t++) {
      const int i = (first + t) / across, j = (first + t) % across;
      const T* x = g.x.row(b, ptrdiff_t(2) * i - g.pad_top) + (ptrdiff_t(2) * j - g.pad_left) * in_pixel;
      for (int c = 0; c < inputs; c++) transform_patch<T>(x + c * L, g.x.row_step, in_pixel, v + t * in_pixel + c * L, v_step);
    }
    RowsTile<T> t{};
    t.x_row = in_pixel, t.z_row = out_pixel;
    t.segments = t.taps = 1, t.length = g.channels;
    t.w_panel = ptrdiff_t(g.channels) * L;
    t.floor = no_floor<T>;
    for (int xi = 0; xi < 16; xi++) {
      t.x = v + xi * v_step, t.z = product + xi * m_step;
      t.w = g.weights + xi * outputs * t.w_panel;
      rows_product<T>(t, count, outputs);
    }
    for (int k = 0; k < count; k++) {
      const int i = (first + k) / across, j = (first + k) % across;
      const bool second_row = 2 * i + 1 < g.z.height, second_column = 2 * j + 1 < g.z.width;
      T* z = g.z.row(b, ptrdiff_t(2) * i) + ptrdiff_t(2) * j * out_pixel;
      for (int c = 0; c < outputs; c++)
        gather_patch<T>(product + k * out_pixel + c * L, m_step, z + c * L, g.z.row_step, out_pixel, second_row, second_column,
                        g.bias ? from_bias<T>(load(g.bias + c * L)) : Vec<T>{}, floor);
      if (in_tile(g.act)) continue;
      T* a = g.a.row(b, ptrdiff_t(2) * i) + ptrdiff_t(2) * j * out_pixel;
      for (int m = 0; m <= int(second_row); m++)
        activate_run<T>(g.act, g.slope, z + m * g.z.row_step, a + m * g.a.row_step, (1 + second_column) * outputs);
    }
  }
}

// -- backward -----------------------------------------------------------------------------------------------------------------

// W in panels of outputs as panels of inputs, [inputs / lanes][outputs][lanes], zero beyond the inputs: so δ is a product of
// rows as well. Unit: panel of inputs.
template <class T>
static void turn_panels(const T* w, int inputs, int outputs, T* to, int begin, int end) {
  constexpr int L = lanes<T>;
  T turned[L * L] __attribute__((aligned(64)));
  for (int unit = begin; unit < end; unit++) {
    const int first = unit * L;
    for (int o = 0; o < outputs; o += L) {
      const int rows = outputs - o < L ? outputs - o : L;
      const T* from = w + (ptrdiff_t(o) / L * inputs + first) * L;
      transpose_present<T>(from, inputs - first, turned);
      __builtin_memcpy(to + (ptrdiff_t(unit) * outputs + o) * L, turned, sizeof(T) * size_t(rows) * L);
    }
  }
}

// ∂W = Σ d xᵀ over rows, in panels, and ∂b = Σ d. Of so many rows at a time d is copied, a pair of panels side by side.
constexpr int rows_together = 2048;
template <class T>
static int rows_gradient_units(const RowsGradientArgs<T>& g) {
  return groups(panels<T>(g.outputs), gradient_columns) * groups(g.inputs, gradient_chunk);
}
template <class T>
static size_t rows_gradient_scratch(const RowsGradientArgs<T>& g) {
  return size_t(gradient_columns) * lanes<T> * size_t(g.rows < rows_together ? g.rows : rows_together);
}
// The tile for as many inputs as it has a size for: how many these are.
template <class T, int O, bool folds>
inline int rows_outer(int inputs, const T* x, ptrdiff_t x_row, const T* d, ptrdiff_t d_panel, T* to, ptrdiff_t g_panel,
                      int rows, Onto onto) {
  constexpr int R = gradient_rows / 4 * 4;
  const int size = inputs >= R ? R : inputs >= 8 ? 8 : inputs >= 4 ? 4 : inputs;
  outer_up_to<T, R, O, true, folds ? Total::wide : Total::none>(size, x, x_row, d, d_panel, to, g_panel, Runs{rows, 1, 1},
                                                                onto);
  return size;
}
// Unit: (pair of panels, chunk of inputs).
template <class T>
static void rows_gradient(const RowsGradientArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int chunks = groups(g.inputs, gradient_chunk), count = panels<T>(g.outputs);
  const ptrdiff_t g_panel = ptrdiff_t(g.inputs) * L;
  for (int row = 0; row < g.rows; row += rows_together) {
    const int rows = g.rows - row < rows_together ? g.rows - row : rows_together;
    const ptrdiff_t d_panel = ptrdiff_t(rows) * L;
    const Onto onto = row ? Onto::added : Onto::fresh;
    int ready = -1;
    for (int unit = begin; unit < end; unit++) {
      const int pair = unit / chunks, chunk = unit % chunks;
      const int first = pair * O, width = count - first < O ? count - first : O;
      for (int j = 0; j < width && pair != ready; j++)
        for (int r = 0; r < rows; r++)
          store(scratch + j * d_panel + ptrdiff_t(r) * L, load(g.d + (row + r) * g.d_row + (first + j) * L));
      ready = pair;
      for (int j = 0; j < width && chunk == 0 && g.bias_gradient; j++) {
        T* const to = g.bias_gradient + (first + j) * L;
        const Vec<T> sum = sum_of_rows<T>(scratch + j * d_panel, rows);
        store(to, row ? load(to) + sum : sum);
      }
      const int i0 = chunk * gradient_chunk, end_input = i0 + gradient_chunk < g.inputs ? i0 + gradient_chunk : g.inputs;
      for (int i = i0; i < end_input;) {
        const T* const x = g.x + row * g.x_row + i;
        T* const to = g.weight_gradient + first * g_panel + ptrdiff_t(i) * L;
        const auto run = [&]<int width_, bool folds>() {
          return rows_outer<T, width_, folds>(end_input - i, x, g.x_row, scratch, d_panel, to, g_panel, rows, onto);
        };
        const bool folds = is_long<T>(rows);
        if (width == O) i += folds ? run.template operator()<O, is_float<T>>() : run.template operator()<O, false>();
        else i += folds ? run.template operator()<1, is_float<T>>() : run.template operator()<1, false>();
      }
    }
  }
}

// -- by channel ---------------------------------------------------------------------------------------------------------------

// A normalisation by running numbers, [channel] each. Unit: row of a sample.
template <class T>
static void norm_channels(const NormArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t pixel = ptrdiff_t(g.x.channels) * L;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const T* x = g.x.row(b, h);
    T* z = g.z.row(b, h);
    for (ptrdiff_t c = 0; c < pixel; c += L) {
      const Vec<T> mean = load(g.mean + c), inverse = load(g.inverse + c), gamma = load(g.gamma + c);
      const Vec<T> beta = g.beta ? load(g.beta + c) : Vec<T>{};
      for (int w = 0; w < g.x.width; w++) store(z + w * pixel + c, (load(x + w * pixel + c) - mean) * inverse * gamma + beta);
    }
    activate_row<T>(g.post, g.z, b, h);
  }
}
