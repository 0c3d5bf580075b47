// Steps of a sequence that are padding: found, and their values and δ set to zero. Included by level.inl.

// The mask of every step, and z = x where it is there. x may hold NaN: it is not padding.
template <class T>
static void masking_forward(const MaskingArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const Vec<T> padding = broadcast<T>(g.value), zero{}, one = broadcast<T>(1);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const T* x = g.x.data + b * g.x.block + h * g.x.row;
    T* z = g.z.data + b * g.z.block + h * g.z.row;
    T* mask = g.mask.data + b * g.mask.block + h * g.mask.row;
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
    T* x = g.x.data + b * g.x.block + h * g.x.row;
    const T* z = g.z.data + b * g.z.block + h * g.z.row;
    const T* mask = g.mask.data + b * g.mask.block + h * g.mask.row;
    for (int t = 0; t < g.x.width; t++, x += channels * L, z += channels * L, mask += L)
      for (int c = 0; c < channels; c++) store(x + c * L, load(z + c * L) * load(mask));
  }
}
