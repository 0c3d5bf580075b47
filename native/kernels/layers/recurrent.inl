// RNN, LSTM, GRU through time (layers/sequences/recurrent.py): samples never mix, so a group of blocks goes through all steps
// without waiting for others. Per step U h is one small product for the group, by the tile of the dense layers; the gates, one
// lane a sample, follow in the same pass. W x_t of all steps and the gradients are products of their own, before and behind.
//
// Read `recurrent_cell`, one step of one block, and `recurrent_forward`; then `recurrent_cell_delta` and `recurrent_backward`.
// Shapes: p, δ_p [block][step][gates · units][lane]; h [block][step][size][lane], c [block][step][units][lane], before a step;
// U in panels. `size` is `units` but of an LSTM with a projection, whose cell leaves o tanh(c) in `out`: `recurrent_project`.

// How the state's part of a step is multiplied: blocks [b, b + count) at step t.
template <class T>
inline DenseArgs<T> of_state(const RecurrentArgs<T>& g, int count) {
  DenseArgs<T> d{};
  d.weights = g.weights;
  d.blocks = count, d.samples = count * lanes<T>;
  d.inputs = g.size, d.outputs = g.gates * g.units;
  return d;
}

// How o tanh(c) is projected.
template <class T>
inline DenseArgs<T> of_out(const RecurrentArgs<T>& g, int count) {
  DenseArgs<T> d = of_state<T>(g, count);
  d.weights = g.projection, d.inputs = g.units, d.outputs = g.size;
  return d;
}

// Numbers of the states of a block behind one another, h and c; of other cells the second place is room.
template <class T>
inline ptrdiff_t both_states(const RecurrentArgs<T>& g) {
  return ptrdiff_t(g.size + g.units) * lanes<T>;
}

// What the gates i, f, o see the cell by, from unit j on, by `load` of a place in P.
template <class T, Cell cell, class Load>
inline void load_peepholes(const RecurrentArgs<T>& g, int unit, Vec<T> (&w)[3], Load&& load) {
  for (int k = 0; k < 3 && cell == Cell::peephole; k++) w[k] = load(g.peepholes + k * g.units + unit);
}

// Where the states at the end lie in a block of z.
template <class T>
inline ptrdiff_t ends_at(const RecurrentArgs<T>& g) {
  return ptrdiff_t(g.every ? g.steps : 1) * g.size * lanes<T>;
}

// body<cell>(): the only switch on the kind of cell in the passes over units, in front of their loops.
template <class F>
inline void for_cell(Cell cell, F&& body) {
  switch (cell) {
    case Cell::rnn:
      return body.template operator()<Cell::rnn>();
    case Cell::lstm:
      return body.template operator()<Cell::lstm>();
    case Cell::gru:
      return body.template operator()<Cell::gru>();
    case Cell::gru_before:
      return body.template operator()<Cell::gru_before>();
    case Cell::peephole:
      return body.template operator()<Cell::peephole>();
  }
}

// What a cell makes of its sums p (and q, of a GRU U h + v, of peepholes what they multiply c by): the gates, in p; of an LSTM
// c and tanh(c), of a GRU the reset's inner sum, in s; and the state behind it, where h and c are those before.
template <class T, Cell cell>
inline Vec<T> recurrent_gates(const RecurrentArgs<T>& g, Vec<T> (&p)[4], const Vec<T> (&q)[3], Vec<T> h, Vec<T>& c, Vec<T>& s) {
  if (cell == Cell::rnn) return p[0] = activate<T>(g.act, T(0), p[0]);
  if (cell == Cell::lstm) {
    p[0] = sigmoid<T>(p[0]), p[1] = sigmoid<T>(p[1]), p[2] = tanh<T>(p[2]), p[3] = sigmoid<T>(p[3]);
    c = p[1] * c + p[0] * p[2];
    s = tanh<T>(c);
    return p[3] * s;
  }
  if (cell == Cell::peephole) {
    p[0] = sigmoid<T>(p[0] + q[0] * c), p[1] = sigmoid<T>(p[1] + q[1] * c), p[2] = tanh<T>(p[2]);
    c = p[1] * c + p[0] * p[2];
    p[3] = sigmoid<T>(p[3] + q[2] * c);
    s = tanh<T>(c);
    return p[3] * s;
  }
  if (cell == Cell::gru_before) {   // r and u are there: recurrent_reset
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
template <class T, Cell cell>
inline void recurrent_cell(const RecurrentArgs<T>& g, int b, int t, bool last) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t, next = g.reverse ? -u : u;
  const bool projects = is_lstm(cell) && g.projection;   // else h has units
  T* p = g.p + place * g.gates * u;
  const T* q = g.q + place * g.gates * u;
  const T *h = g.h + place * u, *c = g.c + place * u;
  T* s = g.s + place * u;
  T *const end = g.last + b * both_states(g), *h_after = last ? end : g.h + place * u + next,
           *c_after = last ? end + g.size * L : g.c + place * u + next, *out = g.out + place * u;
  T* z = g.every ? g.z.block(b) + t * u : nullptr;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  for (ptrdiff_t j = 0; j < u; j += L) {
    Vec<T> gates[4] = {}, of_state[3] = {}, inner{}, kept{};
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load(p + k * u + j);
    if (is_gru(cell)) {
      for (int k = 0; k < 3; k++) of_state[k] = load(q + k * u + j);
      if (g.inner_bias) of_state[2] += broadcast<T>(g.inner_bias[j / L]);
    } else if (is_lstm(cell)) {
      inner = load(c + j);
      load_peepholes<T, cell>(g, int(j / L), of_state, [](const T* from) { return broadcast<T>(*from); });
    }
    const Vec<T> of_before = projects ? zero : load(h + j), before = inner,
                 after = recurrent_gates<T, cell>(g, gates, of_state, of_before, inner, kept);
    for (int k = 0; k < gates_of(cell); k++) store(p + k * u + j, gates[k]);
    if (is_lstm(cell) || cell == Cell::gru) store(s + j, kept);
    if (is_lstm(cell)) store(c_after + j, there > zero ? inner : before);
    if (projects) {
      store(out + j, after);
      continue;
    }
    store(h_after + j, there > zero ? after : of_before);
    if (z) store(z + j, there > zero ? after : zero);
  }
}

// h behind step t of blocks [b, b + count), from what their cells have left in `out`.
template <class T>
inline void recurrent_project(const RecurrentArgs<T>& g, int b, int count, int t, bool last) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, size = ptrdiff_t(g.size) * L, place = ptrdiff_t(b) * g.steps + t;
  DenseArgs<T> product = of_out<T>(g, count);
  product.x = g.out + place * u, product.x_block = g.steps * u;
  product.z = last ? g.last + b * both_states(g) : g.h + (place + (g.reverse ? -1 : 1)) * size;
  product.z_block = last ? both_states(g) : g.steps * size;
  for (int panel = 0; panel < panels<T>(product.outputs); panel++)
    if (count == 1) dense_forward_panel<T, panel_channels<T, single_channels>>(product, 0, 1, panel);
    else dense_forward_panel<T, panel_channels<T, wide_channels>>(product, 0, count, panel);
  for (int i = 0; i < count; i++) {
    const Vec<T> there = g.mask.data ? load(g.mask.block(b + i) + t * L) : broadcast<T>(T(1)), zero{};
    const T* const before = g.h + (place + ptrdiff_t(i) * g.steps) * size;
    T *const after = product.z + i * product.z_block, *const z = g.every ? g.z.block(b + i) + t * size : nullptr;
    for (ptrdiff_t j = 0; j < size; j += L) {
      const Vec<T> made = load(after + j);
      if (g.mask.data) store(after + j, there > zero ? made : load(before + j));
      if (z) store(z + j, there > zero ? made : zero);
    }
  }
}

// Unit: block.
template <class T>
static void recurrent_forward(const RecurrentArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, size = ptrdiff_t(g.size) * L, rows = g.gates * u;
  Cut cut{end - begin, wide_pixels};
  for (int b = begin; b < end;) {
    const int count = cut.next();
    DenseArgs<T> product = of_state<T>(g, count);
    product.x_block = g.steps * size, product.z_block = g.steps * rows;
    product.add = !is_gru(g.cell);
    for (int i = b; i < b + count && g.first.data; i++) {
      const ptrdiff_t place = ptrdiff_t(i) * g.steps + (g.reverse ? g.steps - 1 : 0);
      __builtin_memcpy(g.h + place * size, g.first.block(i), sizeof(T) * size_t(size));
      if (is_lstm(g.cell)) __builtin_memcpy(g.c + place * u, g.first.block(i) + size, sizeof(T) * size_t(u));
    }
    const auto multiply = [&](int first) {
      for (int panel = first; panel < panels<T>(product.outputs); panel++)
        if (count == 1) dense_forward_panel<T, panel_channels<T, single_channels>>(product, 0, 1, panel);
        else dense_forward_panel<T, panel_channels<T, wide_channels>>(product, 0, count, panel);
    };
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      const ptrdiff_t place = ptrdiff_t(b) * g.steps + t;
      product.x = g.h + place * size;
      product.z = (is_gru(g.cell) ? g.q : g.p) + place * rows;
      multiply(0);
      if (g.cell == Cell::gru_before) {   // q of r and u is used up: the panel that begins in u may write there
        for (int i = 0; i < count; i++) recurrent_reset<T>(g, b + i, t);
        product.x = g.s + place * u;
        multiply(2 * g.units / L);
      }
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = 0; i < count; i++) recurrent_cell<T, cell>(g, b + i, t, number == g.steps - 1);
      });
      if (g.projection) recurrent_project<T>(g, b, count, t, number == g.steps - 1);
    }
    for (int i = b; i < b + count; i++) {
      T *const end = g.last + i * both_states(g), *const z = g.z.block(i);
      if (!g.every) __builtin_memcpy(z, end, sizeof(T) * size_t(size));
      if (g.ends) __builtin_memcpy(z + ends_at(g), end, sizeof(T) * size_t(is_lstm(g.cell) ? both_states(g) : size));
    }
    b += count;
  }
}

// δ of a cell's sums, of p in dp and of a GRU's q in dq, from total = ∂J/∂h_t and of an LSTM dc = ∂J/∂c_t, then of the step
// before; what goes down to h past the product with U. Of a GRU that resets in front of U without r: recurrent_reset_delta.
// Peepholes multiply c by w; what they get is in dq.
template <class T, Cell cell>
inline Vec<T> recurrent_gates_delta(const RecurrentArgs<T>& g, const Vec<T> (&p)[4], Vec<T> h, Vec<T> c, Vec<T> s, Vec<T> total,
                                    const Vec<T> (&w)[3], Vec<T>& dc, Vec<T> (&dp)[4], Vec<T> (&dq)[3]) {
  if (cell == Cell::rnn) {
    dp[0] = total * derivative<T>(g.act, T(0), p[0]);
    return Vec<T>{};
  }
  if (cell == Cell::lstm) {
    const Vec<T> i = p[0], f = p[1], n = p[2], o = p[3], e = dc + total * o * (T(1) - s * s);
    dp[0] = e * n * i * (T(1) - i);
    dp[1] = e * c * f * (T(1) - f);
    dp[2] = e * i * (T(1) - n * n);
    dp[3] = total * s * o * (T(1) - o);
    dc = e * f;
    return Vec<T>{};
  }
  if (cell == Cell::peephole) {
    const Vec<T> i = p[0], f = p[1], n = p[2], o = p[3];
    dp[3] = total * s * o * (T(1) - o);
    const Vec<T> e = dc + total * o * (T(1) - s * s) + w[2] * dp[3];
    dp[0] = e * n * i * (T(1) - i);
    dp[1] = e * c * f * (T(1) - f);
    dp[2] = e * i * (T(1) - n * n);
    dq[0] = dp[0] * c, dq[1] = dp[1] * c, dq[2] = dp[3] * (f * c + i * n);
    dc = e * f + w[0] * dp[0] + w[1] * dp[1];
    return Vec<T>{};
  }
  const Vec<T> r = p[0], keep = p[1], n = p[2];
  dp[1] = total * (h - n) * keep * (T(1) - keep);
  dp[2] = total * (T(1) - keep) * (T(1) - n * n);
  if (cell == Cell::gru_before) {
    dq[2] = dp[2];
  } else {
    dp[0] = dq[0] = dp[2] * s * r * (T(1) - r);
    dq[1] = dp[1], dq[2] = dp[2] * r;
  }
  return total * keep;
}

// δ of one step's gates in `dp` (and `dq`); in `arrived`, ∂J/∂h_t and ∂J/∂c_t on the way in, on the way out what goes down
// past the product with U.
template <class T, Cell cell>
inline void recurrent_cell_delta(const RecurrentArgs<T>& g, int b, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t;
  const T *p = g.p + place * g.gates * u, *h = g.h + place * u, *c = g.c + place * u, *s = g.s + place * u;
  const bool projects = is_lstm(cell) && g.projection, lstm = is_lstm(cell);
  T *dp = g.dp + place * g.gates * u, *dq = g.dq + place * g.gates * u;
  T *dh = g.arrived + b * both_states(g), *dc = dh + g.size * L, *of_peepholes = g.d_peepholes + 3 * b * u;
  const T *d = g.every ? g.z_delta.block(b) + t * u : nullptr, *d_out = g.d_out + b * u;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  const auto put = [&](T* to, Vec<T> v) { store(to, there > zero ? v : zero); };
  for (ptrdiff_t j = 0; j < u; j += L) {
    const Vec<T> before = load((projects ? d_out : dh) + j),
                 total = d && !projects ? before + (there > zero ? load(d + j) : zero) : before;
    Vec<T> gates[4] = {}, of_gates[4] = {}, of_state[3] = {}, w[3] = {}, of_cell = lstm ? load(dc + j) : zero;
    const Vec<T> cell_before = of_cell;
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load(p + k * u + j);
    load_peepholes<T, cell>(g, int(j / L), w, [](const T* from) { return broadcast<T>(*from); });
    const Vec<T> past = recurrent_gates_delta<T, cell>(g, gates, lstm ? zero : load(h + j), load(c + j), load(s + j), total, w,
                                                       of_cell, of_gates, of_state);
    for (int k = cell == Cell::gru_before ? 1 : 0; k < gates_of(cell); k++) put(dp + k * u + j, of_gates[k]);
    for (int k = 0; k < 3 && is_gru(cell); k++) put(dq + k * u + j, of_state[k]);
    for (int k = 0; k < 3 && cell == Cell::peephole; k++) {
      T* const to = of_peepholes + k * u + j;
      store(to, load(to) + (there > zero ? of_state[k] : zero));
    }
    if (lstm) store(dc + j, there > zero ? of_cell : cell_before);
    if (!projects) store(dh + j, there > zero ? past : total);
  }
}

// ∂J/∂h of step t of blocks [b, b + count) as the projection gets it, in `dh`, and Vᵀ of it in `d_out`; where the step is
// padding it goes on down.
template <class T>
inline void recurrent_project_delta(const RecurrentArgs<T>& g, int b, int count, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, size = ptrdiff_t(g.size) * L, place = ptrdiff_t(b) * g.steps + t;
  for (int i = 0; i < count; i++) {
    const Vec<T> there = g.mask.data ? load(g.mask.block(b + i) + t * L) : broadcast<T>(T(1)), zero{};
    const T* const d = g.every ? g.z_delta.block(b + i) + t * size : nullptr;
    T *const dh = g.dh + (place + ptrdiff_t(i) * g.steps) * size, *const arrived = g.arrived + (b + i) * both_states(g);
    for (ptrdiff_t j = 0; j < size; j += L) {
      const Vec<T> before = load(arrived + j), total = d ? before + (there > zero ? load(d + j) : zero) : before;
      store(dh + j, there > zero ? total : zero), store(arrived + j, there > zero ? zero : total);
    }
  }
  DenseArgs<T> product = of_out<T>(g, count);
  product.z = g.dh + place * size, product.z_block = g.steps * size;
  product.x_delta = g.d_out + b * u, product.x_delta_block = u;
  dense_backward<T>(product, 0, dense_backward_units<T>(product));
}

// Of a GRU that resets in front of U, from U_nᵀ δ_n where an LSTM has ∂J/∂c: δ of r, and what goes down past U; dq is then of
// r and u.
template <class T>
inline void recurrent_reset_delta(const RecurrentArgs<T>& g, int b, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t u = ptrdiff_t(g.units) * L, place = ptrdiff_t(b) * g.steps + t;
  const T *const p = g.p + place * g.gates * u, *const h = g.h + place * u;
  T *const dp = g.dp + place * g.gates * u, *const dq = g.dq + place * g.gates * u;
  T *const dh = g.arrived + b * both_states(g), *const ds = dh + u;
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
  const ptrdiff_t u = ptrdiff_t(g.units) * L, size = ptrdiff_t(g.size) * L, both = both_states(g), rows = g.gates * u;
  Cut cut{end - begin, wide_pixels};
  for (int b = begin; b < end;) {
    const int count = cut.next();
    DenseArgs<T> product = of_state<T>(g, count);
    product.x_delta = g.arrived + b * both;
    product.x_delta_block = both, product.z_block = g.steps * rows;
    product.add = true;
    if (g.cell == Cell::peephole) __builtin_memset(g.d_peepholes + 3 * b * u, 0, sizeof(T) * size_t(count * 3 * u));
    for (int i = b; i < b + count; i++) {
      T* const arrived = g.arrived + i * both;
      const T* const d = g.z_delta.block(i);
      __builtin_memset(arrived, 0, sizeof(T) * size_t(both));
      if (g.ends) __builtin_memcpy(arrived, d + ends_at(g), sizeof(T) * size_t(is_lstm(g.cell) ? both : size));
      for (ptrdiff_t j = 0; j < size && !g.every; j += L) store(arrived + j, load(arrived + j) + load(d + j));
    }
    for (int number = g.steps - 1; number >= 0; number--) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      if (g.projection) recurrent_project_delta<T>(g, b, count, t);
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = 0; i < count; i++) recurrent_cell_delta<T, cell>(g, b + i, t);
      });
      product.z = (is_gru(g.cell) ? g.dq : g.dp) + (ptrdiff_t(b) * g.steps + t) * rows;
      if (g.cell == Cell::gru_before) {
        product.x_delta += u, product.add = false;
        dense_backward<T>(product, 0, dense_backward_units<T>(product));
        product.x_delta -= u, product.add = true;
        for (int i = 0; i < count; i++) recurrent_reset_delta<T>(g, b + i, t);
      }
      if (number == 0 && !g.first.data) break;
      if (g.truncate && number > 0 && number % g.truncate == 0) {
        __builtin_memset(product.x_delta, 0, sizeof(T) * size_t(count * both));
        continue;
      }
      dense_backward<T>(product, 0, dense_backward_units<T>(product));
    }
    b += count;
  }
}

// -- where the lanes are units ------------------------------------------------------------------------------------------------

// Values are [sample][step][unit], units padded to whole vectors. p and dp are [sample][step][gates · units], p_row numbers
// from step to step; c in front of step t of sample i lies at i · state_sample + t · state_step, h at i · size_sample +
// t · size_step. In a prediction that is one place for all steps (state_step 0); in training states and gates are kept, and 0
// in the lanes behind the last unit.

// `count` numbers, or as many as there are lanes; 0 behind them.
template <class T>
inline Vec<T> load_some(const T* from, int count) {
  if (count >= lanes<T>) return *reinterpret_cast<const typename Lanes<T>::unaligned*>(from);
  T some[lanes<T>] __attribute__((aligned(64))) = {};
  for (int l = 0; l < count; l++) some[l] = from[l];
  return load(some);
}
template <class T>
inline void store_some(T* to, Vec<T> v, int count) {
  if (count >= lanes<T>) {
    *reinterpret_cast<typename Lanes<T>::unaligned*>(to) = v;
    return;
  }
  T some[lanes<T>] __attribute__((aligned(64)));
  store(some, v);
  for (int l = 0; l < count; l++) to[l] = some[l];
}
template <class T>
inline bool step_is_there(const RecurrentArgs<T>& g, int sample, int t) {
  return !g.mask.data || g.mask.block(sample / lanes<T>)[t * lanes<T> + sample % lanes<T>] > T(0);
}

// Places of h in front of step t of a sample, and of c and what else has units; numbers of both behind one another.
template <class T>
inline ptrdiff_t h_place(const RecurrentArgs<T>& g, int sample, int t) {
  return sample * g.size_sample + t * g.size_step;
}
template <class T>
inline ptrdiff_t c_place(const RecurrentArgs<T>& g, int sample, int t) {
  return sample * g.state_sample + t * g.state_step;
}
template <class T>
inline ptrdiff_t both_rows(const RecurrentArgs<T>& g) {
  return g.size_row + g.state_row;
}

// As recurrent_cell, of one sample. ending: where the states behind the last step go, null at the others, and where none are
// kept.
template <class T, Cell cell>
inline void recurrent_channels_cell(const RecurrentArgs<T>& g, int sample, int t, T* ending) {
  constexpr int L = lanes<T>;
  const bool lstm = is_lstm(cell), keeps = g.state_step != 0;
  const size_t state = sizeof(T) * size_t(g.state_row), size = sizeof(T) * size_t(g.size_row);
  const ptrdiff_t place = c_place(g, sample, t);
  T *const h = g.h + h_place(g, sample, t), *const c = g.c + place, *const s = g.s + place;
  T* const h_after = ending ? ending : h + (g.reverse ? -g.size_step : g.size_step);
  T* const c_after = ending ? ending + g.size_row : c + (g.reverse ? -g.state_step : g.state_step);
  T* const z = g.every ? g.z.block(sample) + t * g.size_row : nullptr;
  T* const projected = g.projection ? g.out + place : nullptr;
  if (!step_is_there(g, sample, t)) {
    if (z) __builtin_memset(z, 0, size);
    if (keeps) __builtin_memcpy(h_after, h, size);
    if (keeps && lstm) __builtin_memcpy(c_after, c, state);
    if (projected) __builtin_memset(projected, 0, state);
    return;
  }
  T* const p = g.p + (ptrdiff_t(sample) * g.steps + t) * g.p_row;
  const T* const q = g.q + sample * g.p_row;
  for (int j = 0; j < g.units; j += L) {
    const int units = g.units - j;
    Vec<T> gates[4] = {}, of_state[3] = {}, inner{}, kept{};
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load_some(p + k * g.units + j, units);
    if (cell == Cell::gru) {
      for (int k = 0; k < 3; k++) of_state[k] = load_some(q + k * g.units + j, units);
      if (g.inner_bias) of_state[2] += load(g.inner_bias + j);
    } else if (lstm) {
      inner = load(c + j);
      load_peepholes<T, cell>(g, j, of_state, [&](const T* from) { return load_some(from, units); });
    }
    const Vec<T> of_before = lstm ? Vec<T>{} : load(h + j),
                 after = recurrent_gates<T, cell>(g, gates, of_state, of_before, inner, kept);
    if (keeps) {
      for (int k = 0; k < gates_of(cell); k++) store_some(p + k * g.units + j, gates[k], units);
      if (cell != Cell::rnn) store(s + j, kept);
    }
    if (lstm) store(c_after + j, inner);
    if (lstm && projected) {
      store(projected + j, after);
      continue;
    }
    store(h_after + j, after);
    if (z) store(z + j, after);
  }
}

// As recurrent_project, of samples [b, b + count).
template <class T>
inline void recurrent_channels_project(const RecurrentArgs<T>& g, int b, int count, int t, bool last) {
  const size_t size = sizeof(T) * size_t(g.size_row);
  RowsTile<T> product{};
  product.x = g.out + c_place(g, b, t), product.x_row = g.state_sample;
  product.segments = product.taps = 1, product.length = g.units;
  product.w = g.projection, product.w_panel = ptrdiff_t(g.units) * lanes<T>;
  product.z = g.d_out + b * g.size_row, product.z_row = g.size_row;
  product.floor = no_floor<T>;
  rows_product<T>(product, count, panels<T>(g.size));
  for (int i = 0; i < count; i++) {
    if (!step_is_there(g, b + i, t)) continue;
    const T* const made = product.z + i * g.size_row;
    const ptrdiff_t next = g.reverse ? -g.size_step : g.size_step;
    __builtin_memcpy(last ? g.last + (b + i) * both_rows(g) : g.h + h_place(g, b + i, t) + next, made, size);
    if (g.every) __builtin_memcpy(g.z.block(b + i) + t * g.size_row, made, size);
  }
}

// Samples [b, b + count) go through all steps together. Unit: sample.
template <class T>
static void recurrent_channels(const RecurrentArgs<T>& g, int begin, int end) {
  const bool gru = g.cell == Cell::gru, keeps = g.state_step != 0;
  const size_t state = sizeof(T) * size_t(g.state_row), size = sizeof(T) * size_t(g.size_row);
  const int out = panels<T>(g.gates * g.units);
  for (int b = begin; b < end;) {
    const int count = rows_next(end - b);
    const auto end_of = [&](int sample) { return g.last + sample * both_rows(g); };
    for (int i = b; i < b + count; i++) {
      const int first = g.reverse ? g.steps - 1 : 0;
      __builtin_memset(g.h + h_place(g, i, first), 0, size);
      if (is_lstm(g.cell)) __builtin_memset(g.c + c_place(g, i, first), 0, state);
    }
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      const bool last = keeps && number + 1 == g.steps;
      RowsTile<T> product{};
      product.x = g.h + h_place(g, b, t), product.x_row = g.size_sample;
      product.segments = product.taps = 1, product.length = g.size;
      product.w = g.weights, product.w_panel = ptrdiff_t(g.size) * lanes<T>;
      product.z = gru ? g.q + b * g.p_row : g.p + (ptrdiff_t(b) * g.steps + t) * g.p_row;
      product.z_row = gru ? g.p_row : g.steps * g.p_row;
      product.floor = no_floor<T>, product.add = !gru;
      rows_product<T>(product, count, out);
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = b; i < b + count; i++) recurrent_channels_cell<T, cell>(g, i, t, last ? end_of(i) : nullptr);
      });
      if (g.projection) recurrent_channels_project<T>(g, b, count, t, last);
    }
    for (int i = b; i < b + count && !g.every; i++)
      __builtin_memcpy(g.z.block(i), keeps ? end_of(i) : g.h + h_place(g, i, 0), size);
    b += count;
  }
}

// As recurrent_cell_delta, of one sample.
template <class T, Cell cell>
inline void recurrent_channels_delta(const RecurrentArgs<T>& g, int sample, int t) {
  constexpr int L = lanes<T>;
  const ptrdiff_t step = ptrdiff_t(sample) * g.steps + t, place = sample * g.state_sample + t * g.state_step;
  const T *const p = g.p + step * g.p_row, *const h = g.h + place, *const c = g.c + place, *const s = g.s + place;
  T *const dp = g.dp + step * g.p_row, *const dq = g.dq + step * g.p_row;
  T *const dh = g.arrived + sample * both_rows(g), *const dc = dh + g.size_row;
  T* const of_peepholes = g.d_peepholes + 3 * sample * g.state_row;
  const bool gru = cell == Cell::gru, lstm = is_lstm(cell), projects = lstm && g.projection;
  const T* const d = g.every && !projects ? g.z_delta.block(sample) + t * g.state_row : nullptr;
  const T* const arrived = projects ? g.d_out + sample * g.state_row : dh;   // ∂J/∂h_t, or of o tanh(c)
  if (!step_is_there(g, sample, t)) {
    __builtin_memset(dp, 0, sizeof(T) * size_t(g.p_row));
    if (gru) __builtin_memset(dq, 0, sizeof(T) * size_t(g.p_row));
    return;
  }
  for (int j = 0; j < g.units; j += L) {
    const int units = g.units - j;
    Vec<T> gates[4] = {}, of_gates[4] = {}, of_state[3] = {}, w[3] = {}, of_cell = lstm ? load(dc + j) : Vec<T>{};
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load_some(p + k * g.units + j, units);
    load_peepholes<T, cell>(g, j, w, [&](const T* from) { return load_some(from, units); });
    const Vec<T> before = load(arrived + j), total = d ? before + load(d + j) : before;
    const Vec<T> past = recurrent_gates_delta<T, cell>(g, gates, lstm ? Vec<T>{} : load(h + j), load(c + j), load(s + j), total,
                                                       w, of_cell, of_gates, of_state);
    for (int k = 0; k < 3 && cell == Cell::peephole; k++) {
      T* const to = of_peepholes + k * g.state_row + j;
      store(to, load(to) + of_state[k]);
    }
    for (int k = 0; k < gates_of(cell); k++) store_some(dp + k * g.units + j, of_gates[k], units);
    for (int k = 0; k < 3 && gru; k++) store_some(dq + k * g.units + j, of_state[k], units);
    if (lstm) store(dc + j, of_cell);
    if (!projects) store(dh + j, past);
  }
}

// As recurrent_project_delta, of samples [b, b + count).
template <class T>
inline void recurrent_channels_project_delta(const RecurrentArgs<T>& g, int b, int count, int t) {
  const size_t size = sizeof(T) * size_t(g.size_row);
  for (int i = b; i < b + count; i++) {
    T *const dh = g.dh + (ptrdiff_t(i) * g.steps + t) * g.size_row, *const arrived = g.arrived + i * both_rows(g);
    if (!step_is_there(g, i, t)) {
      __builtin_memset(dh, 0, size);
      continue;
    }
    const T* const d = g.every ? g.z_delta.block(i) + t * g.size_row : nullptr;
    for (ptrdiff_t j = 0; j < g.size_row; j += lanes<T>) store(dh + j, d ? load(arrived + j) + load(d + j) : load(arrived + j));
    __builtin_memset(arrived, 0, size);
  }
  RowsTile<T> product{};
  product.x = g.dh + (ptrdiff_t(b) * g.steps + t) * g.size_row, product.x_row = g.steps * g.size_row;
  product.segments = product.taps = 1, product.length = g.size;
  product.w = g.turned_projection, product.w_panel = ptrdiff_t(g.size) * lanes<T>;
  product.z = g.d_out + b * g.state_row, product.z_row = g.state_row;
  product.floor = no_floor<T>;
  rows_product<T>(product, count, panels<T>(g.units));
}

// Unit: sample. U as panels of units, `turn_panels`.
template <class T>
static void recurrent_channels_backward(const RecurrentArgs<T>& g, int begin, int end) {
  const size_t size = sizeof(T) * size_t(g.size_row);
  const ptrdiff_t both = both_rows(g);
  for (int b = begin; b < end;) {
    const int count = rows_next(end - b);
    const size_t all = sizeof(T) * size_t(both * count);
    T* const arrived = g.arrived + b * both;
    __builtin_memset(arrived, 0, all);
    if (g.cell == Cell::peephole)
      __builtin_memset(g.d_peepholes + 3 * b * g.state_row, 0, sizeof(T) * size_t(3 * count * g.state_row));
    for (int i = 0; i < count && !g.every; i++) __builtin_memcpy(arrived + i * both, g.z_delta.block(b + i), size);
    for (int number = g.steps - 1; number >= 0; number--) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      if (g.projection) recurrent_channels_project_delta<T>(g, b, count, t);
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = 0; i < count; i++) recurrent_channels_delta<T, cell>(g, b + i, t);
      });
      if (number == 0) break;
      if (g.truncate && number % g.truncate == 0) {
        __builtin_memset(arrived, 0, all);
        continue;
      }
      RowsTile<T> product{};
      product.x = (g.cell == Cell::gru ? g.dq : g.dp) + (ptrdiff_t(b) * g.steps + t) * g.p_row;
      product.x_row = g.steps * g.p_row;
      product.segments = product.taps = 1, product.length = g.gates * g.units;
      product.w = g.turned, product.w_panel = ptrdiff_t(product.length) * lanes<T>;
      product.z = arrived, product.z_row = both;
      product.floor = no_floor<T>, product.add = true;
      rows_product<T>(product, count, panels<T>(g.size));
    }
    b += count;
  }
}
