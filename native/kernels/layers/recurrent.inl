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

// Where the states at the end lie in a block of z.
template <class T>
inline ptrdiff_t ends_at(const RecurrentArgs<T>& g) {
  return ptrdiff_t(g.every ? g.steps : 1) * g.units * lanes<T>;
}

// What a cell makes of its sums p (and, of a GRU, q = U h + v): the gates, in p; of an LSTM c and tanh(c), of a GRU the reset's
// inner sum, in s; and the state behind it, where h and c are those before.
template <class T>
inline Vec<T> recurrent_gates(const RecurrentArgs<T>& g, Vec<T> (&p)[4], const Vec<T> (&q)[3], Vec<T> h, Vec<T>& c, Vec<T>& s) {
  if (g.cell == Cell::rnn) return p[0] = activate<T>(g.act, T(0), p[0]);
  if (g.cell == Cell::lstm) {
    p[0] = sigmoid<T>(p[0]), p[1] = sigmoid<T>(p[1]), p[2] = tanh<T>(p[2]), p[3] = sigmoid<T>(p[3]);
    c = p[1] * c + p[0] * p[2];
    s = tanh<T>(c);
    return p[3] * s;
  }
  if (g.cell == Cell::gru_before) {   // r and u are there: recurrent_reset
    p[2] = tanh<T>(p[2] + q[2]);
    return p[1] * h + (T(1) - p[1]) * p[2];
  }
  p[0] = sigmoid<T>(p[0] + q[0]), p[1] = sigmoid<T>(p[1] + q[1]);
  s = q[2];
  p[2] = tanh<T>(p[2] + p[0] * s);
  return p[1] * h + (T(1) - p[1]) * p[2];
}

// Of a GRU that resets in front of U: r and u in p, and r h in s.
template <class T>
inline void recurrent_reset(const RecurrentArgs<T>& g, int b, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t;
  T *const p = g.p + place * g.gates * u, *const s = g.s + place * u;
  const T *const q = g.q + place * g.gates * u, *const h = g.h + place * u;
  for (ptrdiff_t j = 0; j < u; j += L) {
    const Vec<T> r = sigmoid<T>(load(p + j) + load(q + j));
    store(p + j, r), store(p + u + j, sigmoid<T>(load(p + u + j) + load(q + u + j)));
    store(s + j, r * load(h + j));
  }
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
  T *const end = g.last + 2 * b * u, *h_after = last ? end : g.h + place * u + next,
           *c_after = last ? end + u : g.c + place * u + next;
  T* z = g.every ? g.z.block(b) + t * u : nullptr;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  for (ptrdiff_t j = 0; j < u; j += L) {
    Vec<T> gates[4] = {}, of_state[3] = {}, cell{}, kept{};
    for (int k = 0; k < g.gates; k++) gates[k] = load(p + k * u + j);
    if (is_gru(g.cell)) {
      for (int k = 0; k < 3; k++) of_state[k] = load(q + k * u + j);
      if (g.inner_bias) of_state[2] += broadcast<T>(g.inner_bias[j / L]);
    } else if (g.cell == Cell::lstm) {
      cell = load(c + j);
    }
    const Vec<T> before = cell, after = recurrent_gates<T>(g, gates, of_state, load(h + j), cell, kept);
    for (int k = 0; k < g.gates; k++) store(p + k * u + j, gates[k]);
    if (g.cell == Cell::lstm || g.cell == Cell::gru) store(s + j, kept);
    if (g.cell == Cell::lstm) store(c_after + j, there > zero ? cell : before);
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
    product.add = !is_gru(g.cell);
    for (int i = b; i < b + count && g.first.data; i++) {
      const ptrdiff_t place = (ptrdiff_t(i) * g.steps + (g.reverse ? g.steps - 1 : 0)) * u;
      __builtin_memcpy(g.h + place, g.first.block(i), sizeof(T) * size_t(u));
      if (g.cell == Cell::lstm) __builtin_memcpy(g.c + place, g.first.block(i) + u, sizeof(T) * size_t(u));
    }
    const auto multiply = [&](int first) {
      for (int panel = first; panel < panels<T>(product.outputs); panel++)
        if (count == 1) dense_forward_panel<T, panel_channels<T, single_channels>>(product, 0, 1, panel);
        else dense_forward_panel<T, panel_channels<T, wide_channels>>(product, 0, count, panel);
    };
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      const ptrdiff_t place = ptrdiff_t(b) * g.steps + t;
      product.x = g.h + place * u;
      product.z = (is_gru(g.cell) ? g.q : g.p) + place * rows;
      multiply(0);
      if (g.cell == Cell::gru_before) {   // q of r and u is used up: the panel that begins in u may write there
        for (int i = 0; i < count; i++) recurrent_reset<T>(g, b + i, t);
        product.x = g.s + place * u;
        multiply(2 * g.units / L);
      }
      for (int i = 0; i < count; i++) recurrent_cell<T>(g, b + i, t, number == g.steps - 1);
    }
    for (int i = b; i < b + count; i++) {
      T *const end = g.last + 2 * i * u, *const z = g.z.block(i);
      if (!g.every) __builtin_memcpy(z, end, sizeof(T) * size_t(u));
      if (g.ends) __builtin_memcpy(z + ends_at(g), end, sizeof(T) * size_t(g.cell == Cell::lstm ? 2 * u : u));
    }
    b += count;
  }
}

// The same for values [sample][step][unit], where the lanes are units: samples [b, b + count) go through all steps together. p
// is [sample][step][gates · units], its rows p_row numbers apart, h and c the states at this step, [sample][unit], state_row
// apart.
template <class T>
static void recurrent_channels(const RecurrentArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const auto any = [](const T* from) { return Vec<T>(*reinterpret_cast<const typename Lanes<T>::unaligned*>(from)); };
  const bool gru = g.cell == Cell::gru;
  const int out = panels<T>(g.gates * g.units);
  for (int b = begin; b < end;) {
    const int count = rows_next(end - b);
    T *const h = g.h + b * g.state_row, *const c = g.c + b * g.state_row, *const q = g.q + b * g.p_row;
    __builtin_memset(h, 0, sizeof(T) * size_t(count * g.state_row));
    if (g.cell == Cell::lstm) __builtin_memset(c, 0, sizeof(T) * size_t(count * g.state_row));
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      T* const p = g.p + (ptrdiff_t(b) * g.steps + t) * g.p_row;
      RowsTile<T> product{};
      product.x = h, product.x_row = g.state_row;
      product.segments = product.taps = 1, product.length = g.units;
      product.w = g.weights, product.w_panel = ptrdiff_t(g.units) * L;
      product.z = gru ? q : p, product.z_row = gru ? g.p_row : g.steps * g.p_row;
      product.floor = no_floor<T>, product.add = !gru;
      rows_product<T>(product, count, out);
      for (int i = 0; i < count; i++) {
        const bool there = !g.mask.data || g.mask.block((b + i) / L)[t * L + (b + i) % L] > T(0);
        T* const z = g.every ? g.z.block(b + i) + t * g.state_row : nullptr;
        if (!there) {
          if (z) __builtin_memset(z, 0, sizeof(T) * size_t(g.state_row));
          continue;
        }
        const T *const own = p + i * g.steps * g.p_row, *const own_q = q + i * g.p_row;
        for (int j = 0; j < g.units; j += L) {   // beyond the last unit: of the next gate, and never read
          Vec<T> gates[4] = {}, of_state[3] = {}, cell{}, kept{};
          for (int k = 0; k < g.gates; k++) gates[k] = any(own + k * g.units + j);
          T* const state = h + i * g.state_row + j;
          if (gru) {
            for (int k = 0; k < 3; k++) of_state[k] = any(own_q + k * g.units + j);
            if (g.inner_bias) of_state[2] += load(g.inner_bias + j);
          } else if (g.cell == Cell::lstm) {
            cell = load(c + i * g.state_row + j);
          }
          const Vec<T> after = recurrent_gates<T>(g, gates, of_state, load(state), cell, kept);
          if (g.cell == Cell::lstm) store(c + i * g.state_row + j, cell);
          store(state, after);
          if (z) store(z + j, after);
        }
      }
    }
    for (int i = 0; i < count && !g.every; i++)
      __builtin_memcpy(g.z.block(b + i), h + i * g.state_row, sizeof(T) * size_t(g.state_row));
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
    } else if (g.cell == Cell::gru_before) {   // and r, once the product with U_n is there: recurrent_reset_delta
      const Vec<T> keep = load(p + u + j), n = load(p + 2 * u + j), dn = total * (T(1) - keep) * (T(1) - n * n);
      put(dp + u + j, total * (load(h + j) - n) * keep * (T(1) - keep)), put(dp + 2 * u + j, dn);
      store(dq + j, zero), store(dq + u + j, zero), put(dq + 2 * u + j, dn);
      past = total * keep;
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

// Of a GRU that resets in front of U, from U_nᵀ δ_n where an LSTM has ∂J/∂c: δ of r, and what goes down past U; dq is then of
// r and u.
template <class T>
inline void recurrent_reset_delta(const RecurrentArgs<T>& g, int b, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t;
  const T *const p = g.p + place * g.gates * u, *const h = g.h + place * u;
  T *const dp = g.dp + place * g.gates * u, *const dq = g.dq + place * g.gates * u;
  T *const dh = g.arrived + 2 * b * u, *const ds = dh + u;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  for (ptrdiff_t j = 0; j < u; j += L) {
    const Vec<T> r = load(p + j), d = load(ds + j), dr = d * load(h + j) * r * (T(1) - r), shown = there > zero ? dr : zero;
    store(dp + j, shown), store(dq + j, shown), store(dq + u + j, load(dp + u + j)), store(dq + 2 * u + j, zero);
    store(dh + j, there > zero ? load(dh + j) + d * r : load(dh + j));
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
      T* const arrived = g.arrived + 2 * i * u;
      const T* const d = g.z_delta.block(i);
      __builtin_memset(arrived, 0, sizeof(T) * size_t(2 * u));
      if (g.ends) __builtin_memcpy(arrived, d + ends_at(g), sizeof(T) * size_t(g.cell == Cell::lstm ? 2 * u : u));
      for (ptrdiff_t j = 0; j < u && !g.every; j += L) store(arrived + j, load(arrived + j) + load(d + j));
    }
    for (int number = g.steps - 1; number >= 0; number--) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      for (int i = 0; i < count; i++) recurrent_cell_delta<T>(g, b + i, t);
      product.z = (is_gru(g.cell) ? g.dq : g.dp) + (ptrdiff_t(b) * g.steps + t) * rows;
      if (g.cell == Cell::gru_before) {
        product.x_delta += u, product.add = false;
        dense_backward<T>(product, 0, dense_backward_units<T>(product));
        product.x_delta -= u, product.add = true;
        for (int i = 0; i < count; i++) recurrent_reset_delta<T>(g, b + i, t);
      }
      if (number == 0 && !g.first.data) break;
      if (g.truncate && number > 0 && number % g.truncate == 0) {
        __builtin_memset(product.x_delta, 0, sizeof(T) * size_t(count * 2 * u));
        continue;
      }
      dense_backward<T>(product, 0, dense_backward_units<T>(product));
    }
    b += count;
  }
}
