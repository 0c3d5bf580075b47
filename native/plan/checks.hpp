// What an operation needs of its values and parameters, asked before memory is laid out: kernels trust what they are told.
#pragma once
#include <cstring>
#include <stdexcept>

#include "plan.hpp"

namespace chainrule {

constexpr int largest_window = 1 << 24;   // kernels, strides, dilations: their sums stay within 32 bits (layers/checks.py)
constexpr int largest_size = 1 << 30;     // of an image, and of the window of a global pooling layer
constexpr double most_scalars = 1e15;     // of one region; more is no memory of this world, and size_t holds its bytes

constexpr double most_parameters = most_scalars / 64;   // lanes and cache lines of zeros may be as many again

inline void require(bool fits, const char* message) {
  if (!fits) throw std::invalid_argument(message);
}

inline bool same_size(const ValueShape& a, const ValueShape& b) {
  return a.height == b.height && a.width == b.width && a.channels == b.channels && a.bands == b.bands && a.rows() == b.rows();
}
inline bool is_vector(const ValueShape& s) { return s.height == 1 && s.width == 1; }
inline bool is_sequence(const ValueShape& s) { return s.height == 1; }
inline bool has_halo(const ValueShape& s) { return s.top || s.bottom || s.left || s.right; }
// A value whose numbers, and whose δ's, lie without gaps.
template <class Value>
inline bool without_halo(const Value& v) {
  return !has_halo(v.shape) && !has_halo(v.delta_shape);
}

// Whether every window lies in the image or in the zeros around it, along one axis.
inline bool inside(int size, int before, int after, int count, int kernel, int stride, int dilation, int pad) {
  const int64_t extent = int64_t(kernel - 1) * dilation + 1;
  return pad >= 0 && pad <= before && int64_t(count - 1) * stride + extent - pad <= int64_t(size) + after;
}
template <class T>
void require_windows(const ConvArgs<T>& g) {
  for (const int size :
       {g.kernel_d, g.kernel_h, g.kernel_w, g.stride_d, g.stride_h, g.stride_w, g.dilation_d, g.dilation_h, g.dilation_w})
    require(size >= 1 && size <= largest_window, "kernel, stride and dilation must be between 1 and 2^24");
}
template <class T>
bool is_winograd(const ConvArgs<T>& g) {
  return !g.transposed && g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.stride_d == 1 && g.dilation_d == 1 && g.groups == 1 && g.pad_top <= 2 && g.pad_left <= 2;
}
// `count` numbers of each of `pixels` pixels, which are further apart on one side.
template <class T>
void copy_pixels(const T* from, int64_t from_pixel, T* to, int64_t to_pixel, int64_t count, int64_t pixels) {
  if (from_pixel == count && to_pixel == count) count *= pixels, pixels = 1;
  for (int64_t i = 0; i < pixels; i++) std::memcpy(to + i * to_pixel, from + i * from_pixel, sizeof(T) * size_t(count));
}

template <class T>
void require_same_size(const Plan<T>& plan, int x, int z) {
  require(same_size(plan.value(x).shape, plan.value(z).shape), "the values of this operation must be of one shape");
}
// Gradients of parameters are computed from the δ of the output.
template <class T>
void require_delta(const Plan<T>& plan, const Operation<T>& o) {
  require(plan.value(o.z).with_delta || !plan.wants_gradients(o), "an operation with parameters needs a δ of its output");
}
template <class T>
void require_plain(const Plan<T>& plan, int i, double size) {
  const ParameterShape& p = plan.parameter(i).shape;
  require(p.layout == Layout::plain && double(p.size) == size && p.size < (int64_t(1) << 31),
          "a parameter is not of the size that its operation needs");
}
// The mask of a sequence has a number for every step.
template <class T>
void require_mask(const Plan<T>& plan, int mask, const ValueShape& sequence) {
  const ValueShape& m = plan.value(mask).shape;
  require(
      is_sequence(m) && m.width == sequence.width && m.channels == 1 && is_sequence(sequence) && m.lanes == InLanes::samples,
      "a mask must have a number for every step of its sequence, and samples in its lanes");
}

}   // namespace chainrule
