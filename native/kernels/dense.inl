// Dense layers: z = W x + b, δ_x = Wᵀ δ_z, ∂W = δ_z xᵀ, ∂b = Σ δ_z (seed 000, equations 1-3; samples summed as seed 004 §6).
//
// W is kept in panels of `lanes` outputs: [outputs / lanes][inputs][lanes]. Forward and δ read it by broadcast, so one
// layout serves both; the gradient writes it as whole vectors, so the update never repacks.

template <class T>
inline int panels(int outputs) {
  return (outputs + lanes<T> - 1) / lanes<T>;
}
inline int groups(int count, int size) { return (count + size - 1) / size; }

// The post-operation of a dense layer's output run [first, first + count) of the blocks of one tile.
template <class T>
inline void post_forward(const DenseArgs<T>& g, int block, int pixels, int first, int count) {
  if (g.post.kind == Act::identity || g.post.kind == Act::relu) return;   // the tile has done it
  for (int p = 0; p < pixels; p++) {
    const T* z = g.z + (block + p) * g.z_block + first * lanes<T>;
    T* a = g.post.saved.data + (block + p) * g.post.saved.block + first * lanes<T>;
    activate_run<T>(g.post.kind, g.post.slope, z, a, count);
  }
}

// Unit: (group of blocks, panel); panels run fastest, so that the group's x stays in L2.
template <class T>
static int dense_forward_units(const DenseArgs<T>& g) {
  return groups(g.blocks, wide_pixels) * panels<T>(g.outputs);
}
template <class T>
static void dense_forward(const DenseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, C = panel_channels<T>;
  const int count = panels<T>(g.outputs), group_count = groups(g.blocks, wide_pixels);
  for (int unit = begin; unit < end; unit++) {
    const int group = unit / count, panel = unit % count;
    const int block = int(int64_t(group) * g.blocks / group_count);
    const int pixels = int(int64_t(group + 1) * g.blocks / group_count) - block;
    for (int half = 0; half < L; half += C) {
      const int first = panel * L + half;
      if (first >= g.outputs) break;
      Tile<T> t{};
      t.x = g.x + block * g.x_block;
      t.x_pixel = g.x_block;
      t.segments = 1;
      t.length = g.inputs;
      t.w = g.weights + ptrdiff_t(panel) * g.inputs * L + half;
      t.w_k = L;
      t.z = const_cast<T*>(g.z) + block * g.z_block + first * L;
      t.z_pixel = g.z_block;
      t.bias = g.bias ? g.bias + first : nullptr;
      t.floor = g.post.kind == Act::relu ? T(0) : no_floor<T>;
      t.channels = g.outputs - first < C ? g.outputs - first : C;
      tile_up_to<T, C, wide_pixels, false>(pixels, t);
      post_forward(g, block, pixels, first, t.channels);
    }
  }
}

// Unit: (group of blocks, C inputs).
template <class T>
static int dense_backward_units(const DenseArgs<T>& g) {
  return groups(g.blocks, wide_pixels) * groups(g.inputs, wide_channels);
}
template <class T>
static void dense_backward(const DenseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>, C = wide_channels;
  const int count = groups(g.inputs, C), group_count = groups(g.blocks, wide_pixels);
  const int whole = g.outputs / L, rest = g.outputs % L;
  for (int unit = begin; unit < end; unit++) {
    const int group = unit / count, first = (unit % count) * C;
    const int block = int(int64_t(group) * g.blocks / group_count);
    const int pixels = int(int64_t(group + 1) * g.blocks / group_count) - block;
    Tile<T> t{};
    t.x = g.z + block * g.z_block;
    t.x_pixel = g.z_block;
    t.x_segment = L * L;
    t.w_segment = ptrdiff_t(g.inputs) * L;
    t.w = g.weights + ptrdiff_t(first) * L;
    t.w_k = L;
    t.z = g.x_delta + block * g.x_delta_block + first * L;
    t.z_pixel = g.x_delta_block;
    t.floor = no_floor<T>;
    t.channels = g.inputs - first < C ? g.inputs - first : C;
    if (t.channels < C) {
      // Beyond the last input the panel ends; single rows read nothing past it.
      for (int c = 0; c < t.channels; c++) {
        Tile<T> s = t;
        s.w += c * L, s.z += c * L, s.channels = 1;
        s.segments = whole, s.length = L;
        tile_up_to<T, 1, wide_pixels, true>(pixels, s);
        s.x += ptrdiff_t(whole) * L * L, s.w += whole * t.w_segment, s.segments = 1, s.length = rest, s.add = true;
        if (rest) tile_up_to<T, 1, wide_pixels, true>(pixels, s);
      }
    } else {
      t.segments = whole, t.length = L;
      tile_up_to<T, C, wide_pixels, true>(pixels, t);
      t.x += ptrdiff_t(whole) * L * L, t.w += whole * t.w_segment, t.segments = 1, t.length = rest, t.add = true;
      if (rest) tile_up_to<T, C, wide_pixels, true>(pixels, t);
    }
    if (g.post.kind != Act::identity)
      for (int p = 0; p < pixels; p++) {
        T* d = g.x_delta + (block + p) * g.x_delta_block + first * L;
        derive_run<T>(g.post.kind, g.post.slope, g.post.saved.data + (block + p) * g.post.saved.block + first * L, d, d,
                      t.channels);
      }
  }
}

// The outer-product tile: G[j][i][:] += Σ_s x(i, s) · d[j][s][:], where x is in lanes (sample s = block s / L, lane s % L) and
// d has been transposed to samples x panel. R rows i, O panels j. Also the products of Winograd's weight gradient.
template <class T, int R, int O>
__attribute__((noinline)) static void outer(const T* x, ptrdiff_t x_block, const T* d, ptrdiff_t d_panel, T* gradient,
                                            ptrdiff_t g_panel, int samples, bool add) {
  constexpr int L = lanes<T>;
  Vec<T> acc[R][O];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int o = 0; o < O; o++) acc[r][o] = add ? load(gradient + o * g_panel + r * L) : Vec<T>{};
  for (int s0 = 0; s0 < samples; s0 += L, x += x_block) {
    const int count = samples - s0 < L ? samples - s0 : L;
    for (int l = 0; l < count; l++, d += L) {
      Vec<T> dv[O];
#pragma GCC unroll 16
      for (int o = 0; o < O; o++) dv[o] = load(d + o * d_panel);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vec<T> xv = broadcast<T>(x[r * L + l]);
#pragma GCC unroll 16
        for (int o = 0; o < O; o++) acc[r][o] += xv * dv[o];
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int o = 0; o < O; o++) store(gradient + o * g_panel + r * L, acc[r][o]);
}

// All rows [0, rows) against O panels.
template <class T, int O>
inline void outer_rows(const T* x, ptrdiff_t x_block, const T* d, ptrdiff_t d_panel, T* gradient, ptrdiff_t g_panel, int rows,
                       int samples, bool add) {
  constexpr int R = gradient_rows;
  int r = 0;
  for (; r + R <= rows; r += R)
    outer<T, R, O>(x + r * lanes<T>, x_block, d, d_panel, gradient + r * lanes<T>, g_panel, samples, add);
  for (; r + 4 <= rows; r += 4)
    outer<T, 4, O>(x + r * lanes<T>, x_block, d, d_panel, gradient + r * lanes<T>, g_panel, samples, add);
  for (; r < rows; r++)
    outer<T, 1, O>(x + r * lanes<T>, x_block, d, d_panel, gradient + r * lanes<T>, g_panel, samples, add);
}

// Rows per unit of the gradient: enough that the transposition of δ, repeated in every unit, is below 2 %.
constexpr int gradient_chunk = 192;

template <class T>
static int dense_gradient_units(const DenseArgs<T>& g) {
  return groups(panels<T>(g.outputs), gradient_columns) * groups(g.inputs, gradient_chunk);
}
template <class T>
static size_t dense_scratch(int samples) {
  return size_t(gradient_columns) * size_t(groups(samples, lanes<T>)) * lanes<T> * lanes<T>;
}
// Unit: (pair of panels, chunk of inputs). δ is transposed into scratch, the bias gradient falls out of it.
template <class T>
static void dense_gradient(const DenseArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, O = gradient_columns;
  const int chunks = groups(g.inputs, gradient_chunk), count = panels<T>(g.outputs);
  const ptrdiff_t d_panel = ptrdiff_t(g.blocks) * L * L;
  int ready = -1;
  for (int unit = begin; unit < end; unit++) {
    const int pair = unit / chunks, chunk = unit % chunks;
    const int first = pair * O, width = count - first < O ? count - first : O;
    if (pair != ready) {
      for (int j = 0; j < width; j++)
        for (int b = 0; b < g.blocks; b++) {
          const int o = (first + j) * L;
          T* to = scratch + j * d_panel + ptrdiff_t(b) * L * L;
          const T* from = g.z + b * g.z_block + ptrdiff_t(o) * L;
          if (o + L <= g.outputs) {
            transpose<T>(from, L, to, L);
          } else {
            for (int l = 0; l < L; l++)
              for (int i = 0; i < L; i++) to[l * L + i] = o + i < g.outputs ? from[i * L + l] : T(0);
          }
        }
      ready = pair;
    }
    if (chunk == 0 && g.bias_gradient)
      for (int j = 0; j < width; j++) {
        Vec<T> sum{};
        for (int s = 0; s < g.samples; s++) sum += load(scratch + j * d_panel + ptrdiff_t(s) * L);
        store(g.bias_gradient + (first + j) * L, sum);
      }
    const int i0 = chunk * gradient_chunk, rows = g.inputs - i0 < gradient_chunk ? g.inputs - i0 : gradient_chunk;
    T* gradient = g.weight_gradient + (ptrdiff_t(first) * g.inputs + i0) * L;
    const ptrdiff_t g_panel = ptrdiff_t(g.inputs) * L;
    if (width == O) {
      outer_rows<T, O>(g.x + ptrdiff_t(i0) * L, g.x_block, scratch, d_panel, gradient, g_panel, rows, g.samples, false);
    } else {
      outer_rows<T, 1>(g.x + ptrdiff_t(i0) * L, g.x_block, scratch, d_panel, gradient, g_panel, rows, g.samples, false);
    }
  }
}
