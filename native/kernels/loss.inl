// Losses: value and δ of one block. The pairs are computed from z as a − y (seed 002, 2.4.6); nothing divides by a.

template <class T>
struct Target {
  const T* dense;   // [size][lane] or null
  Vec<T> label;
  Vec<T> at(int k) const {
    if (dense) return load(dense + ptrdiff_t(k) * lanes<T>);
    return label == T(k) ? broadcast<T>(T(1)) : Vec<T>{};
  }
};

template <class T>
inline Vec<T> weighted(Vec<T> value, Vec<T> weight) {
  return weight != T(0) ? value * weight : Vec<T>{};   // a padded lane contributes nothing, whatever it holds
}

template <class T>
static void softmax_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Vec<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  const int classes = g.output.channels;
  for (int i = 0; i < g.output.height; i++)
    for (int j = 0; j < g.output.width; j++) {
      const ptrdiff_t pixel = ptrdiff_t(j) * classes * L;
      const int first = (i * g.output.width + j) * classes;
      const T* z = g.output.data + b * g.output.block + i * g.output.row + pixel;
      Vec<T> most = load(z), winner{}, target_most = y.at(first), target{};
      for (int k = 1; k < classes; k++) {
        const Vec<T> zk = load(z + k * L), yk = y.at(first + k);
        const Mask<T> better = zk > most, target_better = yk > target_most;
        winner = better ? broadcast<T>(T(k)) : winner;
        most = at_least<T>(zk, most);
        target = target_better ? broadcast<T>(T(k)) : target;
        target_most = target_better ? yk : target_most;
      }
      Vec<T> sum{}, dot{}, mass{};
      for (int k = 0; k < classes; k++) {
        const Vec<T> shifted = load(z + k * L) - most, yk = y.at(first + k);
        sum += exp<T>(shifted);
        // 0 · −inf must stay 0: a class of probability 0 that is not the target costs nothing.
        dot += yk != T(0) ? yk * shifted : Vec<T>{};
        mass += yk;
      }
      loss += log<T>(sum) * mass - dot;
      correct += winner == target ? broadcast<T>(T(1)) : Vec<T>{};
      const Vec<T> scale = T(1) / sum;
      T* a = g.activation.data ? g.activation.data + b * g.activation.block + i * g.activation.row + pixel : nullptr;
      T* d = g.delta.data ? g.delta.data + b * g.delta.block + i * g.delta.row + pixel : nullptr;
      if (a || d)
        for (int k = 0; k < classes; k++) {
          const Vec<T> ak = exp<T>(load(z + k * L) - most) * scale;
          if (a) store(a + k * L, ak);
          if (d) store(d + k * L, weighted<T>(ak * mass - y.at(first + k), w));
        }
    }
}

template <class T>
static void sigmoid_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Vec<T>& loss, Vec<T>& correct) {
  constexpr int L = lanes<T>;
  const ptrdiff_t run = ptrdiff_t(g.output.width) * g.output.channels;
  for (int i = 0; i < g.output.height; i++)
    for (ptrdiff_t k = 0; k < run; k++) {
      const Vec<T> z = load(g.output.data + b * g.output.block + i * g.output.row + k * L), yk = y.at(int(i * run + k));
      // −y log a − (1 − y) log(1 − a) = max(z, 0) − z y + log(1 + e^{−|z|})
      loss += softplus<T>(z) - (yk != T(0) ? z * yk : Vec<T>{});
      const Mask<T> right = (z > T(0)) == (yk > T(0.5));
      correct += right ? broadcast<T>(T(1)) : Vec<T>{};
      const Vec<T> a = sigmoid<T>(z);
      if (g.activation.data) store(g.activation.data + b * g.activation.block + i * g.activation.row + k * L, a);
      if (g.delta.data) store(g.delta.data + b * g.delta.block + i * g.delta.row + k * L, weighted<T>(a - yk, w));
    }
}

template <class T>
static void squared_loss(const LossArgs<T>& g, int b, const Target<T>& y, Vec<T> w, Vec<T>& loss) {
  constexpr int L = lanes<T>;
  const ptrdiff_t run = ptrdiff_t(g.output.width) * g.output.channels;
  for (int i = 0; i < g.output.height; i++) {
    for (ptrdiff_t k = 0; k < run; k++) {
      const Vec<T> e = load(g.output.data + b * g.output.block + i * g.output.row + k * L) - y.at(int(i * run + k));
      loss += T(0.5) * g.scale * e * e;
      if (g.delta.data) store(g.delta.data + b * g.delta.block + i * g.delta.row + k * L, weighted<T>(g.scale * e, w));
    }
  }
}

// 1 where the largest output is that of the label; the first of equals counts.
template <class T>
inline Vec<T> largest_is_label(const LossArgs<T>& g, int b, Vec<T> label) {
  const T* z = g.output.data + b * g.output.block;
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
    const Target<T> y{g.targets ? g.targets + b * size * L : nullptr, g.labels ? load(g.labels + b * L) : Vec<T>{}};
    const Vec<T> w = load(g.weights + b * L);
    Vec<T> value{}, correct{};
    switch (g.kind) {
      case LossKind::softmax_cross_entropy:
        softmax_loss<T>(g, b, y, w, value, correct);
        correct /= T(g.output.height * g.output.width);
        break;
      case LossKind::sigmoid_cross_entropy:
        sigmoid_loss<T>(g, b, y, w, value, correct);
        correct /= T(size);
        break;
      case LossKind::squared_error:
        squared_loss<T>(g, b, y, w, value);
        break;
    }
    if (g.labels && g.kind != LossKind::softmax_cross_entropy) correct = largest_is_label<T>(g, b, y.label);
    if (g.delta.data)
      for (int i = 0; i < g.delta.height; i++) hadamard_row<T>(g.post, g.delta, b, i);
    store(g.loss + b * L, weighted<T>(value, w));
    store(g.correct + b * L, correct);
  }
}
