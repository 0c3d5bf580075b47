// What changes parameters, and what is measured of them: update rules, max-norm, sums of squares.
//
// Read `update_run` first, the rules themselves; `update` chooses among them; then the norms.
// Shapes: θ, its gradient and moments are runs of scalars, whole vectors; [begin, end) counts scalars.

template <class T>
inline Vec<T> sign_of(Vec<T> v) {
  return v > T(0) ? broadcast<T>(T(1)) : (v < T(0) ? broadcast<T>(T(-1)) : Vec<T>{});
}

// What falls by a factor with every step, moments where the gradient is 0 and weights that only a penalty moves, ends in
// subnormal numbers, which take an assist of 150 cycles in every product (digits, Adam, L2, float32: from the 150th epoch on an
// epoch took twice as long), and 0.9 times the smallest of them is rounded to itself. They are 0 before: moments below twice
// the smallest normal number, and parameters under L2 below 2^-100 (double: 2^-960), so that products with them are normal
// too.
template <class T>
inline Vec<T> not_below(Vec<T> v, double least) {
  const Mask<T> sign = reinterpret_cast<Mask<T>>(broadcast<T>(T(-0.0)));
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Mask<T>>(v) & ~sign) < T(least) ? Vec<T>{} : v;
}
template <class T>
constexpr double least_moment = is_float<T> ? 0x1p-125 : 0x1p-1021;
template <class T>
inline Vec<T> moment(Vec<T> v) {
  return not_below<T>(v, least_moment<T>);
}
template <class T>
inline Vec<T> second_moment(Vec<T> v) {   // is not negative
  return v < T(least_moment<T>) ? Vec<T>{} : v;
}

// One optimizer step on [begin, end), multiples of the lane count. The gradient is that of the data; the penalty's λW is
// added here. Formulas: training/optimizers.py.
//
// A second moment beyond the range (float32: |g| > 1.8e19) divides the step by infinity; the plan looks for it, see
// `first_at_rest`. One that loses digits, or vanishes, is harmless: below |g| = 3.4e-18 (1 − β₂) g² is subnormal in float32,
// and √s beside ε = 1e-8 is 1e-11 of it at the most, less than its rounding (6e-8); of an ε = 1e-12 it would be 1e-7.
template <class T, Rule rule>
static void update_run(const UpdateArgs<T>& g, size_t begin, size_t end) {
  const bool decays = g.penalty != T(0);
  for (size_t i = begin; i < end; i += lanes<T>) {
    Vec<T> theta = load(g.theta + i);
    Vec<T> d = load(g.gradient + i) + g.penalty * theta;
    if (g.penalty1 != T(0)) d += g.penalty1 * sign_of<T>(theta);
    d = d * g.clip[0] * g.clip[1];
    if constexpr (rule == Rule::sgd || rule == Rule::nesterov) {
      if (g.first) {
        const Vec<T> v = moment<T>(g.momentum * load(g.first + i) + g.rest1 * d);
        store(g.first + i, v);
        theta -= g.rate * (rule == Rule::nesterov ? d + g.momentum * v : v);
      } else {
        theta -= g.rate * d;
      }
    } else if constexpr (rule == Rule::rmsprop) {
      const Vec<T> s = second_moment<T>(g.beta2 * load(g.second + i) + g.rest2 * d * d);
      store(g.second + i, s);
      Vec<T> step = d / (root_beside_division<T, true>(s) + g.epsilon);
      if (g.first) {
        step = moment<T>(step + g.momentum * load(g.first + i));
        store(g.first + i, step);
      }
      theta -= g.rate * step;
    } else if constexpr (rule == Rule::adagrad) {
      const Vec<T> s = load(g.second + i) + d * d;
      store(g.second + i, s);
      theta -= g.rate * d / (root_beside_division<T>(s + g.start) + g.epsilon);
    } else if constexpr (rule == Rule::adadelta) {
      const Vec<T> s = g.beta2 * load(g.second + i) + g.rest2 * d * d, moved = load(g.first + i);
      store(g.second + i, s);
      const Vec<T> step = root_beside_division<T>(moved + g.epsilon) / root_beside_division<T>(s + g.epsilon) * d;
      store(g.first + i, g.beta2 * moved + g.rest2 * step * step);
      theta -= g.rate * step;
    } else if constexpr (rule == Rule::lion) {
      theta -= g.rate * g.decoupled_decay * theta;
      const Vec<T> m = load(g.first + i);
      theta -= g.rate * sign_of<T>(g.momentum * m + g.rest1 * d);
      store(g.first + i, moment<T>(g.beta2 * m + g.rest2 * d));
    } else if constexpr (rule == Rule::nadam || rule == Rule::radam || rule == Rule::lamb) {
      if constexpr (rule != Rule::lamb) theta -= g.rate * g.decoupled_decay * theta;
      const Vec<T> m = moment<T>(g.momentum * load(g.first + i) + g.rest1 * d);
      const Vec<T> s = second_moment<T>(g.beta2 * load(g.second + i) + g.rest2 * d * d);
      store(g.first + i, m);
      store(g.second + i, s);
      if constexpr (rule == Rule::lamb) {
        const Vec<T> step = m * g.correction1 / (root_beside_division<T, true>(s * g.correction2) + g.epsilon);
        store(g.direction + i, step + g.decoupled_decay * theta);
        continue;
      }
      if constexpr (rule == Rule::nadam)
        theta -=
            g.rate * (m * g.correction1 + d * g.of_gradient) / (root_beside_division<T, true>(s * g.correction2) + g.epsilon);
      else if (g.correction2 != T(0))   // the variance of the second moment is known well enough
        theta -= g.rate * (m * g.correction1) * g.correction2 / (root_beside_division<T, true>(s) + g.epsilon);
      else theta -= g.rate * (m * g.correction1);
    } else {
      if constexpr (rule == Rule::adamw) theta -= g.rate * g.decoupled_decay * theta;
      const Vec<T> m = moment<T>(g.momentum * load(g.first + i) + g.rest1 * d);
      const Vec<T> s = second_moment<T>(g.beta2 * load(g.second + i) + g.rest2 * d * d);
      store(g.first + i, m);
      store(g.second + i, s);
      theta -= g.rate * (m * g.correction1) / (root_beside_division<T, true>(s * g.correction2) + g.epsilon);
    }
    if (decays) theta = not_below<T>(theta, is_float<T> ? 0x1p-100 : 0x1p-960);
    store(g.theta + i, theta);
  }
}
template <class T>
static void update(const UpdateArgs<T>& g, size_t begin, size_t end) {
  switch (g.rule) {
    case Rule::sgd:
      return update_run<T, Rule::sgd>(g, begin, end);
    case Rule::nesterov:
      return update_run<T, Rule::nesterov>(g, begin, end);
    case Rule::adam:
      return update_run<T, Rule::adam>(g, begin, end);
    case Rule::adamw:
      return update_run<T, Rule::adamw>(g, begin, end);
    case Rule::rmsprop:
      return update_run<T, Rule::rmsprop>(g, begin, end);
    case Rule::adagrad:
      return update_run<T, Rule::adagrad>(g, begin, end);
    case Rule::adadelta:
      return update_run<T, Rule::adadelta>(g, begin, end);
    case Rule::nadam:
      return update_run<T, Rule::nadam>(g, begin, end);
    case Rule::radam:
      return update_run<T, Rule::radam>(g, begin, end);
    case Rule::lion:
      return update_run<T, Rule::lion>(g, begin, end);
    case Rule::lamb:
      return update_run<T, Rule::lamb>(g, begin, end);
  }
}

// √Σ v² of `count` values that lie `step` apart, for numbers whose squares a double does not hold.
template <class T>
static double scaled_norm(const T* v, int64_t count, int64_t step) {
  double largest = 0, sum = 0;
  for (int64_t i = 0; i < count; i++) largest = __builtin_fmax(largest, __builtin_fabs(double(v[i * step])));
  if (largest == 0 || largest > __DBL_MAX__) return largest;
  for (int64_t i = 0; i < count; i++) sum += double(v[i * step]) / largest * (double(v[i * step]) / largest);
  return largest * __builtin_sqrt(sum);
}

// Scales every unit's weights to a norm of at most `limit`. theta is [group][weight of a unit][unit]: panels have the lanes as
// units of a group, filters and rows are groups of one unit. Reference: losses/constraints.py. NaN stays, for whoever looks for
// it.
template <class T>
static void limit_norms(T* theta, int64_t length, int64_t units, double limit, int begin, int end) {
  constexpr int parts = 8;   // of the sum of a single unit, a fixed order
  for (int group = begin; group < end; group++) {
    T* const weights = theta + group * length * units;
    for (int64_t u = 0; u < units; u += lanes<T>) {
      const int64_t width = units - u < lanes<T> ? units - u : lanes<T>;
      double squares[lanes<T>] = {}, factors[lanes<T>];
      bool all_within = true;
      if (units == 1) {
        double sums[parts] = {};
        int64_t i = 0;
        for (; i + parts <= length; i += parts)
          for (int p = 0; p < parts; p++) sums[p] += double(weights[i + p]) * double(weights[i + p]);
        for (; i < length; i++) squares[0] += double(weights[i]) * double(weights[i]);
        for (int p = 0; p < parts; p++) squares[0] += sums[p];
      }
      for (int64_t i = 0; units > 1 && i < length; i++)
        for (int64_t l = 0; l < width; l++) {
          const double v = double(weights[i * units + u + l]);
          squares[l] += v * v;
        }
      for (int64_t l = 0; l < width; l++) {
        const bool held = is_float<T> || (squares[l] > least_squares && squares[l] < most_squares);
        const double norm = held ? __builtin_sqrt(squares[l]) : scaled_norm<T>(weights + u + l, length, units);
        factors[l] = norm > limit ? limit / norm : 1.0;
        all_within = all_within && !(norm > limit);
      }
      for (int64_t i = 0; !all_within && i < length; i++)
        for (int64_t l = 0; l < width; l++) {
          T& w = weights[i * units + u + l];
          w = T(double(w) * factors[l]);
        }
    }
  }
}

// Σ s² (v + factor·o + sign_factor·sign o)² in double, in a fixed order: the penalty's value, the gradient's norm, and a test
// for finite numbers.
template <class T>
static double square_sum(const T* values, const T* other, T factor, T sign_factor, double s, size_t begin, size_t end) {
  Wide<T> sum{};
  for (size_t i = begin; i < end; i += lanes<T>) {
    Wide<T> v = widen<T>(load(values + i));
    if (factor != T(0)) v += double(factor) * widen<T>(load(other + i));
    if (sign_factor != T(0)) v += double(sign_factor) * widen<T>(sign_of<T>(load(other + i)));
    v *= s;
    sum += v * v;
  }
  double total = 0;
  for (int i = 0; i < lanes<T>; i++) total += sum[i];
  return total;
}
