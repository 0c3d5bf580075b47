// Steps of a sequence that are padding: found, and their values and δ set to zero.
//
// Read masking forward and backward, then pooling over the steps that are there, forward and backward.
// Shapes: x, z and their δ [block][steps][features][lane]; mask [block][steps][lane]; of a pool z, δ_z [block][features][lane].

// The mask of every step, and z = x where it is there. x may hold NaN: it is not padding.
template <class T>
static void masking_forward(const MaskingArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const Vec<T> padding = broadcast<T>(g.value), zero{}, one = broadcast<T>(1);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const T* x = g.x.row(b, h);
    T* z = g.z.row(b, h);
    T* mask = g.mask.row(b, h);
    for (int t = 0; t < g.x.width; t++, x += channels * L, z += channels * L, mask += L) {
      Vec<T> there{};
      for (int c = 0; c < channels; c++) there = load(x + c * L) == padding ? there : one;
      store(mask, there);
      for (int c = 0; c < channels; c++) store(z + c * L, there > zero ? load(x + c * L) : zero);
    }
  }
}

template <class T>
static void masking_backward(const MaskingArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    T* x = g.x.row(b, h);
    const T* z = g.z.row(b, h);
    const T* mask = g.mask.row(b, h);
    for (int t = 0; t < g.x.width; t++, x += channels * L, z += channels * L, mask += L)
      for (int c = 0; c < channels; c++) store(x + c * L, load(z + c * L) * load(mask));
  }
}

// How many steps of each sample are there.
template <class T>
inline Vec<T> steps_there(const Map<T>& mask, int b) {
  Vec<T> count{};
  for (int t = 0; t < mask.width; t++) count += load(mask.block(b) + ptrdiff_t(t) * lanes<T>);
  return count;
}
// The step of the largest value of a channel among those that are there, the first at a tie; -1 where there is none.
template <class T>
inline Vec<T> largest_step(const T* x, const T* mask, int steps, int channels, Vec<T>& most) {
  constexpr int L = lanes<T>;
  Vec<T> found = broadcast<T>(T(-1));
  most = Vec<T>{};
  for (int t = 0; t < steps; t++) {
    const Vec<T> value = load(x + ptrdiff_t(t) * channels * L), there = load(mask + ptrdiff_t(t) * L);
    const Vec<T> better = found < T(0) ? there : (value > most ? there : Vec<T>{});
    found = better > T(0) ? broadcast<T>(T(t)) : found;
    most = better > T(0) ? value : most;
  }
  return found;
}

template <class T>
static void masked_pool_forward(const MaskedPoolArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int steps = g.x.width, channels = g.x.channels;
  for (int b = begin; b < end; b++) {
    const T *x = g.x.block(b), *mask = g.mask.block(b);
    T* z = g.z.block(b);
    const Vec<T> count = steps_there<T>(g.mask, b), share = T(1) / at_least<T>(count, broadcast<T>(T(1)));
    for (int c = 0; c < channels; c++) {
      Vec<T> value{};
      if (g.average) {
        Wide<T> sum{};   // which may be above float32 where the mean is not
        for (int t = 0; t < steps; t++)
          sum += widen<T>(load(x + (ptrdiff_t(t) * channels + c) * L) * load(mask + ptrdiff_t(t) * L));
        value = narrow<T>(sum * widen<T>(share));
      } else {
        largest_step<T>(x + c * L, mask, steps, channels, value);
      }
      store(z + c * L, value);
    }
  }
}

template <class T>
static void masked_pool_backward(const MaskedPoolArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int steps = g.x.width, channels = g.x.channels;
  for (int b = begin; b < end; b++) {
    const T *x = g.x.block(b), *mask = g.mask.block(b), *d = g.z_delta.block(b);
    T* out = g.x_delta.block(b);
    const Vec<T> count = steps_there<T>(g.mask, b), share = T(1) / at_least<T>(count, broadcast<T>(T(1)));
    for (int c = 0; c < channels; c++) {
      const Vec<T> delta = load(d + c * L);
      Vec<T> most{};
      const Vec<T> winner = g.average ? most : largest_step<T>(x + c * L, mask, steps, channels, most);
      for (int t = 0; t < steps; t++) {
        const Vec<T> there = load(mask + ptrdiff_t(t) * L);
        const Vec<T> own = g.average ? delta * share * there : (winner == T(t) ? delta : Vec<T>{});
        store(out + (ptrdiff_t(t) * channels + c) * L, own);
      }
    }
  }
}
