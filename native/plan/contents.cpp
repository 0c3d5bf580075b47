// Plan: numbers in and out of the arena: parameters, moments, values; and where they are not finite.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

// -- parameters -------------------------------------------------------------------------------------------------------------

// Panels are rows of outputs brought into lanes, as samples are. Blocks of them, and what there is to copy, in vectors.
template <class T>
Map<T> Plan<T>::panels_of(const Parameter& p, T* packed) const {
  Map<T> m;
  m.data = packed, m.channels = int(p.shape.inputs);
  m.block_step = m.row_step = ptrdiff_t(p.shape.inputs) * lanes();
  return m;
}
template <class T>
void Plan<T>::pack_parameter(int i, const T* canonical, T* packed) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(packed, canonical, sizeof(T) * size_t(p.shape.size));
    return;
  }
  GatherArgs g{};
  g.source = canonical, g.features = g.piece = p.shape.inputs, g.samples = int(p.shape.outputs);
  const Map<T> m = panels_of(p, packed);
  parallel(blocks(g.samples), p.shape.size / 4,
           [&](int begin, int end, int) { kernels_.gather(g, m, source_same, begin, end); });
}
template <class T>
void Plan<T>::copy_parameter(int i, const T* packed, T* canonical) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(canonical, packed, sizeof(T) * size_t(p.shape.size));
    return;
  }
  const int outputs = int(p.shape.outputs);
  const Map<T> m = panels_of(p, const_cast<T*>(packed));   // which is only read
  parallel(blocks(outputs), p.shape.size / 4,
           [&](int begin, int end, int) { kernels_.scatter(m, canonical, outputs, begin, end); });
}
template <class T>
void Plan<T>::set_parameter(int i, const T* values) {
  i = used(i);
  version_++;
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
// Numbers of uses that lie otherwise than the parameter.
template <class T>
void Plan<T>::renew_uses() {
  if (uses_version_ == version_) return;
  uses_version_ = version_;
  for (size_t i = 0; i < parameters_.size(); i++) {
    const Parameter& p = parameters_[i];
    if (p.of < 0 || !relaid(p)) continue;
    copy_parameter(p.of, theta(p.of), canonical_);
    pack_parameter(int(i), canonical_, theta(int(i)));
  }
}

// ∂J/∂θ is the sum over the uses of θ, in the order of the operations.
template <class T>
void Plan<T>::add_uses() {
  for (size_t i = 0; i < parameters_.size(); i++) {
    const Parameter& p = parameters_[i];
    if (p.of < 0 || frozen(p.of)) continue;
    const T* from = gradient(int(i));
    if (relaid(p)) {
      copy_parameter(int(i), from, canonical_);
      pack_parameter(p.of, canonical_, packed_);
      from = packed_;
    }
    const Parameter& of = parameter(p.of);
    const int64_t count = int64_t(of.shape.layout == Layout::plain ? size_t(of.shape.size) : of.vectors);
    T* to = gradient(p.of);
    constexpr int64_t piece = 4096;
    parallel(int((count + piece - 1) / piece), count / lanes(), [&](int begin, int end, int) {
      for (int64_t k = begin * piece; k < std::min(count, end * piece); k++) to[k] += from[k];
    });
  }
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

// The numbers of images in bands, one by one in the order of rows: for those who look.
template <class T, class Body>
static void each_in_bands(const ValueShape& shape, const Map<T>& m, int samples, int lanes, Body&& body) {
  for (int s = 0; s < samples; s++)
    for (int row = 0; row < shape.whole; row++) {
      const int lane = s * shape.bands + row / m.height;
      T* const from = m.row(lane / lanes, row % m.height) + lane % lanes;
      for (int64_t i = 0; i < int64_t(m.width) * m.channels; i++) body(from[i * lanes]);
    }
}

template <class T>
void Plan<T>::read_value(int i, bool delta, int samples, T* rows) const {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  const ValueShape& shape = value(i).shape;
  const int64_t run = int64_t(shape.width) * shape.channels;
  if (shape.lanes == InLanes::positions) {
    for (int s = 0; s < samples; s++)
      kernels_.scatter(one_sample(m, s), rows + s * shape.features(), shape.height * shape.width, 0, m.width);
    return;
  }
  if (shape.lanes != InLanes::samples) {
    for (int u = 0; u < samples * m.height; u++)
      copy_pixels(m.row(u / m.height, u % m.height), pixel(shape), rows + u * run, shape.channels, shape.channels, shape.width);
    return;
  }
  if (shape.bands > 1) return each_in_bands(shape, m, samples, lanes(), [&](T& number) { *rows++ = number; });
  kernels_.scatter(m, rows, samples, 0, blocks(samples) * m.height);
}
template <class T>
void Plan<T>::write_value(int i, bool delta, int samples, const T* rows) {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  const ValueShape& shape = value(i).shape;
  const int64_t run = int64_t(shape.width) * shape.channels;
  if (shape.lanes == InLanes::positions) {
    for (int s = 0; s < samples; s++) {
      GatherArgs g{};
      g.source = rows + s * shape.features(), g.features = g.piece = shape.channels;
      g.samples = shape.height * shape.width, g.repeat = !delta;
      kernels_.gather(g, one_sample(m, s), source_same, 0, m.width);
    }
    return;
  }
  if (shape.lanes != InLanes::samples) {
    for (int u = 0; u < samples * m.height; u++)
      copy_pixels(rows + u * run, shape.channels, m.row(u / m.height, u % m.height), pixel(shape), shape.channels, shape.width);
    return;
  }
  if (shape.bands > 1) return each_in_bands(shape, m, samples, lanes(), [&](T& number) { number = *rows++; });
  GatherArgs g{};
  g.source = rows, g.features = shape.features(), g.samples = samples, g.repeat = !delta;
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
    const auto beyond = [&](int b, int h, int lane) {
      return !v.shape.fills() && (b * lanes() + lane) % v.shape.bands * m.height + h >= v.shape.whole;
    };
    for (int b = 0; b < blocks(int(i), most_lanes(v.shape)); b++)
      for (int h = 0; h < m.height; h++) {
        const T* row = m.row(b, h);
        for (ptrdiff_t k = 0; k < ptrdiff_t(m.width) * pixel(v.shape); k++)
          if (!std::isfinite(row[k]) && !beyond(b, h, int(k % lanes()))) return i;
      }
  }
  return -1;
}
template <class T>
int64_t Plan<T>::first_nonfinite_parameter(bool of_gradient) const {
  const T* from = of_gradient ? gradient_ : theta_;
  if (!from) return -1;
  for (size_t i = 0; i < parameters_.size(); i++)
    for (size_t k = 0; parameters_[i].of < 0 && k < parameters_[i].padded; k++)
      if (!std::isfinite(from[parameters_[i].offset + k])) return int64_t(i);
  return -1;
}
template <class T>
int64_t Plan<T>::first_at_rest() const {
  if (!second_ || steps_taken < 1) return -1;
  const T correction = second_correction();
  for (size_t i = 0; i < parameters_.size(); i++)
    for (size_t k = 0; parameters_[i].of < 0 && k < parameters_[i].padded; k++)
      if (!std::isfinite(second_[parameters_[i].offset + k] * correction)) return int64_t(i);
  return -1;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
