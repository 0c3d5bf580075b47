// Attention within every sample: a lane is a sample, so a product of steps with steps is a product of vectors, entry by entry.
// Per block and head, n features, queries i and keys j:
//     A[i][j] = softmax_j(Q[i]·K[j] / √n)      O[i] = Σ_j A[i][j] V[j]
// Queries are taken in runs, so that a run of A, and in the backward pass of G, stays in the cache.
//
// Read `Products` and its tile, which is every product here; `Head`, where its operands lie; then forward and backward.
// Shapes: Q, O and K, V and their δ [block][step][features][lane], a head being neighbouring features; A
// [block][head][i][j][lane]. Queries are as many as keys, or another number. Keys that are not of the sequence stand in front
// of it, and so do their columns of A.

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

// What hides keys from a vector of queries, or adds to their scores, where the lanes are queries.
template <class T>
struct OfQueries {
  const T* added;   // key j: added + j * added_key, a vector that lies anywhere; or null
  ptrdiff_t added_key;
  const T* mask;   // key j: mask[j * lanes], 0 where it is padding; or null
  const T* seen;   // lane l, key j: seen[l * seen_lane + j * seen_key], 0 where it is not seen; or null
  ptrdiff_t seen_lane, seen_key;
  int first, queries;   // of the steps; how many lanes hold one
  bool causal;
};
template <class T>
inline const T* added_to(const AttentionArgs<T>& g, int head, int vector) {
  return g.added ? g.added + head * g.added_head + vector * g.added_vector : nullptr;
}

// Scores of `extra` and then `count` keys of the sequence to weights, in place; 0 for the rest, up to `keys` of the sequence.
template <class T>
inline void attention_weights(T* row, const OfQueries<T>& of, int extra, int count, int keys, T scale) {
  constexpr int L = lanes<T>;
  T* const own = row + extra * L;
  if (of.added) {   // to what is scaled, in the order and the roundings of samples in the lanes
    for (int j = 0; j < extra + count; j++) store(row + j * L, load(row + j * L) * scale);
    for (int j = 0; j < count; j++) store(own + j * L, load(own + j * L) + load_unaligned<T>(of.added + j * of.added_key));
    scale = T(1);
  }
  const Vec<T> none = broadcast<T>(T(-__builtin_inf()));
  for (int j = 0; of.mask && j < count; j++)
    if (of.mask[j * L] == T(0)) store(own + j * L, none);
  for (int j = 0; of.seen && j < count; j++)
    for (int l = 0; l < of.queries; l++)
      if (of.seen[l * of.seen_lane + j * of.seen_key] == T(0)) own[j * L + l] = none[0];
  for (int j = of.first; of.causal && j < count; j++)   // all others are seen by all of the vector
    for (int l = 0; l < L && l < j - of.first; l++) own[j * L + l] = none[0];
  attention_softmax<T>(row, nullptr, extra + count, extra + keys, scale);
}

// The same for values [sample][step][feature], where the lanes are queries: K and V are read number by number. Every sum is
// taken as above, with keys that a query does not see as terms of 0. In scratch: K in runs of features, [run][step][lane], and
// V where there are keys in front of it; of a few strips of queries Q, A, O transposed.
template <class T>
static size_t attention_channels_scratch(const AttentionArgs<T>& g) {
  const size_t L = lanes<T>, keys = size_t(g.extra + g.k.width), features = size_t(panels<T>(g.features)) * L;
  return keys * features * (g.extra ? 2 : 1) + wide_pixels * L * (2 * features + keys);
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
  const int steps = g.q.width, own = g.k.width, keys = g.extra + own, n = g.features, runs = panels<T>(n);
  const ptrdiff_t step = ptrdiff_t(g.q.channels) * L, key_step = ptrdiff_t(g.k.channels) * L, strip = ptrdiff_t(keys) * L,
                  turned = ptrdiff_t(runs) * L * L;
  T *const packed = scratch, *const values = packed + runs * strip, *const q = values + (g.extra ? runs * strip : 0),
           *const o = q + wide_pixels * turned, *const a = o + wide_pixels * turned;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.heads, head = unit % g.heads, first = head * n, shared = head / (g.heads / g.key_heads) * n;
    const T *const k = g.k.block(b) + shared, *const v = g.v.block(b) + shared;
    OfQueries<T> of{};
    of.mask = g.mask.data ? g.mask.block(b / L) + b % L : nullptr, of.causal = g.causal;     // one lane of it
    const auto front = [&](T* to, ptrdiff_t next, int e, const T* row, int c, int count) {   // what stands in front of the keys
      for (int f = 0; f < count; f++) to[e * next + f] = e == 0 && row ? row[shared + c + f] : T(0);
    };
    for (int c = 0; c < n; c += L) {
      const int count = n - c < L ? n - c : L;
      T* const to = packed + c * keys;
      for (int e = 0; e < g.extra; e++) front(to, L, e, g.row_key, c, count);
      for (int t = 0; t < own; t++) __builtin_memcpy(to + (g.extra + t) * L, k + t * key_step + c, sizeof(T) * size_t(count));
    }
    for (int e = 0; e < g.extra; e++) front(values, runs * L, e, g.row_value, 0, n);
    for (int t = 0; g.extra && t < own; t++)
      __builtin_memcpy(values + (g.extra + t) * runs * L, v + t * key_step, sizeof(T) * size_t(n));
    for (int i = 0; i < steps; i += wide_pixels * L) {
      const int strips = steps - i < wide_pixels * L ? groups(steps - i, L) : wide_pixels;
      const int seen = g.causal && i + strips * L < own ? i + strips * L : own, count = g.extra + seen;
      const auto queries = [&](int s) { return steps - i - s * L < L ? steps - i - s * L : L; };
      for (int s = 0; s < strips; s++)
        turn_in<T>(g.q.block(b) + first + (i + s * L) * step, step, queries(s), n, q + s * turned);
      Tile<T> t{};
      t.x_pixel = turned, t.x_segment = L * L, t.w_segment = strip;
      t.z_pixel = strip, t.floor = no_floor<T>;
      const auto scores = [&]<int size>(int j) {   // of `size` keys from j on: whole runs of features, then the rest
        t.x = q, t.w = packed + j * L, t.z = a + j * L, t.channels = size;
        t.segments = n / L, t.length = L, t.add = false;
        tile_up_to<T, size, wide_pixels, true>(strips, t);
        if (n % L == 0) return;
        t.x += n / L * t.x_segment, t.w += n / L * strip, t.segments = 1, t.length = n % L, t.add = true;
        tile_up_to<T, size, wide_pixels, true>(strips, t);
      };
      in_runs_of<C>(0, count, scores);
      for (int s = 0; s < strips; s++) {
        of.first = i + s * L, of.queries = queries(s);
        of.added = added_to(g, head, of.first / L), of.added_key = g.added_key;
        if (g.seen.data)   // its lanes are samples
          of.seen = g.seen.block(b / L) + (ptrdiff_t(of.first) * own * L + b % L), of.seen_lane = own * L, of.seen_key = L;
        attention_weights<T>(a + s * strip, of, g.extra, seen, seen, g.scale);
      }
      t = {};
      t.x = a, t.x_pixel = strip, t.segments = 1, t.length = count;
      t.w_k = g.extra ? runs * L : key_step, t.z_pixel = turned, t.floor = no_floor<T>;
      for (int c = 0; c < n; c += C) {
        t.w = (g.extra ? values : v) + c, t.z = o + c * L, t.channels = n - c < C ? n - c : C;
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
  int sample, head, shared, key_steps, vectors, key_vectors, features;
  ptrdiff_t step, key_step, row, front;   // from one vector of queries or of keys to the next, and of A; what is in front there
  PositionsHead(const AttentionArgs<T>& g, int sample, int head)
      : g(g),
        sample(sample),
        head(head),
        shared(g.key_heads == g.heads ? head : head / (g.heads / g.key_heads)),   // a division takes 25 cycles
        key_steps(g.key_steps),
        vectors(g.q.width),
        key_vectors(g.k.width),
        features(g.features),
        step(ptrdiff_t(g.q.channels) * L),
        key_step(ptrdiff_t(g.k.channels) * L),
        row(ptrdiff_t(key_vectors) * L * L + ptrdiff_t(g.extra) * L),
        front(ptrdiff_t(g.extra) * L) {}
  T* at(const Map<T>& m, int vector = 0) const { return m.block(sample) + ptrdiff_t(head) * features * L + vector * step; }
  T* at_keys(const Map<T>& m, int vector = 0) const {
    return m.block(sample) + ptrdiff_t(shared) * features * L + vector * key_step;
  }
  T* weights(int vector) const { return g.weights + (ptrdiff_t(sample) * g.heads + head) * vectors * row + vector * row; }
  // Keys of the sequence that the queries of vectors before `end` see.
  int keys(int end) const { return g.causal && end * L < key_steps ? end * L : key_steps; }
  // The keys, or values, in front: [row][feature] as vectors.
  void pack_front(const T* of_row, T* to) const {
    for (int e = 0; e < g.extra; e++)
      for (int f = 0; f < features; f++)
        store(to + (e * features + f) * L, broadcast<T>(e == 0 && of_row ? of_row[shared * features + f] : T(0)));
  }

  // to[query][key] = Σ_f q[f] k[f] for `count` vectors of queries from `first`, and 0 behind the keys. in_front: as packed.
  void scores(const Map<T>& q, const Map<T>& k, const T* in_front, int first, int count, int keys, T* to) const {
    constexpr int C = panel_channels<T, wide_channels>;
    if (g.extra) products<T>({at(q, first), in_front, to, step, L, features * L, L, row, L, count, g.extra, features});
    to += front;
    Tile<T> t{};
    t.x_pixel = step, t.segments = 1, t.length = features, t.w_k = L, t.z_pixel = row, t.floor = no_floor<T>;
    for (int i = 0; i < count; i += wide_pixels) {
      const int pixels = count - i < wide_pixels ? count - i : wide_pixels;
      t.x = at(q, first + i);
      for (int j = 0; j < keys; j += C) {
        t.w = at_keys(k, j / L) + j % L, t.z = to + i * row + j * L, t.channels = keys - j < C ? keys - j : C;
        tile_up_to<T, C, wide_pixels, false>(pixels, t);
      }
    }
    for (int i = 0; i < count; i++) __builtin_memset(to + i * row + keys * L, 0, sizeof(T) * size_t(row - front - keys * L));
  }
  // to[query][f] = Σ_j a[query][j] v[j][f]
  void mix(const T* a, const Map<T>& v, const T* in_front, const Map<T>& to, int first, int count, int keys) const {
    if (g.extra) products<T>({a, in_front, at(to, first), row, L, L, features * L, step, L, count, features, g.extra});
    const auto of_features = [&]<int C>(int f) {
      Tile<T> t{};
      t.x_pixel = row, t.x_segment = L * L, t.w_segment = key_step, t.z_pixel = step, t.floor = no_floor<T>, t.channels = C;
      for (int i = 0; i < count; i += wide_pixels) {
        const int pixels = count - i < wide_pixels ? count - i : wide_pixels, whole = keys / L;
        t.x = a + front + i * row, t.w = at_keys(v) + f * L, t.z = at(to, first + i) + f * L;
        t.segments = whole, t.length = L, t.add = g.extra > 0;
        tile_up_to<T, C, wide_pixels, true>(pixels, t);
        if (keys % L == 0) continue;
        t.x += whole * L * L, t.w += whole * key_step, t.segments = 1, t.length = keys % L, t.add = true;
        tile_up_to<T, C, wide_pixels, true>(pixels, t);
      }
    };
    in_runs_of<wide_channels>(0, features, of_features);
  }
  // to[key][f] += Σ_i a[i][key] q[i][f] over `count` vectors of queries from `first`, or = where nothing is there yet: what
  // queries do not see is 0 in a. Of keys in front to of_front. turned: room for as much as a.
  void gather_keys(const T* a, const Map<T>& q, const Map<T>& to, T* of_front, int first, int count, bool fresh,
                   T* turned) const {
    constexpr int O = gradient_columns;
    const ptrdiff_t panel = ptrdiff_t(count) * L * L;
    const int seen = g.causal && !fresh ? groups(keys(first + count), L) : key_vectors;
    if (g.row_key) products<T>({a, at(q, first), of_front, L, row, L, step, features * L, L, 1, features, count, T(1), true});
    a += front;
    for (int k = 0; k < seen; k++)
      for (int i = 0; i < count; i++) transpose<T>(a + i * row + k * L * L, L, turned + k * panel + i * L * L, L);
    for (int k = 0; k < seen; k += O) {
      // Queries in front of a key do not see it.
      const int skipped = !g.causal || k <= first ? 0 : k - first < count ? k - first : count - 1;
      const T *x = at(q, first + skipped), *d = turned + k * panel + ptrdiff_t(skipped) * L * L;
      const Runs runs{count - skipped, L, L};
      const Onto onto = fresh ? Onto::fresh : Onto::added;
      if (seen - k >= O) outer_rows<T, O>(x, step, d, panel, at_keys(to, k), key_step, features, runs, onto);
      else outer_rows<T, 1>(x, step, d, panel, at_keys(to, k), key_step, features, runs, onto);
    }
  }
};

// In scratch: keys and values in front, and their δ; of a run of queries B or G, that transposed, and the sums of numbers that
// are added along a diagonal.
template <class T>
struct PositionsRoom {
  size_t front, weights, turned, diagonals;
  PositionsRoom(const AttentionArgs<T>& g) {
    const size_t L = lanes<T>, run = size_t(g.q.width < attention_vectors ? g.q.width : attention_vectors);
    front = size_t(g.extra) * size_t(g.features) * L;
    turned = run * size_t(g.k.width) * L * L;
    weights = turned + run * size_t(g.extra) * L;
    diagonals = g.table_sums && g.diagonal ? (run + size_t(g.k.width)) * L : 0;
  }
  size_t all() const { return 4 * front + weights + turned + diagonals; }
};
template <class T>
static size_t attention_positions_scratch(const AttentionArgs<T>& g) {
  return PositionsRoom<T>(g).all();
}

// Unit: head of a sample.
template <class T>
static void attention_positions_forward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  const PositionsRoom<T> room(g);
  T *const k_front = scratch, *const v_front = k_front + room.front;
  for (int unit = begin; unit < end; unit++) {
    const PositionsHead<T> h(g, unit / g.heads, unit % g.heads);
    OfQueries<T> of{};
    of.mask = g.mask.data ? g.mask.block(h.sample / L) + h.sample % L : nullptr, of.causal = g.causal;   // one lane of it
    h.pack_front(g.row_key, k_front), h.pack_front(g.row_value, v_front);
    for (int i = 0, count; i < h.vectors; i += count) {
      count = attention_next<T>(g, h.vectors - i);
      const int keys = h.keys(i + count);
      T* const a = h.weights(i);
      h.scores(g.q, g.k, k_front, i, count, keys, a);
      for (int n = 0; n < count; n++) {
        of.first = (i + n) * L, of.queries = L;
        of.added = added_to(g, h.head, i + n), of.added_key = g.added_key;
        if (g.seen.data)
          of.seen = g.seen.block(h.sample) + ptrdiff_t(i + n) * h.key_steps * L, of.seen_lane = 1, of.seen_key = L;
        const int seen = g.causal && of.first + L < keys ? of.first + L : keys;
        attention_weights<T>(a + n * h.row, of, g.extra, seen, keys, g.scale);
      }
      h.mix(a, g.v, v_front, g.o, i, count, keys);
    }
  }
}

// √n G of `count` vectors of queries from `first` to the sums of numbers. Along a diagonal, where these are told by the
// distance alone: there is one for every distance, in the order of which vectors of queries meet a key.
template <class T>
inline void add_to_numbers(const PositionsHead<T>& h, const T* scores, int first, int count, int keys, T* diagonals,
                           double* numbers) {
  constexpr int L = lanes<T>;
  const AttentionArgs<T>& g = h.g;
  const auto place = [&](int query, int key) { return g.places[ptrdiff_t(query) * h.key_steps + key]; };
  if (!g.diagonal) {
    for (int n = 0; n < count; n++)
      for (int l = 0; l < L && (first + n) * L + l < g.steps; l++)
        for (int j = 0; j < keys; j++)
          numbers[place((first + n) * L + l, j)] += double(scores[n * h.row + h.front + j * L + l]);
    return;
  }
  const int size = count * L + h.key_steps - 1;
  __builtin_memset(diagonals, 0, sizeof(T) * size_t(size));
  for (int n = 0; n < count; n++)
    for (int j = 0; j < keys; j++) {
      T* const at = diagonals + n * L - j + h.key_steps - 1;
      store_unaligned<T>(at, load_unaligned<T>(at) + load(scores + n * h.row + h.front + j * L));
    }
  for (int d = 0; d < size; d++) {
    const int distance = first * L + d - (h.key_steps - 1);   // of the query from the key
    if (distance < g.steps) numbers[distance < 0 ? place(0, -distance) : place(distance, 0)] += double(diagonals[d]);
  }
}

// Unit: head of keys of a sample; as `attention_backward`.
template <class T>
static void attention_positions_backward(const AttentionArgs<T>& g, int begin, int end, T* scratch) {
  constexpr int L = lanes<T>;
  const PositionsRoom<T> room(g);
  const int group = g.heads / g.key_heads;
  T *const k_front = scratch, *const v_front = k_front + room.front, *const k_sums = v_front + room.front,
           *const v_sums = k_sums + room.front, *const b = v_sums + room.front, *const turned = b + room.weights,
           *const diagonals = turned + room.turned;
  for (int unit = begin; unit < end; unit++) {
    if (g.extra) __builtin_memset(k_sums, 0, sizeof(T) * 2 * room.front);
    for (int member = 0; member < group; member++) {
      const PositionsHead<T> h(g, unit / g.key_heads, unit % g.key_heads * group + member);
      if (member == 0) h.pack_front(g.row_key, k_front), h.pack_front(g.row_value, v_front);
      double* const numbers = g.table_sums ? g.table_sums + (ptrdiff_t(h.sample) * g.heads + h.head) * g.numbers : nullptr;
      if (numbers) __builtin_memset(numbers, 0, sizeof(double) * size_t(g.numbers));
      for (int i = 0, count; i < h.vectors; i += count) {
        count = attention_next<T>(g, h.vectors - i);
        const int keys = h.keys(i + count);
        const T* const a = h.weights(i);
        const bool fresh = i == 0 && member == 0;
        h.gather_keys(a, g.o_delta, g.v_delta, v_sums, i, count, fresh, turned);
        h.scores(g.o_delta, g.v, v_front, i, count, keys, b);
        for (int n = 0; n < count; n++) {
          const T* an = a + n * h.row;
          T* bn = b + n * h.row;
          LongSum<T> dot;
          for (int j = 0; j < g.extra + keys; j++) dot.add(load(an + j * L) * load(bn + j * L));
          const Vec<T> sum = dot.value();
          const T scale = numbers ? T(1) : g.scale;
          for (int j = 0; j < g.extra + keys; j++) store(bn + j * L, load(an + j * L) * (load(bn + j * L) - sum) * scale);
        }
        if (numbers) {
          add_to_numbers<T>(h, b, i, count, keys, diagonals, numbers);
          for (int n = 0; n < count; n++)
            for (int j = 0; j < g.extra + keys; j++) store(b + n * h.row + j * L, load(b + n * h.row + j * L) * g.scale);
        }
        h.mix(b, g.k, k_front, g.q_delta, i, count, keys);
        h.gather_keys(b, g.q, g.k_delta, k_sums, i, count, fresh, turned);
      }
    }
    for (int f = 0; g.row_sums && f < 2 * g.features; f++) {
      double sum = 0;
      for (int l = 0; l < L; l++) sum += double((f < g.features ? k_sums + f * L : v_sums + (f - g.features) * L)[l]);
      g.row_sums[ptrdiff_t(unit) * 2 * g.features + f] = sum;
    }
  }
}
