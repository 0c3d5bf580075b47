// A norm whose squares may be beyond the range of double, or vanish.
#pragma once
#include <cmath>

#include "../kernels/api.hpp"

namespace chainrule {

// A norm from `squares(s)`, a sum of squares of numbers times s; s is 1 unless the sum then overflows, or all but vanishes.
template <class Squares>
double norm_from(Squares&& squares) {
  const double sum = squares(1.0);
  if (!(sum <= least_squares || sum > most_squares)) return std::sqrt(sum);
  const double scale = sum <= least_squares ? scale_up : scale_down;
  return std::sqrt(squares(scale)) / scale;
}

}   // namespace chainrule
