// Plan: numbers in and out of the arena: parameters, moments, values; and where they are not finite.
#include <cmath>
#include <cstring>

#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

// -- parameters -------------------------------------------------------------------------------------------------------------

template <class T>
void Plan<T>::pack_parameter(int i, const T* canonical, T* packed) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(packed, canonical, sizeof(T) * size_t(p.shape.size));
    return;
  }
  const int64_t l = lanes(), inputs = p.shape.inputs;
  for (int64_t o = 0; o < p.shape.outputs; o++)
    for (int64_t k = 0; k < inputs; k++) packed[((o / l) * inputs + k) * l + o % l] = canonical[o * inputs + k];
}
template <class T>
void Plan<T>::copy_parameter(int i, const T* packed, T* canonical) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(canonical, packed, sizeof(T) * size_t(p.shape.size));
    return;
  }
  const int64_t l = lanes(), inputs = p.shape.inputs;
  for (int64_t o = 0; o < p.shape.outputs; o++)
    for (int64_t k = 0; k < inputs; k++) canonical[o * inputs + k] = packed[((o / l) * inputs + k) * l + o % l];
}
template <class T>
void Plan<T>::set_parameter(int i, const T* values) {
  pack_parameter(i, values, theta(i));
}
template <class T>
void Plan<T>::get_parameter(int i, T* values) const {
  copy_parameter(i, theta(i), values);
}
template <class T>
void Plan<T>::get_gradient(int i, T* values) const {
  copy_parameter(i, gradient(i), values);
}
template <class T>
void Plan<T>::set_gradient(int i, const T* values) {
  pack_parameter(i, values, gradient(i));
}
template <class T>
bool Plan<T>::get_state(int i, int slot, T* values) const {
  const T* state = slot == 0 ? first_ : second_;
  if (state) copy_parameter(i, state + parameter(i).offset, values);
  return state != nullptr;
}
template <class T>
void Plan<T>::set_state(int i, int slot, const T* values) {
  T* state = slot == 0 ? first_ : second_;
  if (state) pack_parameter(i, values, state + parameter(i).offset);
}

// -- values -----------------------------------------------------------------------------------------------------------------

template <class T>
void Plan<T>::read_value(int i, bool delta, int samples, T* rows) const {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  kernels_.scatter(m, rows, samples, 0, blocks(samples) * m.height);
}
template <class T>
void Plan<T>::write_value(int i, bool delta, int samples, const T* rows) {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  GatherArgs g{};
  g.source = rows, g.features = value(i).shape.features(), g.samples = samples, g.repeat = !delta;
  g.piece = int64_t(m.width) * m.channels;
  kernels_.gather(g, m, source_same, 0, blocks(samples) * m.height);
}

template <class T>
int64_t Plan<T>::first_nonfinite(bool delta) const {
  const auto count = int64_t(values_.size());
  for (int64_t n = 0; n < count; n++) {
    const int64_t i = delta ? count - 1 - n : n;
    const Value& v = values_[size_t(i)];
    if (delta && !v.with_delta) continue;
    const Map<T>& m = delta ? v.delta : v.map;
    for (int b = 0; b < max_blocks(); b++)
      for (int h = 0; h < m.height; h++) {
        const T* row = m.row(b, h);
        for (ptrdiff_t k = 0; k < ptrdiff_t(m.width) * m.channels * lanes(); k++)
          if (!std::isfinite(row[k])) return i;
      }
  }
  return -1;
}
template <class T>
int64_t Plan<T>::first_nonfinite_parameter(bool of_gradient) const {
  const T* from = of_gradient ? gradient_ : theta_;
  for (size_t i = 0; i < parameters_.size(); i++)
    for (size_t k = 0; k < parameters_[i].padded; k++)
      if (!std::isfinite(from[parameters_[i].offset + k])) return int64_t(i);
  return -1;
}
template <class T>
int64_t Plan<T>::first_at_rest() const {
  if (!second_ || steps_taken < 1) return -1;
  const T correction = second_correction();
  for (size_t i = 0; i < parameters_.size(); i++)
    for (size_t k = 0; k < parameters_[i].padded; k++)
      if (!std::isfinite(second_[parameters_[i].offset + k] * correction)) return int64_t(i);
  return -1;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
