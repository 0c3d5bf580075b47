// Losses: value and δ of one block. The pairs are computed from z as a − y (Dezeming, 2.4.6); nothing divides by a.
//
// Read `Target`, what y is; the pairs `softmax_loss` and `sigmoid_loss`; `entries_loss` for losses entry by entry;
// `categorical_hinge`; `loss` chooses.
// Shapes: output, δ [block][height][width][channels][lane]; targets [block][features][lane] or labels [block][pixel][lane];
// weights, loss, correct [block][lane].

template <class T>
struct Target {
  const T* dense;   // [size][lane] or null
  Vec<T> label;
  T scale, shift;    // y' = scale · y + shift
  const T* labels;   // [pixel][lane]; `label` is that of the first
  // The target of one pixel of `classes`.
  Target pixel(int p, int classes) const {
    const ptrdiff_t L = lanes<T>;
    if (dense) return {dense + ptrdiff_t(p) * classes * L, label, scale, shift, nullptr};
    return {nullptr, load(labels + p * L), scale, shift, labels};
  }
  Vec<T> at(int k) const {
    if (dense) return load(dense + ptrdiff_t(k) * lanes<T>) * scale + shift;
    return label == T(k) ? broadcast<T>(scale + shift) : broadcast<T>(shift);
  }
  // 1 − at(k) where scale + 2 shift = 1, without its rounding.
  Vec<T> rest_at(int k) const {
    if (dense) return (T(1) - load(dense + ptrdiff_t(k) * lanes<T>)) * scale + shift;
    return label == T(k) ? broadcast<T>(shift) : broadcast<T>(scale + shift);
  }
};

template <class T>
inline Vec<T> weighted(Vec<T> value, Vec<T> weight) {
  return weight != T(0) ? value * weight : Vec<T>{};   // a padded lane contributes nothing, whatever it holds
}
template <class T>
inline void store_loss(double* to, Wide<T> value, Vec<T> weight) {
  const Wide<T> w = widen<T>(weight);
  store_wide<T>(to, w != 0.0 ? value * w : Wide<T>{});
}

// With k* the largest z, s = z − z_k* and r = Σ_{k≠k*} e^s: J = (Σ y) log(1 + r) − Σ y s and a = e^s / (1 + r). All terms have
// one sign, and 1 is not added to an r far below it: a certain and right prediction keeps its digits, in δ_k* = a_k* Σ y − y_k*
// as Σ_{k≠k*} y − (Σ y) r / (1 + r) too.
template <class T>
static void softmax_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Wide<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  const int classes = g.output.channels;
  Vec<T> counted{};   // positions that count: y is not a row of zeros
  for (int i = 0; i < g.output.height; i++)
    for (int j = 0; j < g.output.width; j++) {
      const ptrdiff_t pixel = ptrdiff_t(j) * classes * L;
      const Target<T> own = y.pixel(i * g.output.width + j, classes);
      const T* z = g.output.row(b, i) + pixel;
      Vec<T> most = load(z), winner{}, of_winner = own.at(0), target_most = own.at(0), target{};
      for (int k = 1; k < classes; k++) {
        const Vec<T> zk = load(z + k * L), yk = own.at(k);
        const Mask<T> better = zk > most, target_better = yk > target_most;
        winner = better ? broadcast<T>(T(k)) : winner;
        of_winner = better ? yk : of_winner;
        most = at_least<T>(zk, most);
        target = target_better ? broadcast<T>(T(k)) : target;
        target_most = target_better ? yk : target_most;
      }
      T* a = g.activation.data ? g.activation.row(b, i) + pixel : nullptr;
      T* d = g.delta.data ? g.delta.row(b, i) + pixel : nullptr;
      T* const powers = d ? d : a;   // e^s, until they are divided
      LongSum<T> rest_sum, dot, others_sum;
      for (int k = 0; k < classes; k++) {
        const Vec<T> shifted = load(z + k * L) - most, yk = own.at(k), power = exp<T>(shifted);
        const Mask<T> wins = winner == T(k);
        if (powers) store(powers + k * L, power);
        rest_sum.add(wins ? shifted : power);   // 0, but NaN where z is
        // 0 · −inf must stay 0: a class of probability 0 that is not the target costs nothing.
        dot.add(yk != T(0) ? yk * shifted : Vec<T>{});
        others_sum.add(wins ? Vec<T>{} : yk);
      }
      const Vec<T> rest = rest_sum.value(), others = others_sum.value(), mass = others + of_winner;
      const Mask<T> counts = mass != T(0);
      loss += widen<T>(log1p_any<T>(rest)) * widen<T>(mass) - dot.wide();
      counted += counts ? broadcast<T>(T(1)) : Vec<T>{};
      correct += counts & (winner == target) ? broadcast<T>(T(1)) : Vec<T>{};
      const Vec<T> scale = T(1) / (T(1) + rest);
      if (powers)
        for (int k = 0; k < classes; k++) {
          const Vec<T> ak = load(powers + k * L) * scale, yk = own.at(k);
          if (a) store(a + k * L, ak);
          const Mask<T> near_one = (winner == T(k)) & (yk + yk > mass);
          if (d) store(d + k * L, weighted<T>(near_one ? others - mass * (rest * scale) : ak * mass - yk, w));
        }
    }
  correct = counted > T(0) ? correct / counted : broadcast<T>(T(-1));
}

// −y log a − (1 − y) log(1 − a) = (1 − y) max(z, 0) + y max(−z, 0) + log(1 + e^{−|z|}), whose terms have one sign, and
// a − y = (1 − y) a − y (1 − a): neither loses digits where a is all but y. 1 − y' is scale · (1 − y) + shift, the smoothing
// being the same from both ends.
template <class T>
static void sigmoid_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Wide<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  const ptrdiff_t run = ptrdiff_t(g.output.width) * g.output.channels;
  for (int i = 0; i < g.output.height; i++)
    for (ptrdiff_t k = 0; k < run; k++) {
      const Vec<T> z = load(g.output.row(b, i) + k * L);
      Vec<T> yk = y.at(int(i * run + k)), rest = y.rest_at(int(i * run + k));
      const Mask<T> there = yk > T(0.5);
      if (g.positive) yk *= g.positive[k % g.output.channels], rest *= g.negative[k % g.output.channels];
      const Vec<T> e = exp<T>(-absolute<T>(z)), r = T(1) / (T(1) + e);
      const Vec<T> towards = z > T(0) ? rest : yk;   // 0 · inf must stay 0
      const Vec<T> both = log1p_unit<T>(e);
      loss += widen<T>((towards != T(0) ? absolute<T>(z) * towards : Vec<T>{}) + (g.positive ? both * (yk + rest) : both));
      const Mask<T> right = (z > T(0)) == there;
      correct += right ? broadcast<T>(T(1)) : Vec<T>{};
      const Vec<T> a = z < T(0) ? e * r : r, complement = z < T(0) ? r : e * r;
      if (g.activation.data) store(g.activation.row(b, i) + k * L, a);
      if (g.delta.data) store(g.delta.row(b, i) + k * L, weighted<T>(rest * a - yk * complement, w));
    }
}

// Value and derivative of one entry of the losses that are sums over entries; y as Target prepares it. Products and squares of
// the value in double: that of an error above 1.8e19 is above float32.
template <class T, LossKind kind>
inline void entry(const LossArgs<T>& g, Vec<T> a, Vec<T> y, Wide<T>& value, Vec<T>& slope) {
  const Vec<T> zero{};
  const double share = double(g.scale);
  if constexpr (kind == LossKind::squared_error) {
    const Vec<T> e = a - y;
    const Wide<T> wide = widen<T>(e);
    value = 0.5 * share * wide * wide, slope = g.scale * e;
  } else if constexpr (kind == LossKind::absolute_error) {
    const Vec<T> e = a - y, scale = broadcast<T>(g.scale);
    value = share * widen<T>(absolute<T>(e)), slope = e > T(0) ? scale : (e < T(0) ? -scale : zero);
  } else if constexpr (kind == LossKind::huber) {
    const Vec<T> e = a - y, high = broadcast<T>(g.delta_cut);
    const Vec<T> c = e > high ? high : (e < -high ? -high : e);
    value = share * (widen<T>(c) * (widen<T>(e) - 0.5 * widen<T>(c))), slope = g.scale * c;
  } else if constexpr (kind == LossKind::poisson) {
    value = widen<T>(a) - widen<T>(y != T(0) ? y * log_any<T>(a) : zero), slope = T(1) - (y > T(0) ? y / a : zero);
  } else if constexpr (kind == LossKind::poisson_log) {
    const Vec<T> mean = exp<T>(a);
    value = widen<T>(mean) - widen<T>(y) * widen<T>(a), slope = mean - y;
  } else {   // hinge: at_least keeps NaN
    const Vec<T> lack = at_least<T>(T(1) - y * a, zero);
    value = widen<T>(lack);
    if constexpr (kind == LossKind::hinge) {
      slope = lack > T(0) ? -y : zero;
    } else {
      value *= value, slope = T(-2) * y * lack;
    }
  }
}

template <class T, LossKind kind>
static void entries_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Wide<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  constexpr bool signs = kind == LossKind::hinge || kind == LossKind::squared_hinge;
  const ptrdiff_t run = ptrdiff_t(g.output.width) * g.output.channels;
  for (int i = 0; i < g.output.height; i++)
    for (ptrdiff_t k = 0; k < run; k++) {
      const Vec<T> a = load(g.output.row(b, i) + k * L), yk = y.at(int(i * run + k));
      Wide<T> value;
      Vec<T> slope;
      entry<T, kind>(g, a, yk, value, slope);
      loss += value;
      if constexpr (signs) {
        const Mask<T> right = (a > T(0)) == (yk > T(0));
        correct += right ? broadcast<T>(T(1)) : Vec<T>{};
      }
      if (g.delta.data) store(g.delta.row(b, i) + k * L, weighted<T>(slope, w));
    }
}

// max_k (a_k + 1 − y_k) − Σ_k y_k a_k: the margin that the class lacks over all others (Crammer and Singer).
template <class T>
static void categorical_hinge(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Wide<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  const int classes = g.output.channels;
  const bool squared = g.kind == LossKind::squared_categorical_hinge;
  for (int i = 0; i < g.output.height; i++)
    for (int j = 0; j < g.output.width; j++) {
      const ptrdiff_t pixel = ptrdiff_t(j) * classes * L;
      const int first = (i * g.output.width + j) * classes;
      const T* a = g.output.row(b, i) + pixel;
      Vec<T> most = load(a) + (T(1) - y.at(first)), rival{}, own = y.at(first) * load(a);
      Vec<T> largest = load(a), winner{}, target_most = y.at(first), target{};
      for (int k = 1; k < classes; k++) {
        const Vec<T> ak = load(a + k * L), yk = y.at(first + k), candidate = ak + (T(1) - yk), at = broadcast<T>(T(k));
        rival = candidate > most ? at : rival, most = at_least<T>(candidate, most);
        winner = ak > largest ? at : winner, largest = at_least<T>(ak, largest);
        target = yk > target_most ? at : target, target_most = yk > target_most ? yk : target_most;
        own += yk * ak;
      }
      const Vec<T> lack = most - own;
      loss += squared ? widen<T>(lack) * widen<T>(lack) : widen<T>(lack);
      correct += winner == target ? broadcast<T>(T(1)) : Vec<T>{};
      if (!g.delta.data) continue;
      const Vec<T> factor = squared ? T(2) * lack : broadcast<T>(T(1));
      T* d = g.delta.row(b, i) + pixel;
      for (int k = 0; k < classes; k++) {
        const Vec<T> step = (rival == T(k) ? broadcast<T>(T(1)) : Vec<T>{}) - y.at(first + k);
        store(d + k * L, weighted<T>(factor * step, w));
      }
    }
}

// The share of the positions that count whose largest output is that of the largest target, or of the outputs on the right
// side of 0; -1 where no position counts. For losses that are programs.
template <class T>
inline Vec<T> rightly(const LossArgs<T>& g, int b) {
  constexpr int L = lanes<T>;
  const int classes = g.output.channels;
  const T* y = g.targets + b * g.target_step;
  Vec<T> right{}, counted{};
  for (int i = 0; i < g.output.height; i++)
    for (int j = 0; j < g.output.width; j++, y += classes * L) {
      const T* a = g.output.row(b, i) + ptrdiff_t(j) * classes * L;
      if (g.judged == Judged::signs) {
        for (int k = 0; k < classes; k++) {
          const Mask<T> same = (load(a + k * L) > T(0)) == (load(y + k * L) > T(0.5));
          right += same ? broadcast<T>(T(1)) : Vec<T>{};
        }
        counted += T(classes);
        continue;
      }
      Vec<T> most = load(a), winner{}, target_most = load(y), target{};
      for (int k = 1; k < classes; k++) {
        const Vec<T> ak = load(a + k * L), yk = load(y + k * L);
        winner = ak > most ? broadcast<T>(T(k)) : winner, most = at_least<T>(ak, most);
        target = yk > target_most ? broadcast<T>(T(k)) : target, target_most = yk > target_most ? yk : target_most;
      }
      const Mask<T> counts = target_most > T(0);
      right += counts & (winner == target) ? broadcast<T>(T(1)) : Vec<T>{};
      counted += counts ? broadcast<T>(T(1)) : Vec<T>{};
    }
  return counted > T(0) ? right / counted : broadcast<T>(T(-1));
}

// 1 where the largest output is that of the label; the first of equals counts.
template <class T>
inline Vec<T> largest_is_label(const LossArgs<T>& g, int b, Vec<T> label) {
  const T* z = g.output.block(b);
  Vec<T> most = load(z), winner{};
  for (int k = 1; k < g.output.channels; k++) {
    const Vec<T> zk = load(z + k * lanes<T>);
    winner = zk > most ? broadcast<T>(T(k)) : winner;
    most = at_least<T>(zk, most);
  }
  return winner == label ? broadcast<T>(T(1)) : Vec<T>{};
}

template <class T>
static void loss(const LossArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t size = ptrdiff_t(g.output.height) * g.output.width * g.output.channels;
  for (int b = begin; b < end; b++) {
    const ptrdiff_t places = ptrdiff_t(g.output.height) * g.output.width;
    const Target<T> y{g.targets ? g.targets + b * g.target_step : nullptr,
                      g.labels ? load(g.labels + b * places * L) : Vec<T>{}, g.target_scale, g.target_shift,
                      g.labels ? g.labels + b * places * L : nullptr};
    const Vec<T> of_sample = load(g.weights + b * L), w = of_sample * g.factor;
    Wide<T> value{};
    Vec<T> correct{};
    const T pixels = T(g.output.height * g.output.width);
    switch (g.kind) {
      case LossKind::softmax_cross_entropy:
        softmax_loss<T>(g, b, y, w, value, correct);
        break;
      case LossKind::categorical_hinge:
      case LossKind::squared_categorical_hinge:
        categorical_hinge<T>(g, b, y, w, value, correct);
        correct /= pixels;
        break;
      case LossKind::sigmoid_cross_entropy:
        sigmoid_loss<T>(g, b, y, w, value, correct);
        correct /= T(size);
        break;
      case LossKind::squared_error:
        entries_loss<T, LossKind::squared_error>(g, b, y, w, value, correct);
        break;
      case LossKind::absolute_error:
        entries_loss<T, LossKind::absolute_error>(g, b, y, w, value, correct);
        break;
      case LossKind::huber:
        entries_loss<T, LossKind::huber>(g, b, y, w, value, correct);
        break;
      case LossKind::poisson:
        entries_loss<T, LossKind::poisson>(g, b, y, w, value, correct);
        break;
      case LossKind::poisson_log:
        entries_loss<T, LossKind::poisson_log>(g, b, y, w, value, correct);
        break;
      case LossKind::hinge:
        entries_loss<T, LossKind::hinge>(g, b, y, w, value, correct);
        correct /= T(size);
        break;
      case LossKind::squared_hinge:
        entries_loss<T, LossKind::squared_hinge>(g, b, y, w, value, correct);
        correct /= T(size);
        break;
    }
    if (g.labels && g.kind != LossKind::softmax_cross_entropy) correct = largest_is_label<T>(g, b, y.label);
    if (g.delta.data)
      for (int i = 0; i < g.delta.height; i++) hadamard_row<T>(g.post, g.delta, b, i);
    store_loss<T>(g.loss + b * L, value, of_sample);
    store(g.correct + b * L, correct);
  }
}
