// Activations over contiguous runs and whole maps. The switch on the kind stands outside the loop.

template <class T, class F>
inline void for_kind(Act kind, F&& body) {
  switch (kind) {
    case Act::identity:
      return body.template operator()<Act::identity>();
    case Act::relu:
      return body.template operator()<Act::relu>();
    case Act::leaky_relu:
      return body.template operator()<Act::leaky_relu>();
    case Act::sigmoid:
      return body.template operator()<Act::sigmoid>();
    case Act::tanh:
      return body.template operator()<Act::tanh>();
    case Act::softplus:
      return body.template operator()<Act::softplus>();
    case Act::gelu:
      return body.template operator()<Act::gelu>();
  }
}

// a[i] = f(z[i]) over `count` vectors; a may be z.
template <class T>
inline void activate_run(Act kind, T slope, const T* z, T* a, ptrdiff_t count) {
  if (kind == Act::identity && z == a) return;
  for_kind<T>(kind, [&]<Act k>() {
    for (ptrdiff_t i = 0; i < count; i++) store(a + i * lanes<T>, activate<T>(k, slope, load(z + i * lanes<T>)));
  });
}

// out[i] = d[i] · f'(saved[i]); out may be d.
template <class T>
inline void derive_run(Act kind, T slope, const T* saved, const T* d, T* out, ptrdiff_t count) {
  if (kind == Act::identity && d == out) return;
  for_kind<T>(kind, [&]<Act k>() {
    for (ptrdiff_t i = 0; i < count; i++) {
      const Vec<T> dv = load(d + i * lanes<T>);
      if constexpr (k == Act::identity) {
        store(out + i * lanes<T>, dv);
      } else if constexpr (k == Act::relu) {
        // A select, not a product: an infinite δ at an inactive unit must not become NaN.
        store(out + i * lanes<T>, load(saved + i * lanes<T>) > T(0) ? dv : Vec<T>{});
      } else {
        store(out + i * lanes<T>, dv * derivative<T>(k, slope, load(saved + i * lanes<T>)));
      }
    }
  });
}

template <class T>
static void activation_forward(const ElementwiseArgs<T>& g, int begin, int end) {
  const ptrdiff_t count = ptrdiff_t(g.x.width) * g.x.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    activate_run<T>(g.post.kind, g.post.slope, g.x.data + b * g.x.block + h * g.x.row, g.z.data + b * g.z.block + h * g.z.row,
                    count);
  }
}

template <class T>
static void activation_backward(const ElementwiseArgs<T>& g, int begin, int end) {
  const ptrdiff_t count = ptrdiff_t(g.x.width) * g.x.channels;
  const Map<T>& s = g.post.saved;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    derive_run<T>(g.post.kind, g.post.slope, s.data + b * s.block + h * s.row, g.z.data + b * g.z.block + h * g.z.row,
                  g.x.data + b * g.x.block + h * g.x.row, count);
  }
}

// The row `h` of block `b` just written in `delta` times f' of the layer below.
template <class T>
inline void hadamard_row(const Post<T>& post, const Map<T>& delta, int b, int h) {
  if (post.kind == Act::identity) return;
  T* d = delta.data + b * delta.block + h * delta.row;
  derive_run<T>(post.kind, post.slope, post.saved.data + b * post.saved.block + h * post.saved.row, d, d,
                ptrdiff_t(delta.width) * delta.channels);
}

// The row `h` of block `b` just written in `z`: a = f(z), into `saved`, which may be z.
template <class T>
inline void activate_row(const Post<T>& post, const Map<T>& z, int b, int h) {
  if (post.kind == Act::identity) return;
  activate_run<T>(post.kind, post.slope, z.data + b * z.block + h * z.row,
                  post.saved.data + b * post.saved.block + h * post.saved.row, ptrdiff_t(z.width) * z.channels);
}

// Softmax over the channels of each pixel: a = e^{z − max} / Σ.
template <class T>
inline void softmax_pixel(const T* z, T* a, int channels) {
  constexpr int L = lanes<T>;
  Vec<T> most = load(z);
  for (int c = 1; c < channels; c++) most = at_least<T>(load(z + c * L), most);
  LongSum<T> sum;
  for (int c = 0; c < channels; c++) {
    const Vec<T> e = exp<T>(load(z + c * L) - most);
    store(a + c * L, e);
    sum.add(e);
  }
  const Vec<T> scale = T(1) / sum.value();
  for (int c = 0; c < channels; c++) store(a + c * L, load(a + c * L) * scale);
}

template <class T>
static void softmax_forward(const ElementwiseArgs<T>& g, int begin, int end) {
  const int channels = g.x.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    for (int w = 0; w < g.x.width; w++)
      softmax_pixel<T>(g.x.data + b * g.x.block + h * g.x.row + w * channels * lanes<T>,
                       g.z.data + b * g.z.block + h * g.z.row + w * channels * lanes<T>, channels);
  }
}

// δ_z = a ⊙ (δ_a − Σ_k δ_{a,k} a_k): the Jacobian of softmax, never formed.
template <class T>
static void softmax_backward(const ElementwiseArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int channels = g.x.channels;
  const Map<T>& s = g.post.saved;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    for (int w = 0; w < g.x.width; w++) {
      const ptrdiff_t pixel = ptrdiff_t(w) * channels * L;
      const T* a = s.data + b * s.block + h * s.row + pixel;
      const T* d = g.z.data + b * g.z.block + h * g.z.row + pixel;
      T* out = g.x.data + b * g.x.block + h * g.x.row + pixel;
      LongSum<T> sum;
      for (int c = 0; c < channels; c++) sum.add(load(d + c * L) * load(a + c * L));
      const Vec<T> dot = sum.value();
      for (int c = 0; c < channels; c++) store(out + c * L, load(a + c * L) * (load(d + c * L) - dot));
    }
  }
}

template <class T>
static void add_run(const T* a, const T* b, T* sum, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += lanes<T>) store(sum + i, load(a + i) + load(b + i));
}
