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
  }
}

// What a cell makes of its sums p (and, of a GRU, q = U h + v): the gates, in p; of an LSTM c and tanh(c), of a GRU the reset's
// inner sum, in s; and the state behind it, where h and c are those before.
template <class T, Cell cell>
inline Vec<T> recurrent_gates(const RecurrentArgs<T>& g, Vec<T> (&p)[4], const Vec<T> (&q)[3], Vec<T> h, Vec<T>& c, Vec<T>& s) {
  if (cell == Cell::rnn) return p[0] = activate<T>(g.act, T(0), p[0]);
  if (cell == Cell::lstm) {
    p[0] = sigmoid<T>(p[0]), p[1] = sigmoid<T>(p[1]), p[2] = tanh<T>(p[2]), p[3] = sigmoid<T>(p[3]);
    c = p[1] * c + p[0] * p[2];
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
    Vec<T> gates[4] = {}, of_state[3] = {}, inner{}, kept{};
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load(p + k * u + j);
    if (is_gru(cell)) {
      for (int k = 0; k < 3; k++) of_state[k] = load(q + k * u + j);
      if (g.inner_bias) of_state[2] += broadcast<T>(g.inner_bias[j / L]);
    } else if (cell == Cell::lstm) {
      inner = load(c + j);
    }
    const Vec<T> before = inner, after = recurrent_gates<T, cell>(g, gates, of_state, load(h + j), inner, kept);
    for (int k = 0; k < gates_of(cell); k++) store(p + k * u + j, gates[k]);
    if (cell == Cell::lstm || cell == Cell::gru) store(s + j, kept);
    if (cell == Cell::lstm) store(c_after + j, there > zero ? inner : before);
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
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = 0; i < count; i++) recurrent_cell<T, cell>(g, b + i, t, number == g.steps - 1);
      });
    }
    for (int i = b; i < b + count; i++) {
      T *const end = g.last + 2 * i * u, *const z = g.z.block(i);
      if (!g.every) __builtin_memcpy(z, end, sizeof(T) * size_t(u));
      if (g.ends) __builtin_memcpy(z + ends_at(g), end, sizeof(T) * size_t(g.cell == Cell::lstm ? 2 * u : u));
    }
    b += count;
  }
}

// δ of a cell's sums, of p in dp and of a GRU's q in dq, from total = ∂J/∂h_t and of an LSTM dc = ∂J/∂c_t, then of the step
// before; what goes down to h past the product with U. Of a GRU that resets in front of U without r: recurrent_reset_delta.
template <class T, Cell cell>
inline Vec<T> recurrent_gates_delta(const RecurrentArgs<T>& g, const Vec<T> (&p)[4], Vec<T> h, Vec<T> c, Vec<T> s, Vec<T> total,
                                    Vec<T>& dc, Vec<T> (&dp)[4], Vec<T> (&dq)[3]) {
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
  T *dp = g.dp + place * g.gates * u, *dq = g.dq + place * g.gates * u;
  T *dh = g.arrived + 2 * b * u, *dc = dh + u;
  const T* d = g.every ? g.z_delta.block(b) + t * u : nullptr;
  const Vec<T> there = g.mask.data ? load(g.mask.block(b) + t * L) : broadcast<T>(T(1)), zero{};
  const auto put = [&](T* to, Vec<T> v) { store(to, there > zero ? v : zero); };
  const bool lstm = cell == Cell::lstm;
  for (ptrdiff_t j = 0; j < u; j += L) {
    const Vec<T> before = load(dh + j), total = d ? before + (there > zero ? load(d + j) : zero) : before;
    Vec<T> gates[4] = {}, of_gates[4] = {}, of_state[3] = {}, of_cell = lstm ? load(dc + j) : zero;
    const Vec<T> cell_before = of_cell;
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load(p + k * u + j);
    const Vec<T> past =
        recurrent_gates_delta<T, cell>(g, gates, load(h + j), load(c + j), load(s + j), total, of_cell, of_gates, of_state);
    for (int k = cell == Cell::gru_before ? 1 : 0; k < gates_of(cell); k++) put(dp + k * u + j, of_gates[k]);
    for (int k = 0; k < 3 && is_gru(cell); k++) put(dq + k * u + j, of_state[k]);
    if (lstm) store(dc + j, there > zero ? of_cell : cell_before);
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
        __builtin_memset(product.x_delta, 0, sizeof(T) * size_t(count * 2 * u));
        continue;
      }
      dense_backward<T>(product, 0, dense_backward_units<T>(product));
    }
    b += count;
  }
}

// -- where the lanes are units ------------------------------------------------------------------------------------------------

// Values are [sample][step][unit], units padded to whole vectors. p and dp are [sample][step][gates · units], p_row numbers
// from step to step; the state in front of step t of sample i lies at i · state_sample + t · state_step. In a prediction that
// is one place for all steps (state_step 0); in training states and gates are kept, and 0 in the lanes behind the last unit.

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

// Samples [b, b + count) go through all steps together. Unit: sample.
template <class T>
static void recurrent_channels(const RecurrentArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const bool gru = g.cell == Cell::gru, lstm = g.cell == Cell::lstm, keeps = g.state_step != 0;
  const size_t state = sizeof(T) * size_t(g.state_row);
  const int out = panels<T>(g.gates * g.units);
  for (int b = begin; b < end;) {
    const int count = rows_next(end - b);
    T* const q = g.q + b * g.p_row;
    const auto place = [&](int i, int t) { return (b + i) * g.state_sample + t * g.state_step; };
    for (int i = 0; i < count; i++) {
      const ptrdiff_t first = place(i, g.reverse ? g.steps - 1 : 0);
      __builtin_memset(g.h + first, 0, state);
      if (lstm) __builtin_memset(g.c + first, 0, state);
    }
    for (int number = 0; number < g.steps; number++) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      T* const p = g.p + (ptrdiff_t(b) * g.steps + t) * g.p_row;
      RowsTile<T> product{};
      product.x = g.h + place(0, t), product.x_row = g.state_sample;
      product.segments = product.taps = 1, product.length = g.units;
      product.w = g.weights, product.w_panel = ptrdiff_t(g.units) * L;
      product.z = gru ? q : p, product.z_row = gru ? g.p_row : g.steps * g.p_row;
      product.floor = no_floor<T>, product.add = !gru;
      rows_product<T>(product, count, out);
      for (int i = 0; i < count; i++) {
        T *const h = g.h + place(i, t), *const c = g.c + place(i, t), *const s = g.s + place(i, t);
        const ptrdiff_t next = g.reverse ? -g.state_step : g.state_step;
        T* const ending = keeps && number + 1 == g.steps ? g.last + 2 * (b + i) * g.state_row : nullptr;
        T *const h_after = ending ? ending : h + next, *const c_after = ending ? ending + g.state_row : c + next;
        T* const z = g.every ? g.z.block(b + i) + t * g.state_row : nullptr;
        if (!step_is_there(g, b + i, t)) {
          if (z) __builtin_memset(z, 0, state);
          if (keeps) __builtin_memcpy(h_after, h, state);
          if (keeps && lstm) __builtin_memcpy(c_after, c, state);
          continue;
        }
        T* const own = p + i * g.steps * g.p_row;
        const T* const own_q = q + i * g.p_row;
        for_cell(g.cell, [&]<Cell cell>() {
          for (int j = 0; j < g.units; j += L) {
            const int units = g.units - j;
            Vec<T> gates[4] = {}, of_state[3] = {}, inner{}, kept{};
            for (int k = 0; k < gates_of(cell); k++) gates[k] = load_some(own + k * g.units + j, units);
            if (cell == Cell::gru) {
              for (int k = 0; k < 3; k++) of_state[k] = load_some(own_q + k * g.units + j, units);
              if (g.inner_bias) of_state[2] += load(g.inner_bias + j);
            } else if (cell == Cell::lstm) {
              inner = load(c + j);
            }
            const Vec<T> after = recurrent_gates<T, cell>(g, gates, of_state, load(h + j), inner, kept);
            if (keeps) {
              for (int k = 0; k < gates_of(cell); k++) store_some(own + k * g.units + j, gates[k], units);
              if (cell != Cell::rnn) store(s + j, kept);
            }
            if (cell == Cell::lstm) store(c_after + j, inner);
            store(h_after + j, after);
            if (z) store(z + j, after);
          }
        });
      }
    }
    for (int i = 0; i < count && !g.every; i++)
      __builtin_memcpy(g.z.block(b + i), keeps ? g.last + 2 * (b + i) * g.state_row : g.h + place(i, 0), state);
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
  T *const dh = g.arrived + 2 * sample * g.state_row, *const dc = dh + g.state_row;
  const T* const d = g.every ? g.z_delta.block(sample) + t * g.state_row : nullptr;
  const bool gru = cell == Cell::gru, lstm = cell == Cell::lstm;
  if (!step_is_there(g, sample, t)) {
    __builtin_memset(dp, 0, sizeof(T) * size_t(g.p_row));
    if (gru) __builtin_memset(dq, 0, sizeof(T) * size_t(g.p_row));
    return;
  }
  for (int j = 0; j < g.units; j += L) {
    const int units = g.units - j;
    Vec<T> gates[4] = {}, of_gates[4] = {}, of_state[3] = {}, of_cell = lstm ? load(dc + j) : Vec<T>{};
    for (int k = 0; k < gates_of(cell); k++) gates[k] = load_some(p + k * g.units + j, units);
    const Vec<T> before = load(dh + j), total = d ? before + load(d + j) : before;
    const Vec<T> past =
        recurrent_gates_delta<T, cell>(g, gates, load(h + j), load(c + j), load(s + j), total, of_cell, of_gates, of_state);
    for (int k = 0; k < gates_of(cell); k++) store_some(dp + k * g.units + j, of_gates[k], units);
    for (int k = 0; k < 3 && gru; k++) store_some(dq + k * g.units + j, of_state[k], units);
    if (lstm) store(dc + j, of_cell);
    store(dh + j, past);
  }
}

// Unit: sample. U as panels of units, `turn_panels`.
template <class T>
static void recurrent_channels_backward(const RecurrentArgs<T>& g, int begin, int end) {
  const size_t state = sizeof(T) * size_t(g.state_row);
  for (int b = begin; b < end;) {
    const int count = rows_next(end - b);
    T* const arrived = g.arrived + 2 * b * g.state_row;
    __builtin_memset(arrived, 0, 2 * state * size_t(count));
    for (int i = 0; i < count && !g.every; i++) __builtin_memcpy(arrived + 2 * i * g.state_row, g.z_delta.block(b + i), state);
    for (int number = g.steps - 1; number >= 0; number--) {
      const int t = g.reverse ? g.steps - 1 - number : number;
      for_cell(g.cell, [&]<Cell cell>() {
        for (int i = 0; i < count; i++) recurrent_channels_delta<T, cell>(g, b + i, t);
      });
      if (number == 0) break;
      if (g.truncate && number % g.truncate == 0) {
        __builtin_memset(arrived, 0, 2 * state * size_t(count));
        continue;
      }
      RowsTile<T> product{};
      product.x = (g.cell == Cell::gru ? g.dq : g.dp) + (ptrdiff_t(b) * g.steps + t) * g.p_row;
      product.x_row = g.steps * g.p_row;
      product.segments = product.taps = 1, product.length = g.gates * g.units;
      product.w = g.turned, product.w_panel = ptrdiff_t(product.length) * lanes<T>;
      product.z = arrived, product.z_row = 2 * g.state_row;
      product.floor = no_floor<T>, product.add = true;
      rows_product<T>(product, count, panels<T>(g.units));
    }
    b += count;
  }
}
