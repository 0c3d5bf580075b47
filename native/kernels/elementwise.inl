// Activations: one entry each; over runs of vectors, rows and whole maps; softmax; sums of values.
// Read it from the top: the table, the two loops over a run, the kernels over maps, softmax.
// Shapes: x, z and their δ are maps [block][height][width][channels][lane] of one shape; a unit is a row of a block.

// An activation: f(z), and f' from what is kept, which is a or z (api.hpp, derivative_from_output).
template <Act kind>
struct Activation;
template <>
struct Activation<Act::identity> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return z;
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T>) {
    return broadcast<T>(T(1));
  }
};
template <>
struct Activation<Act::relu> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return at_least<T>(z, Vec<T>{});
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> a) {
    return a > T(0) ? broadcast<T>(T(1)) : Vec<T>{};
  }
};
template <>
struct Activation<Act::leaky_relu> {
  template <class T>
  static Vec<T> value(T slope, Vec<T> z) {
    return z > T(0) ? z : z * slope;
  }
  template <class T>
  static Vec<T> derivative(T slope, Vec<T> a) {
    return a > T(0) ? broadcast<T>(T(1)) : broadcast<T>(slope);
  }
};
template <>
struct Activation<Act::elu> {   // α above 0, or a does not tell
  template <class T>
  static Vec<T> value(T alpha, Vec<T> z) {
    const Mask<T> above = z > T(0);   // of those no exponential is taken: it would raise an overflow that is none
    return above ? z : alpha * expm1<T>(above ? Vec<T>{} : z);
  }
  template <class T>
  static Vec<T> derivative(T alpha, Vec<T> a) {
    return a > T(0) ? broadcast<T>(T(1)) : a + alpha;
  }
};
template <>
struct Activation<Act::sigmoid> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return sigmoid<T>(z);
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> a) {
    return a * (T(1) - a);
  }
};
template <>
struct Activation<Act::tanh> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return tanh<T>(z);
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> a) {
    return (T(1) - a) * (T(1) + a);
  }
};
template <>
struct Activation<Act::softplus> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return softplus<T>(z);
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> a) {
    return -expm1<T>(-a);   // σ(z) = 1 − e^{−softplus(z)}, exact in its digits where it is small
  }
};
template <>
struct Activation<Act::gelu> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return z * normal<T>(z).distribution;
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> z) {
    const Normal<T> n = normal<T>(z);
    return n.distribution + z * (T(0.39894228040143267794) * n.bell);
  }
};
template <>
struct Activation<Act::silu> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    return z * sigmoid<T>(z);
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> z) {
    // σ + z σ (1 − σ), with 1 − σ(z) = σ(−z), which keeps its digits where σ is nearly 1.
    const Vec<T> e = exp<T>(-absolute<T>(z)), r = T(1) / (T(1) + e), rest = e * r;
    return (z < T(0) ? rest : r) + z * (rest * r);
  }
};
template <>
struct Activation<Act::hard_swish> {
  template <class T>
  static Vec<T> value(T, Vec<T> z) {
    const Vec<T> gate = z * T(1.0 / 6) + T(0.5);
    return absolute<T>(z) >= T(3) ? (z > T(0) ? z : Vec<T>{}) : z * gate;
  }
  template <class T>
  static Vec<T> derivative(T, Vec<T> z) {
    return absolute<T>(z) >= T(3) ? (z > T(0) ? broadcast<T>(T(1)) : Vec<T>{}) : z * T(1.0 / 3) + T(0.5);
  }
};

// body<kind>(): the only switch on the kind; it stands outside the loops.
template <class F>
inline auto for_kind(Act kind, F&& body) {
  switch (kind) {
    case Act::identity:
      return body.template operator()<Act::identity>();
    case Act::relu:
      return body.template operator()<Act::relu>();
    case Act::leaky_relu:
      return body.template operator()<Act::leaky_relu>();
    case Act::elu:
      return body.template operator()<Act::elu>();
    case Act::sigmoid:
      return body.template operator()<Act::sigmoid>();
    case Act::tanh:
      return body.template operator()<Act::tanh>();
    case Act::softplus:
      return body.template operator()<Act::softplus>();
    case Act::gelu:
      return body.template operator()<Act::gelu>();
    case Act::silu:
      return body.template operator()<Act::silu>();
    case Act::hard_swish:
      return body.template operator()<Act::hard_swish>();
  }
  __builtin_unreachable();
}
template <class T>
inline Vec<T> activate(Act kind, T slope, Vec<T> z) {
  return for_kind(kind, [&]<Act k>() { return Activation<k>::template value<T>(slope, z); });
}
template <class T>
inline Vec<T> derivative(Act kind, T slope, Vec<T> saved) {
  return for_kind(kind, [&]<Act k>() { return Activation<k>::template derivative<T>(slope, saved); });
}
// δ · f'. Of ReLU a select, not a product: an infinite δ at an inactive unit must not become NaN.
template <class T, Act kind>
inline Vec<T> times_derivative(T slope, Vec<T> saved, Vec<T> d) {
  if constexpr (kind == Act::identity) return d;
  else if constexpr (kind == Act::relu) return saved > T(0) ? d : Vec<T>{};
  else return d * Activation<kind>::template derivative<T>(slope, saved);
}

// a[i] = f(z[i]) over `count` vectors; a may be z.
template <class T>
inline void activate_run(Act kind, T slope, const T* z, T* a, ptrdiff_t count) {
  if (kind == Act::identity && z == a) return;
  for_kind(kind, [&]<Act k>() {
    for (ptrdiff_t i = 0; i < count; i++)
      store(a + i * lanes<T>, Activation<k>::template value<T>(slope, load(z + i * lanes<T>)));
  });
}

// out[i] = d[i] · f'(saved[i]); out may be d.
template <class T>
inline void derive_run(Act kind, T slope, const T* saved, const T* d, T* out, ptrdiff_t count) {
  if (kind == Act::identity && d == out) return;
  for_kind(kind, [&]<Act k>() {
    for (ptrdiff_t i = 0; i < count; i++) {
      const Vec<T> kept = k == Act::identity ? Vec<T>{} : load(saved + i * lanes<T>);
      store(out + i * lanes<T>, times_derivative<T, k>(slope, kept, load(d + i * lanes<T>)));
    }
  });
}

template <class T>
static void activation_forward(const ElementwiseArgs<T>& g, int begin, int end) {
  const ptrdiff_t count = ptrdiff_t(g.x.width) * g.x.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    activate_run<T>(g.post.kind, g.post.slope, g.x.row(b, h), g.z.row(b, h), count);
  }
}

template <class T>
static void activation_backward(const ElementwiseArgs<T>& g, int begin, int end) {
  const ptrdiff_t count = ptrdiff_t(g.x.width) * g.x.channels;
  const Map<T>& s = g.post.saved;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    derive_run<T>(g.post.kind, g.post.slope, s.row(b, h), g.z.row(b, h), g.x.row(b, h), count);
  }
}

// The row `h` of block `b` just written in `delta` times f' of the layer below.
template <class T>
inline void hadamard_row(const Post<T>& post, const Map<T>& delta, int b, int h) {
  if (post.kind == Act::identity) return;
  T* d = delta.row(b, h);
  derive_run<T>(post.kind, post.slope, post.saved.row(b, h), d, d, ptrdiff_t(delta.width) * delta.channels);
}

// The row `h` of block `b` just written in `z`: a = f(z), into `saved`, which may be z.
template <class T>
inline void activate_row(const Post<T>& post, const Map<T>& z, int b, int h) {
  if (post.kind == Act::identity) return;
  activate_run<T>(post.kind, post.slope, z.row(b, h), post.saved.row(b, h), ptrdiff_t(z.width) * z.channels);
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
      softmax_pixel<T>(g.x.row(b, h) + w * channels * lanes<T>, g.z.row(b, h) + w * channels * lanes<T>, channels);
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
      const T* a = s.row(b, h) + pixel;
      const T* d = g.z.row(b, h) + pixel;
      T* out = g.x.row(b, h) + pixel;
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
