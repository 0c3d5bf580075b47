// RNN, LSTM, GRU through time (layers/sequences/recurrent.py): samples never mix, so a group of blocks goes through all steps
// without waiting for others. Per step U h is one small product for the group, by the tile of the dense layers; the gates, one
// lane a sample, follow in the same pass. W x_t of all steps and the gradients are products of their own, before and behind.
//
// Read `recurrent_cell`, one step of one block, and `recurrent_forward`; then `recurrent_cell_delta` and `recurrent_backward`.
// Shapes: p, δ_p [block][step][gates · units][lane]; h, c [block][step][units][lane], before a step; U in panels.

// How the state's part of a step is multiplied: blocks [b, b + count) at step t.
template <class T>
inline DenseArgs<T> of_state(const RecurrentArgs<T>& g, int count) {
  DenseArgs<T> d{};
  d.weights = g.weights;
  d.blocks = count, d.samples = count * lanes<T>;
  d.inputs = g.units, d.outputs = g.gates * g.units;
  return d;
}

// One step of block b, from what the products have left in `p` (and, of a GRU, U h in `q`).
template <class T>
inline void recurrent_cell(const RecurrentArgs<T>& g, int b, int t, bool last) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t, next = last ? 0 : g.reverse ? -u : u;
  T* p = g.p + place * g.gates * u;
  const T* q = g.q + place * g.gates * u;
  const T *h = g.h + place * u, *c = g.c + place * u;
  T* s = g.s + place * u;
  T *h_after = last ? g.last + b * u : g.h + place * u + next, *c_after = g.c + place * u + next;   // c of the end is not kept
  T* z = g.every ? g.z.block(b) + t * u : nullptr;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  for (ptrdiff_t j = 0; j < u; j += L) {
    Vec<T> after;
    if (g.cell == Cell::rnn) {
      after = activate<T>(g.act, T(0), load(p + j));
      store(p + j, after);
    } else if (g.cell == Cell::lstm) {
      const Vec<T> i = sigmoid<T>(load(p + j)), f = sigmoid<T>(load(p + u + j)), n = tanh<T>(load(p + 2 * u + j)),
                   o = sigmoid<T>(load(p + 3 * u + j));
      const Vec<T> before = load(c + j), cell = f * before + i * n, squashed = tanh<T>(cell);
      store(p + j, i), store(p + u + j, f), store(p + 2 * u + j, n), store(p + 3 * u + j, o), store(s + j, squashed);
      if (!last) store(c_after + j, there > zero ? cell : before);
      after = o * squashed;
    } else {
      const Vec<T> r = sigmoid<T>(load(p + j) + load(q + j)), keep = sigmoid<T>(load(p + u + j) + load(q + u + j));
      const Vec<T> inner = load(q + 2 * u + j) + broadcast<T>(g.inner_bias[j / L]);
      const Vec<T> n = tanh<T>(load(p + 2 * u + j) + r * inner);
      store(p + j, r), store(p + u + j, keep), store(p + 2 * u + j, n), store(s + j, inner);
      after = keep * load(h + j) + (T(1) - keep) * n;
    }
    store(h_after + j, there > zero ? after : load(h + j));
    if (z) store(z + j, there > zero ? after : zero);
  }
}

// Unit: block.
template <class T>
static void recurrent_forward(const RecurrentArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, rows = g.gates * u;
  Cut cut{end - begin, wide_pixels};
  for (int b = begin; b < end;) {
    const int count = cut.next();
    DenseArgs<T> product = of_state<T>(g, count);
    product.x_block = g.steps * u, product.z_block = g.steps * rows;
    product.add = g.cell != Cell::gru;
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      const ptrdiff_t place = ptrdiff_t(b) * g.steps + t;
      product.x = g.h + place * u;
      product.z = (g.cell == Cell::gru ? g.q : g.p) + place * rows;
      for (int panel = 0; panel < panels<T>(product.outputs); panel++)
        if (count == 1) dense_forward_panel<T, panel_channels<T, single_channels>>(product, 0, 1, panel);
        else dense_forward_panel<T, panel_channels<T, wide_channels>>(product, 0, count, panel);
      for (int i = 0; i < count; i++) recurrent_cell<T>(g, b + i, t, number == g.steps - 1);
    }
    for (int i = b; i < b + count && !g.every; i++) __builtin_memcpy(g.z.block(i), g.last + i * u, sizeof(T) * size_t(u));
    b += count;
  }
}

// δ of one step's gates in `dp` (and `dq`); in `arrived`, ∂J/∂h_t and ∂J/∂c_t on the way in, on the way out what goes down
// past the product with U.
template <class T>
inline void recurrent_cell_delta(const RecurrentArgs<T>& g, int b, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t;
  const T *p = g.p + place * g.gates * u, *h = g.h + place * u, *c = g.c + place * u, *s = g.s + place * u;
  T *dp = g.dp + place * g.gates * u, *dq = g.dq + place * g.gates * u;
  T *dh = g.arrived + 2 * b * u, *dc = dh + u;
  const T* d = g.every ? g.z_delta.block(b) + t * u : nullptr;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  const auto put = [&](T* to, Vec<T> v) { store(to, there > zero ? v : zero); };
  for (ptrdiff_t j = 0; j < u; j += L) {
    const Vec<T> before = load(dh + j), total = d ? before + (there > zero ? load(d + j) : zero) : before;
    Vec<T> past{};
    if (g.cell == Cell::rnn) {
      put(dp + j, total * derivative<T>(g.act, T(0), load(p + j)));
    } else if (g.cell == Cell::lstm) {
      const Vec<T> i = load(p + j), f = load(p + u + j), n = load(p + 2 * u + j), o = load(p + 3 * u + j), sq = load(s + j);
      const Vec<T> e = load(dc + j) + total * o * (T(1) - sq * sq);
      put(dp + j, e * n * i * (T(1) - i));
      put(dp + u + j, e * load(c + j) * f * (T(1) - f));
      put(dp + 2 * u + j, e * i * (T(1) - n * n));
      put(dp + 3 * u + j, total * sq * o * (T(1) - o));
      store(dc + j, there > zero ? e * f : load(dc + j));
    } else {
      const Vec<T> r = load(p + j), keep = load(p + u + j), n = load(p + 2 * u + j);
      const Vec<T> dn = total * (T(1) - keep) * (T(1) - n * n);
      const Vec<T> dr = dn * load(s + j) * r * (T(1) - r), du = total * (load(h + j) - n) * keep * (T(1) - keep);
      put(dp + j, dr), put(dp + u + j, du), put(dp + 2 * u + j, dn);
      put(dq + j, dr), put(dq + u + j, du), put(dq + 2 * u + j, dn * r);
      past = total * keep;
    }
    store(dh + j, there > zero ? past : total);
  }
}

// Unit: block.
template <class T>
static void recurrent_backward(const RecurrentArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, rows = g.gates * u;
  Cut cut{end - begin, wide_pixels};
  for (int b = begin; b < end;) {
    const int count = cut.next();
    DenseArgs<T> product = of_state<T>(g, count);
    product.x_delta = g.arrived + 2 * b * u;
    product.x_delta_block = 2 * u, product.z_block = g.steps * rows;
    product.add = true;
    for (int i = b; i < b + count; i++) {
      __builtin_memset(g.arrived + 2 * i * u, 0, sizeof(T) * size_t(2 * u));
      if (!g.every) __builtin_memcpy(g.arrived + 2 * i * u, g.z_delta.block(i), sizeof(T) * size_t(u));
    }
    for (int number = g.steps - 1; number >= 0; number--) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      for (int i = 0; i < count; i++) recurrent_cell_delta<T>(g, b + i, t);
      if (number == 0) break;
      if (g.truncate && number % g.truncate == 0) {
        __builtin_memset(product.x_delta, 0, sizeof(T) * size_t(count * 2 * u));
        continue;
      }
      product.z = (g.cell == Cell::gru ? g.dq : g.dp) + (ptrdiff_t(b) * g.steps + t) * rows;
      dense_backward<T>(product, 0, dense_backward_units<T>(product));
    }
    b += count;
  }
}
