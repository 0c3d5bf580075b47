// How fast this level can multiply and add; `chainrule bench` compares kernels with it.

// The machine's multiply-add peak, for benchmarks: twelve chains hide the latency of any current processor. They start from
// a number unknown to the compiler, which otherwise dropped the chain that begins at its fixed point, and they stay in
// registers because no asm holds them (one per chain forced a store and a load each: a third of the true peak).
template <class T>
static double peak(int64_t rounds) {
  constexpr int chains = 12;
  Vec<T> acc[chains];
  for (int c = 0; c < chains; c++) acc[c] = broadcast<T>(T(rounds % 8 + c));
  const Vec<T> factor = broadcast<T>(T(0.999)), add = broadcast<T>(T(1e-3));
  for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 12
    for (int c = 0; c < chains; c++) acc[c] = acc[c] * factor + add;
  Vec<T> sum{};
  for (int c = 0; c < chains; c++) sum += acc[c];
  volatile T keep = sum_lanes<T>(sum);
  (void)keep;
  return 2.0 * double(rounds) * chains * lanes<T>;
}
