// Programs: formulas compiled to steps. A strip of pixels goes through all steps before the next one, so temporaries stay in
// the L1 cache; the switch on a step stands outside the loop over the strip's vectors.
//
// Read `run_step`, which is the list of operations; `run_strips`, the loop over strips, with `fixed_strips` and
// `moving_strips`, where operands lie; then `program` and `program_finish`, which adds the parts of a gradient; `program_loss`.
// Shapes: values [block][height][width][channels or 1][lane]; temporaries [pixel of the strip][channels or 1][lane].

// x to a constant exponent by the C library, lane by lane: below 1 ulp, tens of nanoseconds. The compiler of programs writes
// multiples of 1/2 as products and roots, so this serves exponents such as 1/3.
template <class T>
inline Vec<T> power(Vec<T> x, Vec<T> exponent) {
  T part[lanes<T>] __attribute__((aligned(CHAINRULE_BYTES)));
  store(part, x);
  for (int i = 0; i < lanes<T>; i++)
    part[i] = is_float<T> ? T(__builtin_powf(float(part[i]), float(exponent[0]))) : T(__builtin_pow(part[i], exponent[0]));
  return load(part);
}

// NaN in either operand gives NaN, as NumPy's maximum and minimum do.
template <class T>
inline Vec<T> larger(Vec<T> a, Vec<T> b) {
  return (b > a) | (b != b) ? b : a;
}
template <class T>
inline Vec<T> smaller(Vec<T> a, Vec<T> b) {
  return (b < a) | (b != b) ? b : a;
}

// A slot on a strip: where its first vector lies, and the scalars from one pixel and from one channel to the next.
template <class T>
struct Strip {
  T* data;
  ptrdiff_t pixel, channel;
};

constexpr int strip_vectors = 64;   // 4 KB of a temporary

template <class T>
inline int strip_channels(const ProgramArgs<T>& g) {
  return g.whole || g.channels < strip_vectors ? g.channels : strip_vectors;
}
template <class T>
inline int strip_pixels(const ProgramArgs<T>& g) {
  const int pixels = strip_vectors / strip_channels<T>(g);
  return pixels < 1 ? 1 : (pixels < g.width ? pixels : g.width);
}

// out = f(in...) over the strip; one loop where all operands lie without gaps.
template <class T, class F, class... In>
inline void each(int pixels, int n, const Strip<T>& out, F f, const In&... in) {
  if (out.pixel == n * out.channel && ((in.pixel == n * in.channel) && ...)) {
    for (int i = 0; i < pixels * n; i++) store<T>(out.data + i * out.channel, f(load<T>(in.data + i * in.channel)...));
    return;
  }
  for (int p = 0; p < pixels; p++)
    for (int c = 0; c < n; c++)
      store<T>(out.data + p * out.pixel + c * out.channel, f(load<T>(in.data + p * in.pixel + c * in.channel)...));
}

// Σ over the channels of a pixel, in runs: four sums, so that additions need not wait for each other.
template <class T>
inline Vec<T> sum_channels(const T* x, ptrdiff_t step, int n) {
  Wide<T> total{};
  for (int c = 0; c < n;) {
    const int stop = n - c < fold_terms ? n : c + fold_terms;
    Vec<T> s[4] = {};
    for (; c + 4 <= stop; c += 4)
      for (int i = 0; i < 4; i++) s[i] += load<T>(x + (c + i) * step);
    for (; c < stop; c++) s[0] += load<T>(x + c * step);
    const Vec<T> sum = (s[0] + s[1]) + (s[2] + s[3]);
    if (n <= fold_terms) return sum;
    total += widen<T>(sum);
  }
  return narrow<T>(total);
}

template <class T>
static void over_features(ProgramOp op, int pixels, int n, const Strip<T>& out, const Strip<T>& a) {
  for (int p = 0; p < pixels; p++) {
    const T* x = a.data + p * a.pixel;
    T* to = out.data + p * out.pixel;
    if (op == ProgramOp::sum_features) {
      store<T>(to, sum_channels<T>(x, a.channel, n));
      continue;
    }
    Vec<T> most = load<T>(x), winner{};   // the first of equals, and the first NaN, as in NumPy
    for (int c = 1; c < n; c++) {
      const Vec<T> v = load<T>(x + c * a.channel);
      const Mask<T> better = (v > most) | ((v != v) & (most == most));
      most = better ? v : most;
      winner = better ? broadcast<T>(T(c)) : winner;
    }
    if (op == ProgramOp::max_features) store<T>(to, most);
    else
      for (int c = 0; c < n; c++) store<T>(to + c * out.channel, winner == T(c) ? broadcast<T>(T(1)) : Vec<T>{});
  }
}

// `there` is 0 in the lanes that are not to be summed.
template <class T>
static void accumulate(int pixels, int n, const Strip<T>& sum, const Strip<T>& a, Vec<T> there) {
  const auto own = [&](Vec<T> v) { return there != T(0) ? v : Vec<T>{}; };
  for (int p = 0; p < pixels; p++) {
    const T* x = a.data + p * a.pixel;
    T* to = sum.data + p * sum.pixel;
    if (sum.channel == 0) store<T>(to, load<T>(to) + own(sum_channels<T>(x, a.channel, n)));
    else
      for (int c = 0; c < n; c++)
        store<T>(to + c * sum.channel, load<T>(to + c * sum.channel) + own(load<T>(x + c * a.channel)));
  }
}

template <class T>
static void run_step(const ProgramStep& e, int pixels, int channels, const Strip<T>* strips, Vec<T> there) {
  typedef Vec<T> V;
  const Strip<T>&out = strips[e.out], &a = strips[e.a], &b = strips[e.b], &c = strips[e.c];
  const int n = e.thin ? 1 : channels;
  const auto one = [&](auto f) { each<T>(pixels, n, out, f, a); };
  const auto two = [&](auto f) { each<T>(pixels, n, out, f, a, b); };
  switch (ProgramOp(e.op)) {
    case ProgramOp::copy:
      return one([](V x) { return x; });
    case ProgramOp::add:
      return two([](V x, V y) { return x + y; });
    case ProgramOp::subtract:
      return two([](V x, V y) { return x - y; });
    case ProgramOp::multiply:
      return two([](V x, V y) { return x * y; });
    case ProgramOp::divide:
      return two([](V x, V y) { return x / y; });
    case ProgramOp::negative:
      return one([](V x) { return -x; });
    case ProgramOp::sqrt:
      return one([](V x) { return square_root<T>(x); });
    case ProgramOp::exp:
      return one([](V x) { return exp<T>(x); });
    case ProgramOp::expm1:
      return one([](V x) { return expm1<T>(x); });
    case ProgramOp::log:
      return one([](V x) { return log_any<T>(x); });
    case ProgramOp::log1p:
      return one([](V x) { return log1p_any<T>(x); });
    case ProgramOp::xlogy:
      return two([](V w, V x) { return w == T(0) ? V{} : w * log_any<T>(x); });
    case ProgramOp::tanh:
      return one([](V x) { return tanh<T>(x); });
    case ProgramOp::cos:
      return one([](V x) { return cos<T>(x); });
    case ProgramOp::sin:
      return one([](V x) { return sin<T>(x); });
    case ProgramOp::erf:
      return one([](V x) { return erf<T>(x); });
    case ProgramOp::absolute:
      return one([](V x) { return x <= T(0) ? T(0) - x : x; });
    case ProgramOp::maximum:
      return two([](V x, V y) { return larger<T>(x, y); });
    case ProgramOp::minimum:
      return two([](V x, V y) { return smaller<T>(x, y); });
    case ProgramOp::greater:
      return two([](V x, V y) { return x > y ? broadcast<T>(T(1)) : V{}; });
    case ProgramOp::where:
      return each<T>(pixels, n, out, [](V w, V yes, V no) { return w != T(0) ? yes : no; }, a, b, c);
    case ProgramOp::power:
      return two([](V x, V y) { return power<T>(x, y); });
    case ProgramOp::sum_features:
    case ProgramOp::max_features:
    case ProgramOp::largest_feature:
      return over_features<T>(ProgramOp(e.op), pixels, channels, out, a);
    case ProgramOp::accumulate:
      return accumulate<T>(pixels, n, out, a, there);
    case ProgramOp::count:
      return;
  }
}

// Scratch: the temporaries of a strip, then the vectors of constants and parameters, then the long sums in double.
template <class T>
inline size_t strip_scratch(const ProgramArgs<T>& g) {
  constexpr size_t L = lanes<T>;
  const size_t pixels = size_t(strip_pixels<T>(g)), full = pixels * size_t(strip_channels<T>(g));
  size_t vectors = size_t(g.full_count) * full + size_t(g.thin_count) * pixels;
  for (int i = 0; i < g.slot_count; i++) {
    const ProgramSlot& s = g.slots[i];
    if (s.kind == SlotKind::constant) vectors += 1;
    else if (s.kind == SlotKind::parameter) vectors += s.pixel ? full : size_t(s.channel ? g.channels : 1);
  }
  return vectors * L;
}
template <class T>
static size_t program_scratch(const ProgramArgs<T>& g) {
  return strip_scratch<T>(g) + size_t(g.long_sums) * lanes<T> * sizeof(double) / sizeof(T);
}

template <class T>
inline void spread(const T* from, ptrdiff_t step, T* to, int count) {
  for (int i = 0; i < count; i++) store<T>(to + i * lanes<T>, broadcast<T>(from[i * step]));
}

// What does not move from strip to strip.
template <class T>
static void fixed_strips(const ProgramArgs<T>& g, Strip<T>* strips, T* room) {
  constexpr ptrdiff_t L = lanes<T>;
  const ptrdiff_t n = strip_channels<T>(g), pixels = strip_pixels<T>(g);
  T* const thin = room + g.full_count * pixels * n * L;
  T* next = thin + g.thin_count * pixels * L;
  for (int i = 0; i < g.slot_count; i++) {
    const ProgramSlot& s = g.slots[i];
    switch (s.kind) {
      case SlotKind::full:
        strips[i] = {room + s.index * pixels * n * L, n * L, L};
        break;
      case SlotKind::thin:
        strips[i] = {thin + s.index * pixels * L, L, 0};
        break;
      case SlotKind::constant:
        strips[i] = {next, 0, 0};
        spread<T>(g.constants + s.index, 0, next, 1);
        next += L;
        break;
      case SlotKind::parameter: {
        const int count = s.channel ? g.channels : 1;
        strips[i] = {next, s.pixel ? n * L : 0, s.channel ? L : 0};
        if (!s.pixel) spread<T>(g.parameters[s.index], 1, next, count);
        next += (s.pixel ? pixels * n : count) * L;
        break;
      }
      case SlotKind::map:
      case SlotKind::accumulator:
        break;
    }
  }
}

// The strip that begins at channel c0 of pixel (h, w) of block b.
template <class T>
static void moving_strips(const ProgramArgs<T>& g, Strip<T>* strips, const Strip<T>* fixed, T* sums, int b, int h, int w,
                          int c0, int pixels, int n) {
  constexpr ptrdiff_t L = lanes<T>;
  const ptrdiff_t at = ptrdiff_t(h) * g.width + w;
  for (int i = 0; i < g.slot_count; i++) {
    const ProgramSlot& s = g.slots[i];
    if (s.kind == SlotKind::map) {
      const Map<T>& m = g.values[s.index];
      const ptrdiff_t step = m.channels >= g.channels ? L : 0;
      strips[i] = {m.row(b, h) + (ptrdiff_t(w) * m.channels + s.channel) * L + c0 * step, m.channels * L, step};
    } else if (s.kind == SlotKind::accumulator) {
      strips[i] = {sums + (g.sums[s.index] + at * s.pixel + ptrdiff_t(c0) * s.channel) * L, s.pixel * L, s.channel * L};
    } else if (s.kind == SlotKind::full) {
      strips[i].pixel = n * L;
    } else if (s.kind == SlotKind::parameter && !s.pixel) {
      strips[i].data = fixed[i].data + c0 * fixed[i].channel;
    } else if (s.kind == SlotKind::parameter) {
      const T* from = g.parameters[s.index] + at * s.pixel + ptrdiff_t(c0) * s.channel;
      strips[i].pixel = n * L;
      for (int p = 0; p < pixels; p++) spread<T>(from + p * s.pixel, s.channel, fixed[i].data + p * n * L, s.channel ? n : 1);
    }
  }
}

// The δ that the strip has written becomes 0 where no sample stands.
template <class T>
static void clear_delta(const ProgramArgs<T>& g, const Strip<T>* strips, int pixels, int n, Vec<T> there) {
  for (int i = 0; i < g.slot_count; i++) {
    if (g.slots[i].kind != SlotKind::map || g.slots[i].index != program_delta) continue;
    for (int p = 0; p < pixels; p++)
      for (int c = 0; c < n; c++) {
        T* const d = strips[i].data + p * strips[i].pixel + c * strips[i].channel;
        store<T>(d, there != T(0) ? load<T>(d) : Vec<T>{});
      }
  }
}

// `after_strip` is called with its number of pixels when a strip has gone through all steps.
template <class T, class F>
inline void run_strips(const ProgramArgs<T>& g, int begin, int end, T* scratch, T* sums, F&& after_strip) {
  Strip<T> strips[program_slots], fixed[program_slots];
  fixed_strips<T>(g, fixed, scratch);
  for (int i = 0; i < g.slot_count; i++) strips[i] = fixed[i];
  const int step_w = strip_pixels<T>(g), step_c = strip_channels<T>(g);
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.height, h = unit % g.height;
    const bool partial = (b + 1) * lanes<T> > g.samples && g.samples > 0;
    Vec<T> there = broadcast<T>(T(1));
    for (int i = 0; partial && i < lanes<T>; i++) there[i] = T(b * lanes<T> + i < g.samples);
    for (int w = 0; w < g.width; w += step_w) {
      const int pixels = w + step_w < g.width ? step_w : g.width - w;
      for (int c0 = 0; c0 < g.channels; c0 += step_c) {
        const int n = c0 + step_c < g.channels ? step_c : g.channels - c0;
        moving_strips<T>(g, strips, fixed, sums, b, h, w, c0, pixels, n);
        for (int i = 0; i < g.step_count; i++) run_step<T>(g.steps[i], pixels, n, strips, there);
        if (partial) clear_delta<T>(g, strips, pixels, n, there);
        after_strip(pixels);
      }
    }
  }
}
template <class T>
static void program(const ProgramArgs<T>& g, int begin, int end, T* scratch, T* sums) {
  if (!g.long_sums) return run_strips<T>(g, begin, end, scratch, sums, [](int) {});
  constexpr ptrdiff_t L = lanes<T>;
  double* const totals = reinterpret_cast<double*>(scratch + strip_scratch<T>(g));
  __builtin_memset(totals, 0, sizeof(double) * size_t(g.long_sums * L));
  int terms = 0;
  const auto fold = [&] {
    for (ptrdiff_t i = 0; i < g.long_sums * L; i += L) {
      store_wide<T>(totals + i, load_wide<T>(totals + i) + widen<T>(load<T>(sums + i)));
      store<T>(sums + i, Vec<T>{});
    }
    terms = 0;
  };
  run_strips<T>(g, begin, end, scratch, sums, [&](int pixels) {
    if ((terms += pixels) >= fold_terms) fold();
  });
  fold();
  for (ptrdiff_t i = 0; i < g.long_sums * L; i += L) store<T>(sums + i, narrow<T>(load_wide<T>(totals + i)));
}

template <class T>
static void program_finish(const T* sums, ptrdiff_t step, int parts, T* gradient, int begin, int end) {
  for (int i = begin; i < end; i++) {
    Vec<T> sum = load(sums + ptrdiff_t(i) * lanes<T>);
    for (int part = 1; part < parts; part++) sum += load(sums + part * step + ptrdiff_t(i) * lanes<T>);
    gradient[i] = sum_lanes<T>(sum);
  }
}

// A loss: the program accumulates the value of every sample and writes the gradient, here weighted, to the δ.
template <class T>
static void program_loss(const ProgramArgs<T>& g, const LossArgs<T>& l, int begin, int end, T* scratch) {
  constexpr ptrdiff_t L = lanes<T>;
  for (int b = begin; b < end; b++) {
    const Vec<T> w = load(l.weights + b * L);
    T of_strip[lanes<T>] __attribute__((aligned(64))) = {};
    Wide<T> value{};
    run_strips<T>(g, b * g.height, (b + 1) * g.height, scratch, of_strip, [&](int) {
      value += widen<T>(load(of_strip));
      store(of_strip, Vec<T>{});
    });
    store_loss<T>(l.loss + b * L, value, w);
    store<T>(l.correct + b * L, l.judged == Judged::none ? Vec<T>{} : rightly<T>(l, b));
    if (!l.delta.data) continue;
    for (int h = 0; h < g.height; h++) {
      T* d = l.delta.row(b, h);
      for (ptrdiff_t i = 0; i < ptrdiff_t(l.delta.width) * l.delta.channels; i++)
        store<T>(d + i * L, weighted<T>(load<T>(d + i * L), w * l.factor));
      hadamard_row<T>(l.post, l.delta, b, h);
    }
  }
}
