// Embedding: every lane's id picks a row of the table; and values added to every sample alike.
//
// Read `embedding_forward`; `embedding_count`, which finds the long sums, and `embedding_gradient`; `add_table`
// and `turn_pairs`, the places of steps.
// Shapes: ids [block][positions][lane]; table, ∂table [vocabulary][features]; z, δ_z [block][height][width][features][lane].

// The row of the table that `id` picks, or -1: for the padding, and for what is no id (the door lets none through).
template <class T>
inline int64_t embedding_row(const EmbeddingArgs<T>& g, T id) {
  if (!(id >= T(0) && id < T(g.vocabulary))) return -1;
  const int64_t row = int64_t(id);
  return T(row) == id && row != g.padding ? row : -1;
}

// The ids of position p, counted row by row, in block b.
template <class T>
inline const T* embedding_ids(const EmbeddingArgs<T>& g, int b, int64_t p) {
  const int64_t run = int64_t(g.x.width) * g.x.channels;
  return g.x.row(b, p / run) + p % run * lanes<T>;
}

// Unit: output row of a block.
template <class T>
static void embedding_forward(const EmbeddingArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int features = g.z.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.z.height, i = unit % g.z.height;
    T* z = g.z.row(b, i);
    for (int j = 0; j < g.z.width; j++, z += ptrdiff_t(features) * L) {
      const T* ids = embedding_ids<T>(g, b, int64_t(i) * g.z.width + j);
      const T* from[L];
      for (int l = 0; l < L; l++) {
        const int64_t row = embedding_row<T>(g, ids[l]);
        from[l] = row < 0 ? nullptr : g.table + row * features;
      }
      rows_to_lanes<T, T>(from, z, features, T(1));
      if (!g.mask.data) continue;
      T* there = g.mask.block(b) + ptrdiff_t(j) * L;
      store(there, load(ids) == T(g.padding) ? Vec<T>{} : broadcast<T>(T(1)));
    }
  }
}

// Which rows are picked more often than fold_terms, and how many: these are summed in double.
template <class T>
static int32_t embedding_count(const EmbeddingArgs<T>& g) {
  __builtin_memset(g.long_sum, 0, sizeof(int32_t) * size_t(g.vocabulary));
  const int64_t positions = int64_t(g.z.height) * g.z.width;
  int32_t found = 0;
  for (int b = 0; b < g.blocks; b++)
    for (int64_t p = 0; p < positions; p++)
      for (int l = 0; l < lanes<T>; l++) {
        const int64_t row = embedding_row<T>(g, embedding_ids<T>(g, b, p)[l]);
        if (row >= 0) found += ++g.long_sum[row] == fold_terms + 1;
      }
  if (found == 0) return 0;   // most batches: nothing more is done
  found = 0;
  for (int64_t row = 0; row < g.vocabulary; row++) g.long_sum[row] = g.long_sum[row] > fold_terms ? ++found : 0;
  return found;
}

// A vector's worth of features: sums over all positions and samples, in their order.
template <class T>
static int embedding_gradient_units(const EmbeddingArgs<T>& g) {
  return groups(g.z.channels, lanes<T>);
}
template <class T>
static void embedding_gradient(const EmbeddingArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const int features = g.z.channels;
  for (int unit = begin; unit < end; unit++) {
    const int first = unit * L, count = features - first < L ? features - first : L;
    const auto long_sum = [&](int64_t row) {
      return g.long_sum && g.long_sum[row] ? g.sums + ptrdiff_t(g.long_sum[row] - 1) * features + first : nullptr;
    };
    for (int64_t row = 0; row < g.vocabulary; row++) {
      __builtin_memset(g.gradient + row * features + first, 0, sizeof(T) * size_t(count));
      if (double* const sum = long_sum(row)) __builtin_memset(sum, 0, sizeof(double) * size_t(count));
    }
    for (int b = 0; b < g.blocks; b++)
      for (int i = 0; i < g.z.height; i++) {
        const T* d = g.z.row(b, i) + ptrdiff_t(first) * L;
        for (int j = 0; j < g.z.width; j++, d += ptrdiff_t(features) * L) {
          const T* ids = embedding_ids<T>(g, b, int64_t(i) * g.z.width + j);
          T square[L * L] __attribute__((aligned(64)));   // [lane][feature]
          if (count == L) {
            transpose<T>(d, L, square, L);
          } else {
            for (int l = 0; l < L; l++)
              for (int f = 0; f < count; f++) square[l * L + f] = d[f * L + l];
          }
          for (int l = 0; l < L; l++) {   // lanes without a sample: their δ is 0
            const int64_t row = embedding_row<T>(g, ids[l]);
            if (row < 0) continue;
            T* to = g.gradient + row * features + first;
            if (double* const sum = long_sum(row))
              for (int f = 0; f < count; f++) sum[f] += double(square[l * L + f]);
            else
              for (int f = 0; f < count; f++) to[f] += square[l * L + f];
          }
        }
      }
    for (int64_t row = 0; g.long_sum && row < g.vocabulary; row++)
      if (const double* const sum = long_sum(row))
        for (int f = 0; f < count; f++) g.gradient[row * features + first + f] = T(sum[f]);
  }
}

// z = x + table, the same for every sample. Unit: row of a block.
template <class T>
static void add_table(const TableArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  const ptrdiff_t run = ptrdiff_t(g.x.width) * g.x.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.height, h = unit % g.x.height;
    const T *x = g.x.row(b, h), *table = g.table + h * run;
    T* z = g.z.row(b, h);
    for (ptrdiff_t k = 0; k < run; k++) store(z + k * L, load(x + k * L) + table[k]);
  }
}

// Of two features x and y cos·x − sin·y and cos·y + sin·x: the same bits whatever the lanes are.
template <class T>
inline void turn_pair(Vec<T> x, Vec<T> y, Vec<T> cosine, Vec<T> sine, Vec<T>& to_x, Vec<T>& to_y) {
  to_x = cosine * x, to_y = cosine * y;
  to_x -= sine * y, to_y += sine * x;
}
// z = x with its pairs turned, or turned back. Unit: step of a block, a vector of steps where these are in the lanes.
template <class T>
static void turn_pairs(const TurnArgs<T>& g, bool back, int begin, int end) {
  constexpr int L = lanes<T>;
  const T sign = back ? T(-1) : T(1);
  const ptrdiff_t run = ptrdiff_t(g.x.channels) * L;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.x.width, t = unit % g.x.width;
    const T* const x = g.x.block(b) + t * run;
    T* const z = g.z.block(b) + t * run;
    const ptrdiff_t first = ptrdiff_t(t) * g.half * (g.positions ? L : 1);
    const T *const cosine = g.cosine + first, *const sine = g.sine + first;
    Vec<T> to_x, to_y;
    for (int head = 0; head < g.heads; head++) {
      if (g.channels) {   // a run of features at a time, which begins anywhere
        const ptrdiff_t at = ptrdiff_t(head) * 2 * g.half;
        for (int p = 0; p < g.half; p += L) {
          turn_pair<T>(load_unaligned<T>(x + at + p), load_unaligned<T>(x + at + g.half + p), load_unaligned<T>(cosine + p),
                       sign * load_unaligned<T>(sine + p), to_x, to_y);
          const size_t bytes = sizeof(T) * size_t(g.half - p < L ? g.half - p : L);
          __builtin_memcpy(z + at + p, &to_x, bytes), __builtin_memcpy(z + at + g.half + p, &to_y, bytes);
        }
        continue;
      }
      const ptrdiff_t at = ptrdiff_t(head) * 2 * g.half * L, half = ptrdiff_t(g.half) * L;
      for (int p = 0; p < g.half; p++) {
        const Vec<T> c = g.positions ? load(cosine + p * L) : broadcast<T>(cosine[p]),
                     s = g.positions ? load(sine + p * L) : broadcast<T>(sine[p]);
        turn_pair<T>(load(x + at + p * L), load(x + at + half + p * L), c, sign * s, to_x, to_y);
        store(z + at + p * L, to_x), store(z + at + half + p * L, to_y);
      }
    }
  }
}
