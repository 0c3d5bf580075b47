// Images whose bands of rows lie in the lanes as samples do: the rows that a window reads of the bands above and below it
// (docs/decisions/0020-bands.md).
#pragma once
#include <algorithm>
#include <cstring>

#include "../plan/checks.hpp"
#include "../plan/parallel.hpp"
#include "../plan/plan.hpp"

namespace chainrule {

// `number` in the rows of bands, and of so many around each, that lie beyond the image. samples: bands in all.
template <class T>
void fill_beyond(const Plan<T>& plan, const Map<T>& m, const ValueShape& shape, int above, int below, T number, int samples) {
  const int64_t vectors = int64_t(m.width) * m.channels, l = plan.lanes();
  const int64_t rows = above + below + (shape.fills() ? 0 : m.height);
  parallel(plan.blocks(samples), rows * vectors * samples / shape.bands, [&](int begin, int end, int) {
    for (int v = begin * int(l); v < std::min(end * int(l), samples); v++) {
      const int first = v % shape.bands * m.height;
      for (int h = -above; h < m.height + below; h++) {
        if (0 <= first + h && first + h < shape.whole) continue;
        T* const to = m.row(v / int(l), h) + v % l;
        for (int64_t k = 0; k < vectors; k++) to[k * l] = number;
      }
    }
  });
}

// The rows of value i, or of its δ, that lie beyond the image, set to zero: nothing is there, as around it.
template <class T>
void clear_beyond(Plan<T>& plan, int i, bool delta, int samples) {
  const auto& value = plan.value(i);
  if (!value.shape.fills()) fill_beyond(plan, delta ? value.delta : value.map, value.shape, 0, 0, T(0), samples);
}

// The rows around value i, or around its δ: those of its neighbours, zeros beyond the image. samples: bands in all.
template <class T>
void bring_neighbours(Plan<T>& plan, int i, bool delta, int samples) {
  const auto& value = plan.value(i);
  const ValueShape& shape = delta ? value.delta_shape : value.shape;
  const int bands = shape.bands, l = plan.lanes(), blocks = plan.blocks(samples), rows = shape.top + shape.bottom;
  if (bands == 1) return;
  clear_beyond(plan, i, delta, samples);
  if (rows == 0) return;
  const Map<T>& m = delta ? value.delta : value.map;
  const int64_t vectors = int64_t(m.width) * m.channels;
  parallel(blocks * rows, int64_t(blocks) * rows * vectors * 2, [&](int begin, int end, int) {
    for (int unit = begin; unit < end; unit++) {
      const int b = unit / rows, row = unit % rows;
      const bool above = row < shape.top;
      const int to = above ? row - shape.top : m.height + row - shape.top, from = above ? to + m.height : to - m.height;
      const int neighbour = above ? b - 1 : b + 1;
      const T* const beside = 0 <= neighbour && neighbour < blocks ? m.row(neighbour, from) : nullptr;
      bool keep[64];
      for (int lane = 0; lane < l; lane++) keep[lane] = (int64_t(b) * l + lane) % bands != (above ? 0 : bands - 1);
      if (!beside) keep[above ? 0 : l - 1] = false;
      plan.kernels().shift_lanes(m.row(b, from), beside, above, keep, m.row(b, to), vectors);
    }
  });
}

// to = from, whose bands have further rows above and below, which are added to those of the bands beside: what windows that
// reach there send. samples: bands in all.
template <class T>
void add_beside(Plan<T>& plan, const Map<T>& from, const Map<T>& to, const ValueShape& shape, int above, int below,
                int samples) {
  const int l = plan.lanes(), height = to.height, bands = shape.bands, blocks = plan.blocks(samples);
  const int64_t vectors = int64_t(to.width) * to.channels;
  parallel(blocks * height, int64_t(samples) * height * vectors / l, [&](int begin, int end, int) {
    T* const arrived = thread_scratch<T>(size_t(vectors * l));
    for (int unit = begin; unit < end; unit++) {
      const int b = unit / height, h = unit % height;
      std::memcpy(to.row(b, h), from.row(b, above + h), sizeof(T) * size_t(vectors * l));
      const auto add = [&](int row, bool from_above) {
        const int neighbour = from_above ? b - 1 : b + 1, edge = from_above ? 0 : bands - 1;
        const T* const beside = 0 <= neighbour && neighbour < blocks ? from.row(neighbour, row) : nullptr;
        bool keep[64];
        for (int lane = 0; lane < l; lane++) keep[lane] = (int64_t(b) * l + lane) % bands != edge;
        if (!beside) keep[from_above ? 0 : l - 1] = false;
        plan.kernels().shift_lanes(from.row(b, row), beside, from_above, keep, arrived, vectors);
        plan.kernels().add_run(to.row(b, h), arrived, to.row(b, h), ptrdiff_t(vectors * l));
      };
      if (h < below) add(above + height + h, true);
      if (h >= height - above) add(h - (height - above), false);
    }
  });
}

}   // namespace chainrule
