// Dropout: the random numbers of layers/randomness.py, 32 bits each, computed where they are used and never stored.
//
// Read `mixed`, the generator, then `dropout`, which serves z and δ alike.
// Shapes: from, to [block][height][width][channels][lane].

typedef uint32_t Word;
template <class T>
struct Words {
  typedef Word vector __attribute__((vector_size(4 * lanes<T>)));
  typedef int32_t mask __attribute__((vector_size(4 * lanes<T>)));
};

// Wellons' lowbias32.
template <class W>
inline W mixed(W x) {
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

// Unit: row of a block. z = x · scale where an entry is kept and 0 elsewhere; the same for δ.
template <class T>
static void dropout(const DropoutArgs<T>& g, int begin, int end) {
  constexpr int L = lanes<T>;
  typedef typename Words<T>::vector W;
  const ptrdiff_t run = ptrdiff_t(g.from.width) * g.from.channels;
  for (int unit = begin; unit < end; unit++) {
    const int b = unit / g.from.height, h = unit % g.from.height;
    W sample, entry;   // of every lane; the first entry
#pragma GCC unroll 16
    for (int i = 0; i < L; i++) {
      const Word lane = Word(b * L + i);
      sample[i] = g.first + (g.positions ? Word(b) : lane / g.bands);
      entry[i] = g.positions ? Word(i * g.from.channels) : lane % g.bands * Word(g.from.height * run);
    }
    const W of_sample = mixed<W>(sample ^ g.low);
    const T* from = g.from.row(b, h);
    T* to = g.to.row(b, h);
    const ptrdiff_t pixel = g.positions ? g.from.channels : run, step = g.positions ? pixel * L : run;
    for (ptrdiff_t first = h * run; from < g.from.row(b, h) + run * L; first += step)
      for (ptrdiff_t i = 0; i < pixel; i++, from += L, to += L) {
        const W bits = mixed<W>(mixed<W>(of_sample + (entry + Word(first + i)) * 0x9E3779B1u) ^ g.high);
        const Mask<T> kept = __builtin_convertvector((typename Words<T>::mask)(bits >= g.threshold), Mask<T>);
        store(to, kept ? load(from) * g.scale : Vec<T>{});
      }
  }
}
