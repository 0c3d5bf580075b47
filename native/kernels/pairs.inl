// Layers whose factors are rounded to bfloat16 (docs/decisions/0021-bfloat16.md): the loops of layers/dense.inl and conv.inl
// over pairs, and the ways from float32 to pairs.
//
// Read the ways, `pairs_along` and `pairs_of_lanes`; `pairs_backward` (δ) and `pairs_gradient`; convolutions; the table.
// Shapes: along [block][rows / 2][lane]; of lanes [block][rows][lane / 2].

static void pairs_along(const PairArgs& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) pairs_of_rows(g.from + unit * g.from_block, g.rows, g.to + unit * g.to_block);
}

static void pairs_of_lanes(const PairArgs& g, int begin, int end) {
  for (int unit = begin; unit < end; unit++) halves_of_rows(g.from + unit * g.from_block, g.rows, g.to + unit * g.to_block);
}

// What becomes infinite raises an exception, as `watched` does.
static void round_to_bfloat16(const float* from, float* to, int64_t begin, int64_t end) {
  constexpr int L = lanes<float>;
  for (int64_t i = begin; i < end; i++) {
    const Vec<float> v = (Vec<float>)(to_bfloat16(load(from + i * L)) << 16);
    store(to + i * L, at_least<float>(v, watched<Pair>(broadcast<float>(no_floor<float>), v)));
  }
}

// Unit: (run of inputs, group of blocks), as in `dense_backward`, groups fastest: a unit's rows of W, with outputs two by two,
// are [panel][input][lane / 2] in `room`.
static int pairs_backward_units(const DenseArgs<float, Pair>& g) {
  return groups(g.blocks, wide_pixels) * groups(g.inputs, backward_inputs);
}
static size_t pairs_room(int inputs, int outputs) {
  constexpr int L = lanes<float>;
  const size_t forward = size_t(inputs + 1) / 2 * L, backward = size_t(panels<float>(outputs)) * backward_inputs * (L / 2);
  return forward > backward ? forward : backward;
}
static void pairs_backward(const DenseArgs<float, Pair>& g, int begin, int end) {
  constexpr int L = lanes<float>, X = L / 2;
  const int group_count = groups(g.blocks, wide_pixels), count = panels<float>(g.outputs);
  int ready = -1;
  for (int unit = begin; unit < end; unit++) {
    const int group = unit % group_count, start = unit / group_count * backward_inputs;
    const int rows = g.inputs - start < backward_inputs ? g.inputs - start : backward_inputs;
    if (start != ready) {
      for (int p = 0; p < count; p++) {
        const float* from = g.source + (ptrdiff_t(p) * g.inputs + start) * L;
        for (int r = 0; r < rows; r++) __builtin_prefetch(from + 3 * ptrdiff_t(g.inputs) * L + r * L);   // panels are far apart
        halves_of_rows(from, rows, g.room + ptrdiff_t(p) * rows * X);
      }
      ready = start;
    }
    const int block = int(int64_t(group) * g.blocks / group_count);
    const int pixels = int(int64_t(group + 1) * g.blocks / group_count) - block;
    Tile<float, Pair> t{};
    t.x = g.x + block * g.x_block;
    t.x_pixel = g.x_block;
    t.x_segment = ptrdiff_t(X) * L;
    t.w_segment = ptrdiff_t(rows) * X;
    t.z_pixel = g.x_delta_block;
    t.floor = no_floor<float>;
    t.add = g.add;
    t.segments = count, t.length = X;
    float* const to = g.x_delta + block * g.x_delta_block + ptrdiff_t(start) * L;
    for (int i = 0; i < rows; i += t.channels) {
      t.w = g.room + i * X, t.z = to + i * L;
      t.channels = pixels == 1 && rows - i >= single_channels ? single_channels : rows - i >= wide_channels ? wide_channels : 1;
      if (t.channels == single_channels) tile_up_to<float, single_channels, 1, true>(1, t);
      else if (t.channels == wide_channels) tile_up_to<float, wide_channels, wide_pixels, true>(pixels, t);
      else tile_up_to<float, 1, wide_pixels, true>(pixels, t);
    }
    for (int p = 0; p < pixels; p++) {
      float* const d = to + p * g.x_delta_block;
      derive_run<float>(g.post.kind, g.post.slope, g.post.saved.block(block + p) + start * L, d, d, rows);
    }
  }
}

static size_t pairs_scratch(int samples) { return dense_scratch<float>(samples) / 2; }
static int pairs_gradient_units(const DenseArgs<float, Pair>& g) {
  return groups(panels<float>(g.outputs), gradient_columns) * groups(g.inputs, gradient_chunk);
}
// δ of `blocks` blocks and `width` panels to [panel][sample / 2][lane], zero behind the last sample; onto ∂b where that is
// asked.
static void turn_pairs(const DenseArgs<float, Pair>& g, int block, int blocks, int panel, int width, bool bias, Pair* scratch) {
  constexpr int L = lanes<float>;
  float turned[L * L] __attribute__((aligned(64)));
  for (int j = 0; j < width; j++) {
    const int o = (panel + j) * L;
    LongSum<float> sum;
    for (int b = 0; b < blocks; b++) {
      const float* from = g.z + (block + b) * g.z_block + ptrdiff_t(o) * L;
      const int left = g.samples - (block + b) * L, samples = left < L ? left : L;
      transpose_present<float>(from, g.outputs - o, turned);
      for (int l = 0; bias && l < samples; l++) sum.add(load(turned + l * L));
      pairs_of_rows(turned, samples, scratch + (ptrdiff_t(j) * blocks + b) * (L / 2) * L);
    }
    if (!bias) continue;
    float* const to = g.bias_gradient + o;
    store(to, block ? load(to) + sum.value() : sum.value());
  }
}
// Unit: (pair of panels, chunk of inputs), as in `dense_gradient`.
static void pairs_gradient(const DenseArgs<float, Pair>& g, int begin, int end, Pair* scratch) {
  constexpr int L = lanes<float>, O = gradient_columns;
  const int chunks = groups(g.inputs, gradient_chunk), count = panels<float>(g.outputs);
  for (int block = 0; block < g.blocks; block += gradient_blocks<float>) {
    const int blocks = g.blocks - block < gradient_blocks<float> ? g.blocks - block : gradient_blocks<float>;
    const int samples = block + blocks < g.blocks ? blocks * L : g.samples - block * L;
    const ptrdiff_t d_panel = ptrdiff_t(blocks) * (L / 2) * L, g_panel = ptrdiff_t(g.inputs) * L;
    int ready = -1;
    for (int unit = begin; unit < end; unit++) {
      const int pair = unit / chunks, chunk = unit % chunks;
      const int first = pair * O, width = count - first < O ? count - first : O;
      if (pair != ready) {
        turn_pairs(g, block, blocks, first, width, chunk == 0 && g.bias_gradient, scratch);
        ready = pair;
      }
      const int i0 = chunk * gradient_chunk, rows = g.inputs - i0 < gradient_chunk ? g.inputs - i0 : gradient_chunk;
      const Pair* x = g.x + block * g.x_block + ptrdiff_t(i0) * (L / 2);
      float* gradient = g.weight_gradient + (ptrdiff_t(first) * g.inputs + i0) * L;
      const Runs runs = runs_of((samples + 1) / 2, L / 2);
      const Onto onto = block ? Onto::added : Onto::fresh;
      const Pair* d = scratch;
      if (width == O) outer_rows<float, O, false, Pair>(x, g.x_block, d, d_panel, gradient, g_panel, rows, runs, onto);
      else outer_rows<float, 1, false, Pair>(x, g.x_block, d, d_panel, gradient, g_panel, rows, runs, onto);
    }
  }
}

// -- convolutions -------------------------------------------------------------------------------------------------------------

// As conv_pack_forward, channels two by two; as conv_pack_backward, filters two by two. An odd one has no other group beside
// it.
static void pairs_pack_forward(const ConvArgs<float>& g, int begin, int end) {
  constexpr int C = narrow_channels;
  const int own = group_filters<float>(g), channels = group_channels<float>(g), pairs = (channels + 1) / 2;
  const ptrdiff_t offsets = kernel_taps(g), size = offsets * pairs;
  for (int filter = begin; filter < end; filter++) {
    const int k = filter % own;
    const float* w = g.weights + filter * offsets * channels;
    Pair* to = as<Pair>(g.packed) + filter / own * channel_tiles<float>(own) * C * size + k / C * C * size + k % C;
    for (ptrdiff_t o = 0; o < offsets; o++, w += channels)
      for (int c = 0; c < channels; c += 2, to += C) *to = half_of(w[c]) | (c + 1 < channels ? half_of(w[c + 1]) << 16 : 0);
  }
}
// Unit: filter, of which the even ones of a group do the work.
static void pairs_pack_backward(const ConvArgs<float>& g, int begin, int end) {
  constexpr int C = narrow_channels;
  const int offsets = int(kernel_taps(g)), channels = group_channels<float>(g), filters = group_filters<float>(g),
            tiles = channel_tiles<float>(channels), pairs = (filters + 1) / 2;
  const ptrdiff_t size = ptrdiff_t(offsets) * channels;
  for (int filter = begin; filter < end; filter++) {
    const int k = filter % filters;
    if (k % 2) continue;
    Pair* packed = as<Pair>(g.packed) + ptrdiff_t(filter / filters) * tiles * C * offsets * pairs;
    for (int o = 0; o < offsets; o++) {
      const float* w = g.weights + filter * size + ptrdiff_t(o) * channels;
      for (int c = 0; c < channels; c++)
        packed[((ptrdiff_t(o) * tiles + c / C) * pairs + k / 2) * C + c % C] =
            half_of(w[c]) | (k + 1 < filters ? half_of(w[size + c]) << 16 : 0);
    }
  }
}

constexpr PairKernels pair_table() {
  PairKernels k{};
#ifdef __AVX512BF16__
  k.by = "vdpbf16ps";
#else
  k.by = "shifts and masks";
#endif
  k.forward_units = dense_forward_units<float, Pair>;
  k.forward = dense_forward<float, Pair>;
  k.backward_units = pairs_backward_units;
  k.backward = pairs_backward;
  k.room = pairs_room;
  k.gradient_units = pairs_gradient_units;
  k.scratch = pairs_scratch;
  k.gradient = pairs_gradient;
  k.along = pairs_along;
  k.lanes = pairs_of_lanes;
  k.round = round_to_bfloat16;
  k.pack_forward = pairs_pack_forward;
  k.pack_backward = pairs_pack_backward;
  k.conv_forward = conv_forward<float, Pair>;
  k.conv_backward = conv_backward<float, Pair>;
  k.filters_transpose = conv_filters_transpose<float, Pair>;
  k.filters_gradient = conv_filters_gradient<float, Pair>;
  return k;
}
