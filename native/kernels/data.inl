// Rows to lanes and back.
//
// Read `rows_to_lanes`; `gather` and `scatter` are loops around it and its inverse.
// Shapes: rows [sample][features]; a map [block][height][width][channels][lane].

// A number of the data set, times `scale` where its type is another.
template <class T, class S>
inline T number(S value, T scale) {
  return sizeof(S) == sizeof(T) ? T(value) : T(value) * scale;
}
// Values f to `count` of rows that are shorter than a vector.
template <class T, class S>
inline void short_rows_to_lanes(const S* const (&from)[lanes<T>], T* to, int64_t f, int64_t count, T scale) {
  constexpr int L = lanes<T>;
  for (int l = 0; l < L; l++)
    for (int64_t i = f; i < count; i++) to[i * L + l] = number<T>(from[l][i], scale);
}

// `count` values from the row of every lane, times `scale` where their type is another; null: zeros.
template <class T, class S>
inline void rows_to_lanes(const S* const (&from)[lanes<T>], T* to, int64_t count, T scale) {
  constexpr int L = lanes<T>;
  bool all = true;   // lanes have a row: of an embedding any may have none
  for (int l = 0; l < L; l++) all = all && from[l] != nullptr;
  int64_t f = 0;
  if constexpr (sizeof(S) == sizeof(T))
    if (all) {   // a square at a time, out of the rows where they lie
      for (; f < count && count >= L; f += L) {
        if (f + L > count) f = count - L;   // the last square overlaps the one before: no tail, where a row has L values
        Vec<T> v[L];
#pragma GCC unroll 16
        for (int l = 0; l < L; l++) v[l] = load_unaligned<T>(from[l] + f);
        turn<T>(v);
#pragma GCC unroll 16
        for (int i = 0; i < L; i++) store(to + (f + i) * L, v[i]);
      }
      return short_rows_to_lanes<T, S>(from, to, f, count, scale);
    }
  // Rows that are not there, or have to be converted, go through a square in memory.
  T square[L * L] __attribute__((aligned(64)));
  while (f < count && count >= L) {
    if (f + L > count) f = count - L;
    for (int l = 0; l < L; l++) {
      if (!from[l]) {
        __builtin_memset(square + l * L, 0, sizeof(T) * L);
      } else {
        for (int i = 0; i < L; i++) square[l * L + i] = number<T>(from[l][f + i], scale);
      }
    }
    transpose<T>(square, L, to + f * L, L);
    f += L;
  }
  if (all) return short_rows_to_lanes<T, S>(from, to, f, count, scale);
  for (; f < count; f++)
    for (int l = 0; l < L; l++) to[f * L + l] = !from[l] ? T(0) : number<T>(from[l][f], scale);
}

template <class T, class S>
inline void gather_row(const GatherArgs& g, T* to, int64_t offset, int64_t count, int first) {
  constexpr int L = lanes<T>;
  const S* source = static_cast<const S*>(g.source);
  const S* from[L];
  int present = 0;
  for (; present < L && first + present < g.samples; present++)
    from[present] = source + (g.order ? g.order[first + present] : int64_t(first + present)) * g.features + offset;
  // Rows of a data set in a random order are far apart: while these are turned, the next block's are on their way.
  if (g.order)
    for (int l = first + L; l < first + 2 * L && l < g.samples; l++) {
      const S* row = source + g.order[l] * g.features + offset;
      const int64_t bytes = count * int64_t(sizeof(S)), most = bytes < 512 ? bytes : 512;
      for (int64_t at = 0; at < most; at += 64) __builtin_prefetch(reinterpret_cast<const char*>(row) + at);
    }
  // An empty lane's δ is 0, but 0 times an overflow is NaN: with a real sample in it nothing happens that does not anyway.
  for (; present < L; present++) from[present] = g.repeat ? from[present - 1] : nullptr;
  rows_to_lanes<T, S>(from, to, count, T(g.scale));
}

// Unit: piece of an image row of a block. A vector of features is one row.
template <class T>
static void gather(const GatherArgs& g, const Map<T>& x, int kind, int begin, int end) {
  const int64_t run = int64_t(x.width) * x.channels, pieces = (run + g.piece - 1) / g.piece;
  for (int unit = begin; unit < end; unit++) {
    const int64_t piece = unit % pieces, row = unit / pieces, b = row / x.height, h = row % x.height;
    const int64_t first = piece * g.piece, count = run - first < g.piece ? run - first : g.piece;
    T* to = x.row(b, h) + first * lanes<T>;
    if (kind == source_uint8) gather_row<T, uint8_t>(g, to, h * run + first, count, int(b) * lanes<T>);
    else gather_row<T, T>(g, to, h * run + first, count, int(b) * lanes<T>);
  }
}

// Lanes to rows [sample][features]. Unit: row of a block.
template <class T>
static void scatter(const Map<T>& x, T* rows, int samples, int begin, int end) {
  constexpr int L = lanes<T>;
  const int64_t run = int64_t(x.width) * x.channels, features = run * x.height;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / x.height, h = unit % x.height;
    const T* from = x.row(b, h);
    const int present = samples - b * L < L ? samples - b * L : L;
    T* to = rows + int64_t(b) * L * features + h * run;
    int64_t f = 0;
    if (present == L)
      for (; f + L <= run; f += L) transpose<T>(from + f * L, L, to + f, features);
    for (; f < run; f++)
      for (int l = 0; l < present; l++) to[l * features + f] = from[f * L + l];
  }
}

template <class T, bool above>
static void shift_lanes_to(const T* from, const T* beside, Vec<T> kept, T* to, int64_t vectors) {
  constexpr int L = lanes<T>, outermost = above ? 0 : L - 1;
  const Mask<T> keep = kept != Vec<T>{};
  for (int64_t i = 0; i < vectors * L; i += L) {
    Vec<T> shifted;
    __builtin_memcpy(&shifted, from + i + (above ? -1 : 1), sizeof shifted);   // there are rows before and behind
    if (beside) shifted[outermost] = beside[i + L - 1 - outermost];
    store(to + i, keep ? shifted : Vec<T>{});
  }
}
template <class T>
static void shift_lanes(const T* from, const T* beside, bool above, const bool* keep, T* to, int64_t vectors) {
  Vec<T> kept;
  for (int l = 0; l < lanes<T>; l++) kept[l] = keep[l] ? T(1) : T(0);
  if (above) shift_lanes_to<T, true>(from, beside, kept, to, vectors);
  else shift_lanes_to<T, false>(from, beside, kept, to, vectors);
}

// From the lanes that are `shift` further on, to those from `first` up to `end`; the others stay, or are cleared.
template <class T, bool keeps>
static void move_lanes_to(const T* from, int shift, Vec<T> wanted, T* to, int64_t vectors) {
  constexpr int L = lanes<T>;
  const Mask<T> here = wanted != Vec<T>{};
  for (int64_t i = 0; i < vectors * L; i += L) {
    Vec<T> moved;
    __builtin_memcpy(&moved, from + i + shift, sizeof moved);   // numbers before and behind are there
    store(to + i, here ? moved : keeps ? load<T>(to + i) : Vec<T>{});
  }
}
template <class T>
static void move_lanes(const T* from, int shift, int first, int end, bool keeps, T* to, int64_t vectors) {
  constexpr int L = lanes<T>;
  Vec<T> wanted;
  for (int l = 0; l < L; l++) wanted[l] = first <= l && l < end ? T(1) : T(0);
  T begin[L];   // in front of the first vector there may be nothing to read
  for (int l = 0; l < L; l++) begin[l] = first <= l && l < end ? from[l + shift] : keeps ? to[l] : T(0);
  __builtin_memcpy(to, begin, sizeof begin);
  if (keeps) move_lanes_to<T, true>(from + L, shift, wanted, to + L, vectors - 1);
  else move_lanes_to<T, false>(from + L, shift, wanted, to + L, vectors - 1);
}
// What lane `from` holds, in the lanes from there on.
template <class T>
static void repeat_lane(T* to, int from, int64_t vectors) {
  constexpr int L = lanes<T>;
  Vec<T> wanted;
  for (int l = 0; l < L; l++) wanted[l] = l > from ? T(1) : T(0);
  const Mask<T> behind = wanted != Vec<T>{};
  for (T* at = to; at < to + vectors * L; at += L) store(at, behind ? broadcast<T>(at[from]) : load<T>(at));
}
