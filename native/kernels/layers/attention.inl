// Attention within every sample: a lane is a sample, so a product of steps with steps is a product of vectors, entry by entry.
// Per block and head, n features, queries i and keys j:
//     A[i][j] = softmax_j(Q[i]·K[j] / √n)      O[i] = Σ_j A[i][j] V[j]
// Queries are taken in runs, so that a run of A, and in the backward pass of G, stays in the cache.
//
// Read `Products` and its tile, which is every product here; `Head`, where its operands lie; then forward and backward.
// Shapes: Q, O and K, V and their δ [block][step][features][lane], a head being neighbouring features; A
// [block][head][i][j][lane]. Queries are as many as keys, or another number, but where the lanes are not samples. Keys that are
// not of the sequence stand in front of it, and so do their columns of A; only where samples are in the lanes are there any.

constexpr int attention_run = 16;   // queries

// Accumulators of a tile; every one is a product of two loaded vectors.
#if CHAINRULE_BYTES == 64 || defined(__aarch64__)
constexpr int attention_rows = 4, attention_columns = 6;
#elif CHAINRULE_BYTES == 32
constexpr int attention_rows = 3, attention_columns = 3;
#else
constexpr int attention_rows = 2, attention_columns = 3;
#endif

// c[i][j] = factor · Σ_k a[i][k] b[j][k], all of them vectors; `add`: added to what is there. Strides in scalars.
template <class T>
struct Products {
  const T *a, *b;
  T* c;
  ptrdiff_t a_row, a_step, b_row, b_step, c_row, c_column;
  int rows, columns, terms;
  T factor = 1;
  bool add = false;
};

template <class T, int R, int C, bool folds>
inline void products_tile(const Products<T>& g, int i, int j) {
  Vec<T> acc[R][C] = {};
  Wide<T> total[R][C];
  if (folds)
#pragma GCC unroll 8
    for (int p = 0; p < R; p++)
#pragma GCC unroll 8
      for (int q = 0; q < C; q++) total[p][q] = Wide<T>{};
  const T *a = g.a + i * g.a_row, *b = g.b + j * g.b_row;
  for (int k = 0; k < g.terms; k++, a += g.a_step, b += g.b_step) {
    Vec<T> bv[C];
#pragma GCC unroll 8
    for (int q = 0; q < C; q++) bv[q] = load(b + q * g.b_row);
#pragma GCC unroll 8
    for (int p = 0; p < R; p++) {
      const Vec<T> av = load(a + p * g.a_row);
#pragma GCC unroll 8
      for (int q = 0; q < C; q++) acc[p][q] += av * bv[q];
    }
    if (folds && (k + 1) % fold_terms == 0) fold_into<T, R, C>(acc, total);
  }
  if (folds)
#pragma GCC unroll 8
    for (int p = 0; p < R; p++)
#pragma GCC unroll 8
      for (int q = 0; q < C; q++) acc[p][q] = narrow<T>(total[p][q] + widen<T>(acc[p][q]));
#pragma GCC unroll 8
  for (int p = 0; p < R; p++)
#pragma GCC unroll 8
    for (int q = 0; q < C; q++) {
      T* c = g.c + (i + p) * g.c_row + (j + q) * g.c_column;
      store(c, g.add ? load(c) + g.factor * acc[p][q] : g.factor * acc[p][q]);
    }
}

template <class T, int R, int C>
inline void products_rows(const Products<T>& g, int i, int j, int rows) {
  if (rows == R) return is_long<T>(g.terms) ? products_tile<T, R, C, true>(g, i, j) : products_tile<T, R, C, false>(g, i, j);
  if constexpr (R > 1) products_rows<T, R - 1, C>(g, i, j, rows);
}
template <class T, int C>
inline void products_columns(const Products<T>& g, int j, int columns) {
  if (columns == C) {
    Cut cut{g.rows, attention_rows};
    for (int i = 0, size; (size = cut.next()) > 0; i += size) products_rows<T, attention_rows, C>(g, i, j, size);
    return;
  }
  if constexpr (C > 1) products_columns<T, C - 1>(g, j, columns);
}
template <class T>
static void products(const Products<T>& g) {
  Cut cut{g.columns, attention_columns};
  for (int j = 0, size; (size = cut.next()) > 0; j += size) products_columns<T, attention_columns>(g, j, size);
}

// One head of a block: where its first feature of step 0 lies, and what the loops need to know. There may be fewer heads of
// keys and values, each read by as many neighbours of queries.
template <class T>
struct Head {
  const AttentionArgs<T>& g;
  int block, head, shared, queries, own, keys, features;   // own: keys of the sequence
  ptrdiff_t step, key_step;                                // from one step to the next
  Head(const AttentionArgs<T>& g, int block, int head)
      : g(g),
        block(block),
        head(head),
        shared(head / (g.heads / g.key_heads)),
        queries(g.q.width),
        own(g.k.width),
        keys(g.extra + g.k.width),
        features(g.q.channels / g.heads),
        step(ptrdiff_t(g.q.channels) * lanes<T>),
        key_step(ptrdiff_t(g.k.channels) * lanes<T>) {}
  T* at(const Map<T>& m) const { return m.block(block) + ptrdiff_t(head) * features * lanes<T>; }
  T* at_keys(const Map<T>& m) const { return m.block(block) + ptrdiff_t(shared) * features * lanes<T>; }
  // Steps side by side: the distance between them is often a power of two, for which a cache has few places.
  T* pack(const T* from, ptrdiff_t step, int count, T* to) const {
    const ptrdiff_t size = ptrdiff_t(features) * lanes<T>;
    for (int t = 0; t < count; t++) __builtin_memcpy(to + t * size, from + t * step, sizeof(T) * size_t(size));
    return to;
  }
  // The same of keys or values, behind what stands in front of them: the row of this head, and zeros.
  void pack_keys(const Map<T>& m, const T* row, T* to) const {
    constexpr int L = lanes<T>;
    const ptrdiff_t size = ptrdiff_t(features) * L;
    for (int n = 0; n < g.extra; n++)
      for (int f = 0; f < features; f++)
        store(to + n * size + f * L, broadcast<T>(n == 0 && row ? row[ptrdiff_t(shared) * features + f] : T(0)));
    pack(at_keys(m), key_step, own, to + g.extra * size);
  }
  // a, the scores of query i and the first `count` keys, with what the table adds to those of the sequence.
  void add_table(T* a, int i, int count) const {
    constexpr int L = lanes<T>;
    const T* const of_head = g.table + ptrdiff_t(head) * g.numbers;
    const int32_t* const places = g.places + ptrdiff_t(i) * own;
    a += g.extra * L;
    for (int j = 0; j < count - g.extra; j++) store(a + j * L, load(a + j * L) + broadcast<T>(of_head[places[j]]));
  }
  T* weights(int i) const { return g.weights + ((ptrdiff_t(block) * g.heads + head) * queries + i) * keys * lanes<T>; }
  // How many keys queries before `end` see.
  int seen_before(int end) const { return g.causal && end < own ? g.extra + end : keys; }
  // Of the first `count` keys 0 where query i does not see them, for all that masks say; null where there is none.
  const T* seen(int i, int count, T* room) const {
    constexpr int L = lanes<T>;
    const T* const there = g.mask.data ? g.mask.block(block) : nullptr;
    if (!g.seen.data && !g.fixed && (!there || !g.extra)) return there;
    const T* const given = g.seen.data ? g.seen.block(block) + ptrdiff_t(i) * own * L : nullptr;
    T* const to = room + g.extra * L;
    for (int j = 0; j < g.extra; j++) store(room + j * L, broadcast<T>(T(1)));
    for (int j = 0; j < count - g.extra; j++) {
      Vec<T> v = broadcast<T>(g.fixed ? g.fixed[ptrdiff_t(i) * own + j] : T(1));
      if (given) v = load(given + j * L) != T(0) ? v : Vec<T>{};
      if (there) v = load(there + j * L) != T(0) ? v : Vec<T>{};
      store(to + j * L, v);
    }
    return room;
  }
};

// Scores, times `scale`, to weights, in place, of a query that sees `count` keys; 0 for the rest, up to `keys`.
template <class T>
inline void attention_softmax(T* row, const T* mask, int count, int keys, T scale = T(1)) {
  constexpr int L = lanes<T>;
  const Vec<T> none = broadcast<T>(T(-__builtin_inf()));
  Vec<T> most = broadcast<T>(is_float<T> ? T(-__FLT_MAX__) : T(-__DBL_MAX__));
  LongSum<T> seen;
  for (int j = 0; j < count; j++) {
    Vec<T> score = scale * load(row + j * L);
    if (mask) score = load(mask + j * L) != T(0) ? score : none;
    store(row + j * L, score);
    most = at_least<T>(score, most);
  }
  for (int j = 0; j < count; j++) {
    const Vec<T> e = exp_below<T>(load(row + j * L) - most);
    store(row + j * L, e);
    seen.add(e);
  }
  const Vec<T> sum = seen.value(), none_seen = sum == T(0) ? broadcast<T>(T(1)) : Vec<T>{};
  const Vec<T> share = (T(1) - none_seen) / (sum + none_seen);   // 0 where no key is seen, without a division by 0
  for (int j = 0; j < count; j++) store(row + j * L, load(row + j * L) * share);
  for (int j = count; j < keys; j++) store(row + j * L, Vec<T>{});
}

// In scratch: K and V of a head, a run of Q and of δ, a run of weights or of G, and which keys a query sees, or the gradients
// of the rows.
template <class T>
static size_t attention_scratch(const AttentionArgs<T>& g) {
  const size_t keys = size_t(g.extra + g.k.width), features = size_t(g.q.channels / g.heads);
  return size_t(lanes<T>) * ((2 * keys + 2 * attention_run + 2) * features + (attention_run + 1) * keys);
}

// Unit: head of keys of a block, and the heads of queries that read it.
template <class T>
static void attention_forward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  const int group = g.heads / g.key_heads;
  for (int unit = begin; unit < end; unit++)
    for (int member = 0; member < group; member++) {
      const Head<T> h(g, unit / g.key_heads, unit % g.key_heads * group + member);
      const ptrdiff_t row = ptrdiff_t(h.keys) * L, packed = ptrdiff_t(h.features) * L;
      T *const k = scratch, *const v = k + h.keys * packed, *const q_run = v + h.keys * packed;
      T *const run = q_run + 2 * attention_run * packed, *const room = run + attention_run * row;
      if (member == 0) h.pack_keys(g.k, g.row_key, k), h.pack_keys(g.v, g.row_value, v);
      for (int i = 0; i < h.queries; i += attention_run) {
        const int count = h.queries - i < attention_run ? h.queries - i : attention_run, keys = h.seen_before(i + count);
        const T* q = h.pack(h.at(g.q) + i * h.step, h.step, count, q_run);
        T* a = g.weights ? h.weights(i) : run;
        products<T>({q, k, a, packed, L, packed, L, row, L, count, keys, h.features, g.scale});
        for (int n = 0; n < count; n++) {
          if (g.table) h.add_table(a + n * row, i + n, keys);
          attention_softmax<T>(a + n * row, h.seen(i + n, keys, room), h.seen_before(i + n + 1), keys);
        }
        products<T>({a, v, h.at(g.o) + i * h.step, row, L, L, packed, h.step, L, count, h.features, keys});
      }
    }
}

// The same for values [sample][step][feature], where the lanes are queries: K and V are read number by number. Every sum is
// taken as above, with keys that a query does not see as terms of 0. In scratch: K in runs of features, [run][step][lane]; of a
// few strips of queries Q, A, O transposed, and which keys they see.
template <class T>
static size_t attention_channels_scratch(const AttentionArgs<T>& g) {
  const size_t L = lanes<T>, steps = size_t(g.q.width), features = size_t(panels<T>(g.features)) * L;
  return steps * features + wide_pixels * L * (2 * features + 2 * steps);
}

// Of `count` rows `step` apart the first `features` numbers, as vectors; where there are fewer rows the last one again.
template <class T>
inline void turn_in(const T* from, ptrdiff_t step, int count, int features, T* to) {
  const T* rows[lanes<T>];
  for (int l = 0; l < lanes<T>; l++) rows[l] = from + (l < count ? l : count - 1) * step;
  rows_to_lanes<T, T>(rows, to, features, T(1));
}
template <class T>
inline void turn_out(const T* from, int count, int features, T* to, ptrdiff_t step) {
  constexpr int L = lanes<T>;
  int f = 0;
  if (count == L)
    for (; f + L <= features; f += L) transpose<T>(from + f * L, L, to + f, step);
  for (; f < features; f++)
    for (int l = 0; l < count; l++) to[l * step + f] = from[f * L + l];
}

// Unit: head of a sample.
template <class T>
static void attention_channels(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>, C = wide_channels;
  const int steps = g.q.width, n = g.features, runs = panels<T>(n);
  const ptrdiff_t step = ptrdiff_t(g.q.channels) * L, strip = ptrdiff_t(steps) * L, turned = ptrdiff_t(runs) * L * L;
  T *const keys = scratch, *const q = keys + runs * strip, *const o = q + wide_pixels * turned,
           *const a = o + wide_pixels * turned, *const seen = a + wide_pixels * strip;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.heads, first = unit % g.heads * n;
    const T *const k = g.k.block(b) + first, *const v = g.v.block(b) + first;
    const T* const mask = g.mask.data ? g.mask.block(b / L) + b % L : nullptr;   // one lane of it
    for (int c = 0; c < n; c += L)
      for (int t = 0; t < steps; t++)
        __builtin_memcpy(keys + c * steps + t * L, k + t * step + c, sizeof(T) * size_t(n - c < L ? n - c : L));
    for (int i = 0; i < steps; i += wide_pixels * L) {
      const int strips = steps - i < wide_pixels * L ? groups(steps - i, L) : wide_pixels;
      const int count = g.causal && i + strips * L < steps ? i + strips * L : steps;   // of keys
      const auto queries = [&](int s) { return steps - i - s * L < L ? steps - i - s * L : L; };
      for (int s = 0; s < strips; s++)
        turn_in<T>(g.q.block(b) + first + (i + s * L) * step, step, queries(s), n, q + s * turned);
      Tile<T> t{};
      t.x_pixel = turned, t.x_segment = L * L, t.w_segment = strip;
      t.z_pixel = strip, t.floor = no_floor<T>;
      const auto scores = [&]<int size>(int j) {   // of `size` keys from j on: whole runs of features, then the rest
        t.x = q, t.w = keys + j * L, t.z = a + j * L, t.channels = size;
        t.segments = n / L, t.length = L, t.add = false;
        tile_up_to<T, size, wide_pixels, true>(strips, t);
        if (n % L == 0) return;
        t.x += n / L * t.x_segment, t.w += n / L * strip, t.segments = 1, t.length = n % L, t.add = true;
        tile_up_to<T, size, wide_pixels, true>(strips, t);
      };
      in_runs_of<C>(0, count, scores);
      for (int s = 0; s < strips; s++) {
        T* const row = a + s * strip;
        if (mask || g.causal)
          for (int key = 0; key < count; key++)
            for (int l = 0; l < L; l++)
              seen[key * L + l] = (!mask || mask[key * L] != T(0)) && !(g.causal && key > i + s * L + l) ? T(1) : T(0);
        attention_softmax<T>(row, mask || g.causal ? seen : nullptr, count, count, g.scale);
      }
      t = {};
      t.x = a, t.x_pixel = strip, t.segments = 1, t.length = count;
      t.w_k = step, t.z_pixel = turned, t.floor = no_floor<T>;
      for (int c = 0; c < n; c += C) {
        t.w = v + c, t.z = o + c * L, t.channels = n - c < C ? n - c : C;
        tile_up_to<T, C, wide_pixels, false>(strips, t);
      }
      for (int s = 0; s < strips; s++)
        turn_out<T>(o + s * turned, queries(s), n, g.o.block(b) + first + (i + s * L) * step, step);
    }
  }
}

// Unit: as forward. With D = δ of O, B = D Vᵀ and G = A ⊙ (B − Σ A B) / √n: δ of Q is G K, of K Gᵀ Q, of V Aᵀ D, the last two
// summed over the heads that read K and V; so are those of the rows, and of the table the sums of √n G.
template <class T>
static void attention_backward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  const int group = g.heads / g.key_heads;
  for (int unit = begin; unit < end; unit++)
    for (int member = 0; member < group; member++) {
      const Head<T> h(g, unit / g.key_heads, unit % g.key_heads * group + member);
      const ptrdiff_t row = ptrdiff_t(h.keys) * L, packed = ptrdiff_t(h.features) * L;
      T *const k = scratch, *const v = k + h.keys * packed, *const q_run = v + h.keys * packed;
      T *const d_run = q_run + attention_run * packed, *const b = d_run + attention_run * packed;
      T *const row_key = b + attention_run * row, *const row_value = row_key + packed;   // their δ
      double* const of_numbers = g.table_sums ? g.table_sums + (ptrdiff_t(h.block) * g.heads + h.head) * g.numbers : nullptr;
      if (of_numbers) __builtin_memset(of_numbers, 0, sizeof(double) * size_t(g.numbers));
      if (member == 0) {
        if (g.row_key) __builtin_memset(row_key, 0, sizeof(T) * size_t(2 * packed));
        for (int t = 0; t < h.own; t++) {
          __builtin_memset(h.at_keys(g.k_delta) + t * h.key_step, 0, sizeof(T) * size_t(packed));
          __builtin_memset(h.at_keys(g.v_delta) + t * h.key_step, 0, sizeof(T) * size_t(packed));
        }
        h.pack_keys(g.k, g.row_key, k), h.pack_keys(g.v, g.row_value, v);
      }
      for (int i = 0; i < h.queries; i += attention_run) {
        const int count = h.queries - i < attention_run ? h.queries - i : attention_run, keys = h.seen_before(i + count);
        const T *a = h.weights(i), *q = h.pack(h.at(g.q) + i * h.step, h.step, count, q_run),
                *d = h.pack(h.at(g.o_delta) + i * h.step, h.step, count, d_run);
        products<T>({d, v, b, packed, L, packed, L, row, L, count, keys, h.features});
        for (int n = 0; n < count; n++) {
          const T* an = a + n * row;
          T* bn = b + n * row;
          LongSum<T> dot;
          for (int j = 0; j < keys; j++) dot.add(load(an + j * L) * load(bn + j * L));
          const Vec<T> sum = dot.value();
          for (int j = 0; j < keys && of_numbers; j++)
            if (j >= g.extra)
              of_numbers[g.places[ptrdiff_t(i + n) * h.own + j - g.extra]] +=
                  double(sum_lanes<T>(load(an + j * L) * (load(bn + j * L) - sum)));
          for (int j = 0; j < keys; j++) store(bn + j * L, load(an + j * L) * (load(bn + j * L) - sum) * g.scale);
        }
        products<T>({b, k, h.at(g.q_delta) + i * h.step, row, L, L, packed, h.step, L, count, h.features, keys});
        // Over the queries, of one or many keys.
        const auto gather = [&](const T* from, const T* x, T* to, ptrdiff_t step, int count_keys) {
          products<T>({from, x, to, L, row, L, packed, step, L, count_keys, h.features, count, T(1), true});
        };
        const ptrdiff_t first = ptrdiff_t(g.extra) * L;
        gather(b + first, q, h.at_keys(g.k_delta), h.key_step, keys - g.extra);
        gather(a + first, d, h.at_keys(g.v_delta), h.key_step, keys - g.extra);
        if (g.row_key) gather(b, q, row_key, packed, 1), gather(a, d, row_value, packed, 1);
      }
      if (g.row_sums && member == group - 1)
        for (int f = 0; f < 2 * h.features; f++) {
          double sum = 0;
          for (int l = 0; l < L; l++) sum += double(row_key[f * L + l]);
          g.row_sums[ptrdiff_t(unit) * 2 * h.features + f] = sum;
        }
    }
}

// -- positions in the lanes ---------------------------------------------------------------------------------------------------

// For values [sample][steps / lanes][feature][lane] a vector is a query, and a vector of keys is a panel of W of a dense layer
// whose samples are the queries: scores are its forward pass, Σ_j A_ij V_j and δ of Q its δ, δ of K and V its gradients. A and
// G are [vector of queries][key][lane], with keys up to whole vectors, which are 0 behind the last one.
// Of queries, whose A and G share the cache; where queries see no later key as few as a tile takes, so that fewer scores are
// computed and thrown away.
constexpr int attention_vectors = 8;
template <class T>
inline int attention_next(const AttentionArgs<T>& g, int left) {
  const int most = g.causal ? wide_pixels : attention_vectors;
  return left < most ? left : most;
}

template <class T>
struct PositionsHead {
  static constexpr int L = lanes<T>;
  const AttentionArgs<T>& g;
  int sample, head, key_steps, vectors, key_vectors, features;
  ptrdiff_t step, row;   // from one vector of a value to the next, and of A
  PositionsHead(const AttentionArgs<T>& g, int unit)
      : g(g),
        sample(unit / g.heads),
        head(unit % g.heads),
        key_steps(g.key_steps),
        vectors(g.q.width),
        key_vectors(g.k.width),
        features(g.features),
        step(ptrdiff_t(g.q.channels) * L),
        row(ptrdiff_t(key_vectors) * L * L) {}
  T* at(const Map<T>& m, int vector = 0) const { return m.block(sample) + ptrdiff_t(head) * features * L + vector * step; }
  T* weights(int vector) const { return g.weights + (ptrdiff_t(sample) * g.heads + head) * vectors * row + vector * row; }
  // Keys that the queries of vectors before `end` see.
  int keys(int end) const { return g.causal && end * L < key_steps ? end * L : key_steps; }

  // to[query][key] = Σ_f q[f] k[f] for `count` vectors of queries from `first`, and 0 behind the keys.
  void scores(const Map<T>& q, const Map<T>& k, int first, int count, int keys, T* to) const {
    constexpr int C = panel_channels<T, wide_channels>;
    Tile<T> t{};
    t.x_pixel = step, t.segments = 1, t.length = features, t.w_k = L, t.z_pixel = row, t.floor = no_floor<T>;
    for (int i = 0; i < count; i += wide_pixels) {
      const int pixels = count - i < wide_pixels ? count - i : wide_pixels;
      t.x = at(q, first + i);
      for (int j = 0; j < keys; j += C) {
        t.w = at(k, j / L) + j % L, t.z = to + i * row + j * L, t.channels = keys - j < C ? keys - j : C;
        tile_up_to<T, C, wide_pixels, false>(pixels, t);
      }
    }
    for (int i = 0; i < count; i++) __builtin_memset(to + i * row + keys * L, 0, sizeof(T) * size_t(row - keys * L));
  }
  // to[query][f] = Σ_j a[query][j] v[j][f]
  void mix(const T* a, const Map<T>& v, const Map<T>& to, int first, int count, int keys) const {
    const auto of_features = [&]<int C>(int f) {
      Tile<T> t{};
      t.x_pixel = row, t.x_segment = L * L, t.w_segment = step, t.z_pixel = step, t.floor = no_floor<T>, t.channels = C;
      for (int i = 0; i < count; i += wide_pixels) {
        const int pixels = count - i < wide_pixels ? count - i : wide_pixels, whole = keys / L;
        t.x = a + i * row, t.w = at(v) + f * L, t.z = at(to, first + i) + f * L;
        t.segments = whole, t.length = L, t.add = false;
        tile_up_to<T, C, wide_pixels, true>(pixels, t);
        if (keys % L == 0) continue;
        t.x += whole * L * L, t.w += whole * step, t.segments = 1, t.length = keys % L, t.add = true;
        tile_up_to<T, C, wide_pixels, true>(pixels, t);
      }
    };
    in_runs_of<wide_channels>(0, features, of_features);
  }
  // to[key][f] += Σ_i a[i][key] q[i][f] over `count` vectors of queries from `first`, which are the first that are taken if so
  // asked. turned: room for as much as a.
  void gather_keys(const T* a, const Map<T>& q, const Map<T>& to, int first, int count, bool fresh, T* turned) const {
    constexpr int O = gradient_columns;
    const ptrdiff_t panel = ptrdiff_t(count) * L * L;
    const int seen = g.causal && !fresh ? groups(keys(first + count), L) : key_vectors;
    for (int k = 0; k < seen; k++)
      for (int i = 0; i < count; i++) transpose<T>(a + i * row + k * L * L, L, turned + k * panel + i * L * L, L);
    for (int k = 0; k < seen; k += O) {
      // Queries in front of a key do not see it.
      const int skipped = !g.causal || k <= first ? 0 : k - first < count ? k - first : count - 1;
      const T *x = at(q, first + skipped), *d = turned + k * panel + ptrdiff_t(skipped) * L * L;
      const Runs runs{count - skipped, L, L};
      const Onto onto = fresh ? Onto::fresh : Onto::added;
      if (seen - k >= O) outer_rows<T, O>(x, step, d, panel, at(to, k), step, features, runs, onto);
      else outer_rows<T, 1>(x, step, d, panel, at(to, k), step, features, runs, onto);
    }
  }
};

template <class T>
static size_t attention_positions_scratch(const AttentionArgs<T>& g) {
  const size_t run = size_t(g.q.width < attention_vectors ? g.q.width : attention_vectors);
  return (2 * run + 1) * size_t(g.k.width) * lanes<T> * lanes<T>;
}

// Unit: head of a sample.
template <class T>
static void attention_positions_forward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  for (int unit = begin; unit < end; unit++) {
    const PositionsHead<T> h(g, unit);
    const T* const mask = g.mask.data ? g.mask.block(h.sample / L) + h.sample % L : nullptr;   // one lane of it
    T* const seen = scratch;
    for (int i = 0, count; i < h.vectors; i += count) {
      count = attention_next<T>(g, h.vectors - i);
      const int keys = h.keys(i + count);
      T* const a = h.weights(i);
      h.scores(g.q, g.k, i, count, keys, a);
      for (int n = 0; n < count; n++) {
        T* const row = a + n * h.row;
        const int first = (i + n) * L, count_seen = g.causal && first + L < keys ? first + L : keys;
        const auto visible = [&](int key, int l) { return !(g.causal && key > first + l); };
        for (int key = 0; mask && key < count_seen; key++)
          for (int l = 0; l < L; l++) seen[key * L + l] = mask[key * L] != T(0) && visible(key, l) ? T(1) : T(0);
        for (int key = first; !mask && g.causal && key < count_seen; key++)   // all others are seen by all of the vector
          for (int l = 0; l < L; l++)
            if (!visible(key, l)) row[key * L + l] = T(-__builtin_inf());
        attention_softmax<T>(row, mask ? seen : nullptr, count_seen, keys, g.scale);
      }
      h.mix(a, g.v, g.o, i, count, keys);
    }
  }
}

// Unit: head of a sample; as `attention_backward`.
template <class T>
static void attention_positions_backward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  for (int unit = begin; unit < end; unit++) {
    const PositionsHead<T> h(g, unit);
    for (int i = 0, count; i < h.vectors; i += count) {
      count = attention_next<T>(g, h.vectors - i);
      const int keys = h.keys(i + count);
      const T* const a = h.weights(i);
      T *const b = scratch, *const turned = scratch + count * h.row;
      h.gather_keys(a, g.o_delta, g.v_delta, i, count, i == 0, turned);
      h.scores(g.o_delta, g.v, i, count, keys, b);
      for (int n = 0; n < count; n++) {
        const T* an = a + n * h.row;
        T* bn = b + n * h.row;
        LongSum<T> dot;
        for (int j = 0; j < keys; j++) dot.add(load(an + j * L) * load(bn + j * L));
        const Vec<T> sum = dot.value();
        for (int j = 0; j < keys; j++) store(bn + j * L, load(an + j * L) * (load(bn + j * L) - sum) * g.scale);
      }
      h.mix(b, g.k, g.q_delta, i, count, keys);
      h.gather_keys(b, g.q, g.k_delta, i, count, i == 0, turned);
    }
  }
}
