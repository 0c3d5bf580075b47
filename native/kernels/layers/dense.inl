// Dense layers: z = W x + b, δ_x = Wᵀ δ_z, ∂W = δ_z xᵀ, ∂b = Σ δ_z (Tutorial, FC 1-3; samples summed as in Matrix notes §6).
//
// W is kept in panels of `lanes` outputs: [outputs / lanes][inputs][lanes]. Forward and δ read it by broadcast, so one
// layout serves both; the gradient writes it as whole vectors, so the update never repacks.
//
// Read `dense_forward_panel` and `dense_forward`; `dense_backward_tile` and `dense_backward` (δ); `outer_rows` and
// `dense_gradient`. `dense_forward_few` is the forward pass of a block that leaves lanes empty: lanes are outputs there, as in
// `dense_backward_few`, its δ. `by_lanes_tile` is the gradient of few outputs; `dense_present` finds the data's zeros.
// Shapes: x, δ_x [block][inputs][lane]; z, δ_z [block][outputs][lane]; W, ∂W in panels; b, ∂b [outputs].

// The s of an outer product: `count` in each of `blocks` runs of x that lie x_block apart, `last` in the last run.
struct Runs {
  int blocks, count, last;
};
// `total` values of s in runs of `size`.
inline Runs runs_of(int total, int size) {
  const int blocks = groups(total, size);
  return {blocks, size, total - (blocks - 1) * size};
}

// What a product is summed with: nothing, what is there as its first term, or what is there in the end.
enum class Onto { fresh, continued, added };

// The outer-product tile: G[j][i][:] += Σ_s x(i, s) · d[j][s][:] for R rows i and O panels j.
// Gradient: x is in lanes (a run is a block of samples) and d has been transposed to samples x panel; also the products of
// Winograd's weight gradient. With rows_are_lanes, i is a sample and s an input: the forward pass of a few samples, where d
// is W itself and no work is spent on the empty lanes of the block.
// Of pairs s counts these: x is [block][row][lane / 2], d [panel][s][lane].
template <class T, int R, int O, bool rows_are_lanes, Total in, class F>
__attribute__((noinline)) static void outer(const F* x, ptrdiff_t x_block, const F* d, ptrdiff_t d_panel, T* gradient,
                                            ptrdiff_t g_panel, Runs runs, Onto onto) {
  constexpr int L = lanes<T>, X = L / terms_of<F>;
  constexpr bool folds = in != Total::none;
  Vec<T> acc[R][O];
  Sum<T, in> total[R][O];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int o = 0; o < O; o++) {
      acc[r][o] = onto == Onto::continued ? load(gradient + o * g_panel + r * L) : Vec<T>{};
      if (folds) total[r][o] = Sum<T, in>{};
    }
  int pending = 0;
  for (int b = 0; b < runs.blocks; b++, x += x_block) {
    const int count = b + 1 < runs.blocks ? runs.count : runs.last;
    if (!rows_are_lanes && runs.count == X)   // a whole block: of fewer samples x is in the cache
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) __builtin_prefetch(x + x_block + r * X);
    for (int l = 0; l < count; l++, d += L) {
      Vec<F> dv[O];
#pragma GCC unroll 16
      for (int o = 0; o < O; o++)   // δ is ahead of L1 as x is in `tile`
        dv[o] = load(d + o * d_panel), __builtin_prefetch(d + o * d_panel + 8 * L);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vec<F> xv = broadcast<F>(rows_are_lanes ? x[l * X + r] : x[r * X + l]);
#pragma GCC unroll 16
        for (int o = 0; o < O; o++) add_product<F>(acc[r][o], xv, dv[o]);
      }
    }
    pending += count;
    if (folds && pending >= fold_terms) {
      fold_into<T, R, O>(acc, total);
      pending = 0;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int o = 0; o < O; o++) {
      T* const to = gradient + o * g_panel + r * L;
      Vec<T> sum = acc[r][o];
      if (folds) sum = convert<Vec<T>>(total[r][o] + convert<Sum<T, in>>(sum));
      store(to, onto == Onto::added ? load(to) + sum : sum);
    }
}

// The tile for `rows` <= R.
template <class T, int R, int O, bool rows_are_lanes, Total in, class F>
inline void outer_up_to(int rows, const F* x, ptrdiff_t x_block, const F* d, ptrdiff_t d_panel, T* gradient, ptrdiff_t g_panel,
                        Runs runs, Onto onto) {
  if (rows == R) return outer<T, R, O, rows_are_lanes, in>(x, x_block, d, d_panel, gradient, g_panel, runs, onto);
  // Samples come in fours; pairs in few sizes, which compile in a third of the time.
  constexpr int step = is_pair<F> ? (R > 4 ? R - 4 : R / 2) : rows_are_lanes && R > 4 ? 4 : 1;
  if constexpr (R > step)
    outer_up_to<T, R - step, O, rows_are_lanes, in>(rows, x, x_block, d, d_panel, gradient, g_panel, runs, onto);
}

// All rows [0, rows) against O panels.
template <class T, int O, bool rows_are_lanes = false, class F = T>
inline void outer_rows(const F* x, ptrdiff_t x_block, const F* d, ptrdiff_t d_panel, T* gradient, ptrdiff_t g_panel, int rows,
                       Runs runs, Onto onto) {
  constexpr int R = rows_are_lanes ? gradient_rows / 4 * 4 : gradient_rows;
  const Total in = total_of<T>(int64_t(runs.blocks - 1) * runs.count + runs.last, runs.count);
  const auto run = [&](int r, int size) {
    const F* from = x + r * (rows_are_lanes ? 1 : lanes<T> / terms_of<F>);
    T* const to = gradient + r * lanes<T>;
    for_total<T, !is_pair<F>>(in, [&]<Total of>() {
      outer_up_to<T, R, O, rows_are_lanes, of>(size, from, x_block, d, d_panel, to, g_panel, runs, onto);
    });
  };
  if constexpr (rows_are_lanes) {
    for (int r = 0; r < rows;) {
      const int left = rows - r, size = left == 16 && R == 12 ? 8 : left < R ? left : R;
      run(r, size);
      r += size;
    }
  } else if constexpr (is_pair<F>) {
    for (int r = 0, size; r < rows; r += size) {
      size = rows - r >= R ? R : rows - r >= 4 ? 4 : rows - r >= 2 ? 2 : 1;
      run(r, size);
    }
  } else {
    Cut cut{rows, R};
    for (int r = 0, size; (size = cut.next()) > 0; r += size) run(r, size);
  }
}

// The post-operation of a dense layer's output run [first, first + count) of the blocks of one tile.
template <class T, class F>
inline void post_forward(const DenseArgs<T, F>& g, int block, int pixels, int first, int count) {
  if (in_tile(g.post.kind)) return;
  for (int p = 0; p < pixels; p++) {
    const T* z = g.z + (block + p) * g.z_block + first * lanes<T>;
    T* a = g.post.saved.block(block + p) + first * lanes<T>;
    activate_run<T>(g.post.kind, g.post.slope, z, a, count);
  }
}

// Unit: (group of blocks, panel). Where all of x fits L2 beside a panel, groups run fastest and W is read once; otherwise
// panels do, and a group's x is read once. So they do where that x fits L1: it is three times as long as a panel.
template <class T>
inline bool groups_run_fastest(int blocks, int length) {
  const int64_t vectors = int64_t(blocks) * length, bytes = int64_t(sizeof(T)) * lanes<T>;
  return vectors * bytes <= 640 * 1024 && int64_t(wide_pixels) * length * bytes > 24 * 1024;
}
// The blocks that tiles take: the samples of the last one, where they leave lanes empty, may be rows of the outer-product tile
// instead. A row costs its share of a block and all together 0.1; a tile of fewer blocks than it holds 0.35 more than these
// (28-300⁵-1, 100 samples: 53 µs a block by threes, 63 by twos).
inline double tile_cost(int blocks) {
  const int count = groups(blocks, wide_pixels), missing = count * wide_pixels - blocks;
  return double(blocks) + 0.35 * (missing < count ? missing : count);
}
template <class T>
inline int blocks_in_tiles(const DenseArgs<T>& g) {
  const int whole = g.blocks - 1, rows = groups(g.samples - whole * lanes<T>, 4) * 4;
  if (rows >= lanes<T>) return g.blocks;
  if (whole == 0) return 0;
  return tile_cost(whole) + double(rows) / lanes<T> + 0.1 < tile_cost(g.blocks) ? whole : g.blocks;
}
template <class T, class F = T>
static int dense_forward_units(const DenseArgs<T, F>& g) {
  int blocks = g.blocks;
  if constexpr (!is_pair<F>) blocks = blocks_in_tiles<T>(g);
  const int of_tiles = groups(blocks, wide_pixels) * panels<T>(g.outputs);
  return of_tiles + (blocks < g.blocks ? groups(panels<T>(g.outputs), gradient_columns) : 0);
}

// The last block, with empty lanes: a sample is a row of the outer-product tile. Unit: pair of panels.
template <class T>
static void dense_forward_few(const DenseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int block = g.blocks - 1, count = panels<T>(g.outputs), rows = groups(g.samples - block * L, 4) * 4;
  const ptrdiff_t panel_size = ptrdiff_t(g.inputs) * L;
  const T* x = g.x + block * g.x_block;
  T* z = g.z + block * g.z_block;
  const Vec<T> floor = broadcast<T>(floor_of<T>(g.post.kind));
  T out[O * L * L] __attribute__((aligned(64)));   // [panel][sample][output]
  T turned[L * L] __attribute__((aligned(64)));
  for (int unit = begin; unit < end; unit++) {
    const int panel = unit * O, width = count - panel < O ? count - panel : O;
    const T* w = g.weights + panel * panel_size;
    for (int j = 0; j < width; j++)   // sums begin with the bias, as in `tile`: the same bits
      for (int s = 0; s < rows; s++)
        store(out + (j * L + s) * L, g.bias ? from_bias<T>(load(g.bias + (panel + j) * L)) : Vec<T>{});
    if (width == O) outer_rows<T, O, true>(x, L * L, w, panel_size, out, L * L, rows, runs_of(g.inputs, L), Onto::continued);
    else outer_rows<T, 1, true>(x, L * L, w, panel_size, out, L * L, rows, runs_of(g.inputs, L), Onto::continued);
    for (int j = 0; j < width; j++) {
      for (int s = rows; s < L; s++) store(out + (j * L + s) * L, load(out + (j * L + rows - 1) * L));   // as `gather` does
      const int first = (panel + j) * L, channels = g.outputs - first < L ? g.outputs - first : L;
      transpose<T>(out + j * L * L, L, turned, L);
      for (int c = 0; c < channels; c++) store(z + (first + c) * L, at_least<T>(load(turned + c * L), floor));
      post_forward(g, block, 1, first, channels);
    }
  }
}
template <class T, int C, class F>
inline void dense_forward_panel(const DenseArgs<T, F>& g, int block, int pixels, int panel, int group = 0) {
  constexpr int L = lanes<T>;
  const F* w = g.room ? g.room : g.weights + ptrdiff_t(panel) * g.inputs * L;
  for (int first = panel * L; first < (panel + 1) * L && first < g.outputs; first += C) {
    Tile<T, F> t{};
    t.x = g.x + block * g.x_block;
    t.x_pixel = g.x_block;
    t.segments = 1;
    t.length = g.inputs;
    t.w = w + first % L;
    t.w_k = L;
    t.z = g.z + block * g.z_block + first * L;
    t.z_pixel = g.z_block;
    t.bias = g.bias ? g.bias + first : nullptr;
    t.floor = floor_of<T>(g.post.kind);
    t.channels = g.outputs - first < C ? g.outputs - first : C;
    t.add = g.add;
    if (g.present) t.present = g.present + ptrdiff_t(group) * g.inputs, t.present_count = g.present_count[group];
    // 100 outputs are 12 tiles of 8 and one of 4, 10 are 8 and 4: the same sums of fewer empty channels.
    constexpr bool narrows = C > narrow_channels && C == panel_channels<T, wide_channels> && !is_pair<F>;
    if (pixels == 1) tile_up_to<T, C, 1, false>(1, t);
    else if (narrows && t.channels <= narrow_channels) tile_up_to<T, narrow_channels, wide_pixels, false>(pixels, t);
    else tile_up_to<T, C, C == panel_channels<T, wide_channels> ? wide_pixels : 1, false>(pixels, t);
    post_forward(g, block, pixels, first, t.channels);
  }
}
template <class T, class F = T>
static void dense_forward(const DenseArgs<T, F>& g, int begin, int end) {
  int blocks = g.blocks;
  if constexpr (!is_pair<F>) blocks = blocks_in_tiles<T>(g);
  const int count = panels<T>(g.outputs), group_count = groups(blocks, wide_pixels), of_tiles = group_count * count;
  if constexpr (!is_pair<F>)
    if (end > of_tiles) dense_forward_few<T>(g, begin > of_tiles ? begin - of_tiles : 0, end - of_tiles);
  const bool by_groups = g.room || groups_run_fastest<T>(blocks, g.inputs);
  int ready = -1;
  for (int unit = begin; unit < end && unit < of_tiles; unit++) {
    const int group = by_groups ? unit % group_count : unit / count, panel = by_groups ? unit / group_count : unit % count;
    if constexpr (is_pair<F>)
      if (g.room && panel != ready) {
        pairs_of_rows(g.source + ptrdiff_t(panel) * g.rows * lanes<T>, g.rows, g.room);
        ready = panel;
      }
    const int block = int(int64_t(group) * blocks / group_count);
    const int pixels = int(int64_t(group + 1) * blocks / group_count) - block;
    if (pixels == 1) dense_forward_panel<T, panel_channels<T, single_channels>>(g, block, 1, panel, group);
    else dense_forward_panel<T, panel_channels<T, wide_channels>>(g, block, pixels, panel, group);
  }
}

// -- inputs that are 0 -------------------------------------------------------------------------------------------------------

// Dark borders of images, columns of a one-hot row, words that no sample has: an input that is 0 in all lanes of a group of
// blocks adds nothing to its sums (an infinite weight aside, which is refused), and one that is 0 throughout has a
// gradient of 0. Of the digits a fifth of the inputs are 0 in all of 24 samples, a tenth in all of 200.
template <class T>
static int dense_groups(const DenseArgs<T>& g) {
  return groups(blocks_in_tiles<T>(g), wide_pixels);
}
// Appends the inputs that are not 0 in all lanes of these blocks; how many there are.
template <class T>
static int present_in(const DenseArgs<T>& g, int begin, int end, int* list, int* used) {
  constexpr int L = lanes<T>;
  int count = 0;
  for (int first = 0; first < g.inputs; first += L) {
    Vec<T> v[L];
    for (int i = 0; i < L; i++) {
      Mask<T> bits{};
      for (int b = begin; b < end && first + i < g.inputs; b++)
        bits |= reinterpret_cast<Mask<T>>(load(g.x + b * g.x_block + ptrdiff_t(first + i) * L));
      v[i] = reinterpret_cast<Vec<T>>(bits);
    }
    turn<T>(v);
    Mask<T> all{};
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) all |= reinterpret_cast<Mask<T>>(v[i]);
    all = all << 1;   // without the sign
    for (int i = 0; i < L && first + i < g.inputs; i++) {
      list[count] = first + i;
      count += all[i] != 0;
      used[first + i] |= all[i] != 0;
    }
  }
  return count;
}
template <class T>
static void dense_present(const DenseArgs<T>& g, int* present, int* count) {
  const int blocks = blocks_in_tiles<T>(g), group_count = groups(blocks, wide_pixels);
  int* const all = present + ptrdiff_t(group_count) * g.inputs;   // first whether, then which
  int* const room = all + g.inputs;
  __builtin_memset(all, 0, sizeof(int) * size_t(g.inputs));
  for (int group = 0; group < group_count; group++)
    count[group] = present_in<T>(g, int(int64_t(group) * blocks / group_count), int(int64_t(group + 1) * blocks / group_count),
                                 present + ptrdiff_t(group) * g.inputs, all);
  if (blocks < g.blocks) present_in<T>(g, blocks, g.blocks, room, all);
  int found = 0;
  for (int i = 0; i < g.inputs; i++) {
    const bool is = all[i] != 0;
    all[found] = i;
    found += is;
  }
  count[group_count] = found;
}
// The rows of x on a list, one behind the other.
template <class T>
static void dense_gather_rows(const DenseArgs<T>& g, const int* list, int count, T* to) {
  constexpr int L = lanes<T>;
  for (int b = 0; b < g.blocks; b++)
    for (int n = 0; n < count; n++, to += L) store(to, load(g.x + b * g.x_block + ptrdiff_t(list[n]) * L));
}
// ∂W of `x_rows` rows, which lie one behind the other in every panel, to where they belong; the others are 0.
template <class T>
static void dense_spread(const DenseArgs<T>& g, const int* present) {
  constexpr int L = lanes<T>;
  for (int panel = 0; panel < panels<T>(g.outputs); panel++) {
    T* const own = g.weight_gradient + ptrdiff_t(panel) * g.inputs * L;
    for (int i = g.inputs - 1, n = g.x_rows - 1; i >= 0; i--) {
      const bool is = n >= 0 && present[n] == i;
      store(own + ptrdiff_t(i) * L, is ? load(own + ptrdiff_t(n) * L) : Vec<T>{});
      n -= is;
    }
  }
}

// Inputs per unit of the δ: as many as the widest tile takes.
constexpr int backward_inputs = wide_channels > single_channels ? wide_channels : single_channels;

// Wᵀ δ for C inputs from `first`: whole panels of W, then the rest of the last one, of long sums in a tile of its own.
template <class T, int C, int P>
inline void dense_backward_tile(const DenseArgs<T>& g, int block, int pixels, int first) {
  constexpr int L = lanes<T>;
  const int whole = g.outputs / L, rest = g.outputs % L;
  Tile<T> t{};
  t.x = g.z + block * g.z_block;
  t.x_pixel = g.z_block;
  t.x_segment = L * L;
  t.w_segment = ptrdiff_t(g.inputs) * L;
  t.w = g.weights + ptrdiff_t(first) * L;
  t.z = g.x_delta + block * g.x_delta_block + first * L;
  t.z_pixel = g.x_delta_block;
  t.floor = no_floor<T>;
  t.channels = C;
  t.add = g.add;
  if (rest && !is_long<T>(g.outputs)) {
    t.segments = whole + 1, t.length = L, t.shorter = L - rest;
    return tile_up_to<T, C, P, true>(pixels, t);
  }
  t.segments = whole, t.length = L;
  tile_up_to<T, C, P, true>(pixels, t);
  if (!rest) return;
  t.x += ptrdiff_t(whole) * L * L, t.w += whole * t.w_segment, t.segments = 1, t.length = rest, t.add = true;
  tile_up_to<T, C, P, true>(pixels, t);
}

// δ of the samples of the last block, four by four, where they leave lanes empty: lanes are outputs, summed in the end, and W
// is read as it lies. Of one input that is a product a panel and sample, and the sums over lanes about as much as 12 more.
template <class T>
inline int blocks_in_backward_tiles(const DenseArgs<T>& g) {
  const int whole = g.blocks - 1, rows = groups(g.samples - whole * lanes<T>, 4) * 4;
  if (rows >= lanes<T> || panels<T>(g.outputs) > fold_terms) return g.blocks;
  const double few = double(rows) * (panels<T>(g.outputs) + 12), saved = tile_cost(g.blocks) - (whole ? tile_cost(whole) : 0);
  return few < 0.85 * saved * g.outputs ? whole : g.blocks;
}
// δ of 4 samples, which lie in lanes from `lane` on, and 4 inputs from `first` on, of which `count` are there. d: δ as
// [panel][sample][output].
template <class T>
__attribute__((noinline)) static void dense_backward_few_tile(const DenseArgs<T>& g, const T* d, ptrdiff_t d_panel, int block,
                                                              int lane, int first, int count) {
  constexpr int L = lanes<T>, S = 4;
  Vec<T> acc[S * S];
#pragma GCC unroll 16
  for (int i = 0; i < S * S; i++) acc[i] = Vec<T>{};
  const T* w = g.weights + ptrdiff_t(first) * L;
  for (int panel = 0; panel < panels<T>(g.outputs); panel++, d += d_panel, w += ptrdiff_t(g.inputs) * L) {
    Vec<T> dv[S];
#pragma GCC unroll 4
    for (int s = 0; s < S; s++) dv[s] = load(d + s * L);
#pragma GCC unroll 4
    for (int i = 0; i < S; i++) {
      const Vec<T> wv = load(w + i * L);   // beyond the last input: of the next panel, or within the margin; not stored
#pragma GCC unroll 4
      for (int s = 0; s < S; s++) acc[i * S + s] += wv * dv[s];
    }
  }
  T sums[S * S] __attribute__((aligned(64)));
#pragma GCC unroll 4
  for (int part = 0; part < S * S; part += L) {
    Vec<T> v[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) v[i] = part + i < S * S ? acc[part + i] : Vec<T>{};
    const Vec<T> sum = sum_each<T>(v);
    __builtin_memcpy(sums + part, &sum, sizeof(T) * (L < S * S - part ? L : S * S - part));
  }
  for (int i = 0; i < count; i++) {
    T* const to = g.x_delta + block * g.x_delta_block + ptrdiff_t(first + i) * L + lane;
    for (int s = 0; s < S && lane + s < L; s++) to[s] = g.add ? to[s] + sums[i * S + s] : sums[i * S + s];
  }
}
// Of the inputs [begin, end).
template <class T>
static void dense_backward_few(const DenseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int block = g.blocks - 1, samples = g.samples - block * L, count = panels<T>(g.outputs);
  if (!g.add)
    for (int i = begin; i < end; i++) store(g.x_delta + block * g.x_delta_block + ptrdiff_t(i) * L, Vec<T>{});
  constexpr int together = 16;   // panels whose δ is turned at once
  T turned[together * L * L] __attribute__((aligned(64)));
  for (int panel = 0; panel < count; panel += together) {
    DenseArgs<T> part = g;
    part.weights += ptrdiff_t(panel) * g.inputs * L;
    part.outputs = g.outputs - panel * L < together * L ? g.outputs - panel * L : together * L;
    part.add = g.add || panel > 0;
    for (int p = 0; p < panels<T>(part.outputs); p++)
      transpose_present<T>(g.z + block * g.z_block + ptrdiff_t(panel + p) * L * L, part.outputs - p * L, turned + p * L * L);
    for (int first = begin; first < end; first += 4)
      for (int lane = 0; lane < samples; lane += 4)
        dense_backward_few_tile<T>(part, turned + lane * L, L * L, block, lane, first, end - first < 4 ? end - first : 4);
  }
}

// Unit: (group of blocks, run of inputs), and behind those the runs of the samples that are no block.
template <class T>
static int dense_backward_units(const DenseArgs<T>& g) {
  const int blocks = blocks_in_backward_tiles<T>(g);
  return (groups(blocks, wide_pixels) + (blocks < g.blocks)) * groups(g.inputs, backward_inputs);
}
template <class T>
static void dense_backward(const DenseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int blocks = blocks_in_backward_tiles<T>(g);
  const int count = groups(g.inputs, backward_inputs), group_count = groups(blocks, wide_pixels);
  const int of_tiles = group_count * count;
  const bool by_groups = groups_run_fastest<T>(blocks, g.outputs);
  if (end > of_tiles) {
    const int first = (begin > of_tiles ? begin - of_tiles : 0) * backward_inputs, last = (end - of_tiles) * backward_inputs;
    const int stop = last < g.inputs ? last : g.inputs;
    dense_backward_few<T>(g, first, stop);
    if (g.post.kind != Act::identity) {
      T* d = g.x_delta + blocks * g.x_delta_block + first * L;
      derive_run<T>(g.post.kind, g.post.slope, g.post.saved.block(blocks) + first * L, d, d, stop - first);
    }
  }
  for (int unit = begin; unit < end && unit < of_tiles; unit++) {
    const int group = by_groups ? unit % group_count : unit / count;
    const int start = (by_groups ? unit / group_count : unit % count) * backward_inputs;
    const int block = int(int64_t(group) * blocks / group_count);
    const int pixels = int(int64_t(group + 1) * blocks / group_count) - block;
    const int stop = start + backward_inputs < g.inputs ? start + backward_inputs : g.inputs;
    int first = start;
    if (pixels == 1)
      for (; first + single_channels <= stop; first += single_channels)
        dense_backward_tile<T, single_channels, 1>(g, block, 1, first);
    in_runs_of<wide_channels>(first, stop, [&]<int C>(int input) {   // nothing past the last input is read
      dense_backward_tile<T, C, wide_pixels>(g, block, pixels, input);
    });
    if (g.post.kind == Act::identity) continue;
    for (int p = 0; p < pixels; p++) {
      T* d = g.x_delta + (block + p) * g.x_delta_block + start * L;
      derive_run<T>(g.post.kind, g.post.slope, g.post.saved.block(block + p) + start * L, d, d, stop - start);
    }
  }
}

// Rows per unit of the gradient: enough that the transposition of δ, repeated in every unit, is below 2 %.
constexpr int gradient_chunk = 192;
// Samples, or positions, whose δ is transposed together: 256 KB of two panels.
template <class T>
constexpr int gradient_blocks = 2048 / lanes<T>;

// Chunks of the inputs, and of the other x behind them.
template <class T>
inline int rows_of_x(const DenseArgs<T>& g) {
  return g.x_rows ? g.x_rows : g.inputs;
}
template <class T>
inline int dense_gradient_chunks(const DenseArgs<T>& g) {
  return groups(rows_of_x(g), gradient_chunk) + (g.other ? groups(g.other_inputs, gradient_chunk) : 0);
}
template <class T>
static int dense_gradient_units(const DenseArgs<T>& g) {
  return groups(panels<T>(g.outputs), gradient_columns) * dense_gradient_chunks<T>(g);
}
template <class T>
static size_t dense_scratch(int samples) {
  const int blocks = groups(samples, lanes<T>);
  return size_t(gradient_columns) * size_t(blocks < gradient_blocks<T> ? blocks : gradient_blocks<T>) * lanes<T> * lanes<T>;
}
// δ of `blocks` blocks and `width` panels, transposed to [panel][sample][lane]. The panels lie side by side, the next block a
// whole δ behind, which no processor foresees: it is fetched two blocks ahead (0025: 0.6 of the transposition's time where δ is
// out of L2).
template <class T>
inline void turn_delta(const DenseArgs<T>& g, int block, int blocks, int panel, int width, T* scratch) {
  constexpr int L = lanes<T>;
  for (int b = 0; b < blocks; b++) {
    const T* const from = g.z + (block + b) * g.z_block + ptrdiff_t(panel) * L * L;
    for (int j = 0; j < width; j++) {
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) __builtin_prefetch(from + 2 * g.z_block + (j * L + i) * L);
      transpose_present<T>(from + j * L * L, g.outputs - (panel + j) * L, scratch + (ptrdiff_t(j) * blocks + b) * L * L);
    }
  }
}
// Σ of `count` vectors, of eight or more as four sums beside each other: an addition waits for the one before it.
template <class T>
inline Vec<T> sum_of_rows(const T* from, int count) {
  constexpr int L = lanes<T>;
  LongSum<T> sums[4];
  if (count < 8) {   // 0.98 of a small step of seven samples
    for (int s = 0; s < count; s++) sums[0].add(load(from + s * L));
    return sums[0].value();
  }
  int s = 0;
  for (; s + 4 <= count; s += 4)
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) sums[i].add(load(from + ptrdiff_t(s + i) * L));
  for (; s < count; s++) sums[s % 4].add(load(from + ptrdiff_t(s) * L));
  return narrow<T>((sums[0].wide() + sums[1].wide()) + (sums[2].wide() + sums[3].wide()));
}

// -- gradients of few outputs -------------------------------------------------------------------------------------------------

// G[o][i] = Σ over lanes of Σ_b x(i, b) · d(o, b): lanes stay samples, δ is not transposed, and no product is spent on outputs
// that a panel lacks (10 of 16); what it costs are the sums over lanes in the end, of R inputs and C outputs, R · C = 16.
template <class T, int C, int R>
__attribute__((noinline)) static void by_lanes_tile(const T* x, ptrdiff_t x_block, const T* d, ptrdiff_t d_block, int blocks,
                                                    T* gradient, Onto onto) {
  constexpr int L = lanes<T>;
  Vec<T> acc[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) acc[i] = Vec<T>{};
  for (int b = 0; b < blocks; b++, x += x_block, d += d_block) {
    Vec<T> dv[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) dv[c] = load(d + c * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const Vec<T> xv = load(x + r * L);
#pragma GCC unroll 16
      for (int c = 0; c < C; c++) acc[r * C + c] += xv * dv[c];
    }
  }
  T sums[16] __attribute__((aligned(64)));
#pragma GCC unroll 4
  for (int part = 0; part < 16 && part < R * C; part += L) {
    Vec<T> v[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) v[i] = acc[part + i];
    store(sums + part, sum_each<T>(v));
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      T& to = gradient[r * L + c];
      to = onto == Onto::added ? to + sums[r * C + c] : sums[r * C + c];
    }
}
// Whether that is cheaper: sums over lanes cost about as much as 10 blocks, the transposition of δ 6 products a sample. Counted
// are all inputs and not x_rows: one way for every batch, the same bits.
template <class T>
inline bool sums_by_lanes(const DenseArgs<T>& g, int blocks, int samples) {
  const int64_t products = int64_t(g.inputs) * g.outputs * (blocks + 10);
  return !g.other && double(products) < 0.9 * double(panels<T>(g.outputs)) * (g.inputs + 6) * samples;
}
template <class T>
inline void by_lanes_rows(const DenseArgs<T>& g, const T* x, ptrdiff_t x_block, int block, int blocks, int panel, int width,
                          T* gradient, ptrdiff_t g_panel, int rows, Onto onto) {
  constexpr int L = lanes<T>;
  for (int j = 0; j < width; j++, gradient += g_panel) {
    const int first = (panel + j) * L, last = first + L < g.outputs ? first + L : g.outputs;
    for (int r = 0; r < rows && last < first + L && onto == Onto::fresh; r++) store(gradient + r * L, Vec<T>{});
    in_runs_of<8>(first, last, [&]<int C>(int o) {
      const T* d = g.z + block * g.z_block + ptrdiff_t(o) * L;
      in_runs_of<16 / C>(0, rows, [&]<int R>(int r) {
        by_lanes_tile<T, C, R>(x + r * L, x_block, d, g.z_block, blocks, gradient + r * L + (o - first), onto);
      });
    });
  }
}
// ∂b of a panel.
template <class T>
inline Vec<T> sum_by_lanes(const DenseArgs<T>& g, int block, int blocks, int panel) {
  constexpr int L = lanes<T>;
  Vec<T> v[L];
  for (int i = 0; i < L; i++) {
    v[i] = Vec<T>{};
    for (int b = block; b < block + blocks && panel * L + i < g.outputs; b++)
      v[i] += load(g.z + b * g.z_block + ptrdiff_t(panel * L + i) * L);
  }
  return sum_each<T>(v);
}

// Unit: (pair of panels, chunk of inputs). δ is transposed into scratch, the bias gradient falls out of it; of many samples in
// parts, whose gradients are added.
template <class T>
static void dense_gradient(const DenseArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int own_chunks = groups(rows_of_x(g), gradient_chunk), chunks = dense_gradient_chunks<T>(g),
            count = panels<T>(g.outputs);
  for (int block = 0; block < g.blocks; block += gradient_blocks<T>) {
    const int blocks = g.blocks - block < gradient_blocks<T> ? g.blocks - block : gradient_blocks<T>;
    const int samples = block + blocks < g.blocks ? blocks * L : g.samples - block * L;
    const ptrdiff_t d_panel = ptrdiff_t(blocks) * L * L;
    const Onto onto = block ? Onto::added : Onto::fresh;
    const bool by_lanes = sums_by_lanes<T>(g, blocks, samples);
    int ready = -1;
    for (int unit = begin; unit < end; unit++) {
      const int pair = unit / chunks, chunk = unit % chunks;
      const int first = pair * O, width = count - first < O ? count - first : O;
      if (pair != ready && !by_lanes) turn_delta<T>(g, block, blocks, first, width, scratch), ready = pair;
      if (chunk == 0 && g.bias_gradient)
        for (int j = 0; j < width; j++) {
          T* const to = g.bias_gradient + (first + j) * L;
          const Vec<T> sum =
              by_lanes ? sum_by_lanes<T>(g, block, blocks, first + j) : sum_of_rows<T>(scratch + j * d_panel, samples);
          store(to, block ? load(to) + sum : sum);
        }
      const bool other = chunk >= own_chunks;
      const int i0 = (other ? chunk - own_chunks : chunk) * gradient_chunk, inputs = other ? g.other_inputs : g.inputs;
      const int left = (other ? inputs : rows_of_x(g)) - i0, rows = left < gradient_chunk ? left : gradient_chunk;
      const ptrdiff_t x_block = other ? g.other_block : g.x_block, g_panel = ptrdiff_t(inputs) * L;
      const T* x = (other ? g.other : g.x) + block * x_block + ptrdiff_t(i0) * L;
      T* gradient = (other ? g.other_gradient : g.weight_gradient) + (ptrdiff_t(first) * inputs + i0) * L;
      const Runs runs = runs_of(samples, L);
      if (by_lanes) by_lanes_rows<T>(g, x, x_block, block, blocks, first, width, gradient, g_panel, rows, onto);
      else if (width == O) outer_rows<T, O>(x, x_block, scratch, d_panel, gradient, g_panel, rows, runs, onto);
      else outer_rows<T, 1>(x, x_block, scratch, d_panel, gradient, g_panel, rows, runs, onto);
    }
  }
}

// A sample's own weight gradient is δ xᵀ, a product of two vectors, so its norm is ‖δ‖ ‖x‖, and with a bias ‖δ‖ √(1 + ‖x‖²).
template <class T>
static void dense_norms(const DenseArgs<T>& g, double* norms, int begin, int end) {
  constexpr int L = lanes<T>;
  for (int b = begin; b < end; b++) {
    const Wide<T> of_x = lane_norms<T>([&](auto&& body) {
      if (g.bias_gradient) body(broadcast<T>(T(1)));
      for (int i = 0; i < g.inputs; i++) body(load(g.x + b * g.x_block + ptrdiff_t(i) * L));
    });
    const Wide<T> of_delta = lane_norms<T>([&](auto&& body) {
      for (int o = 0; o < g.outputs; o++) body(load(g.z + b * g.z_block + ptrdiff_t(o) * L));
    });
    store_wide<T>(norms + ptrdiff_t(b) * L, of_x * of_delta);
  }
}
