// What slides windows over an image: convolution and pooling.
#pragma once
#include <algorithm>
#include <limits>
#include <utility>

#include "elementwise.hpp"
#include "bands.hpp"

namespace chainrule {

// A copy of a value, or of a δ, with the zeros around it, for products of bfloat16: rounded numbers, or pairs of channels or of
// lanes.
template <class T>
class Factor {
 public:
  enum Form { rounded, channels, lanes };

  void reserve(Plan<T>& plan, const ValueShape& shape, Form form) {
    form_ = form, channels_ = shape.channels;
    const ptrdiff_t l = plan.lanes();
    from_pixel_ = channels_ * l;
    pixel_ = form == rounded ? from_pixel_ : form == channels ? (channels_ + 1) / 2 * l : from_pixel_ / 2;
    columns_ = shape.left + shape.width + shape.right, rows_ = shape.top + shape.height + shape.bottom;
    before_ = ptrdiff_t(shape.top) * columns_ + shape.left;
    const size_t pixels = size_t(plan.blocks(plan.most_lanes(shape))) * size_t(rows_) * size_t(columns_);
    region_ = plan.arena().reserve(pixels * size_t(pixel_), sizeof(T));
  }
  Map<T> map(Plan<T>& plan, Map<T> of) const {
    if (!of.data) return of;
    of.data = plan.arena().template at<T>(region_) + before_ * pixel_;
    of.row_step = columns_ * pixel_, of.block_step = rows_ * of.row_step;
    if (form_ == channels) of.channels = (channels_ + 1) / 2;
    return of;
  }
  void make(Plan<T>& plan, const Map<T>& of, int samples) const {
    const int64_t pixels = int64_t(plan.blocks(samples)) * rows_ * columns_;
    const T* const from = of.data - before_ * from_pixel_;
    if (form_ == rounded) return round(plan, from, plan.arena().template at<T>(region_), pixels * channels_);
    if constexpr (sizeof(T) == 4) {
      const PairArgs g{from, from_pixel_, plan.arena().template at<uint32_t>(region_), pixel_, channels_};
      const auto kernel = form_ == channels ? plan.pairs().along : plan.pairs().lanes;
      parallel(int(pixels), pixels * channels_, [&](int begin, int end, int) { kernel(g, begin, end); });
    }
  }
  static void round(Plan<T>& plan, const T* from, T* to, int64_t vectors) {
    if constexpr (sizeof(T) == 4) {
      constexpr int64_t piece = 1024;
      parallel(int((vectors + piece - 1) / piece), vectors,
               [&](int begin, int end, int) { plan.pairs().round(from, to, begin * piece, std::min(end * piece, vectors)); });
    }
  }

 private:
  Region region_;
  Form form_ = rounded;
  int channels_ = 0;
  ptrdiff_t pixel_ = 0, from_pixel_ = 0, columns_ = 0, rows_ = 0, before_ = 0;
};

template <class T>
class ConvolutionOperation final : public Operation<T> {
 public:
  int weights = -1, bias = -1;
  ConvMethod method = ConvMethod::direct;
  ConvArgs<T> geometry{};   // kernel, stride, padding, dilation, groups, transposed; of a volume its planes, or a band's
  bool rounded = false;     // x, weights and δ are, to bfloat16, before they are multiplied; float only

  // Partial sums of Winograd's weight gradient: a fixed number, whatever the threads.
  static constexpr int parts = 4;

  bool takes_bands(const Plan<T>&) const override { return true; }
  void check(const Plan<T>& plan) const override {
    const ConvArgs<T>& g = geometry;
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    const ValueShape &image = g.transposed ? z.shape : x.shape, &windows = g.transposed ? x.shape : z.shape;
    require_windows(g);
    require(g.groups >= 1 && image.channels % g.groups == 0 && windows.channels % g.groups == 0,
            "the groups of a convolution must divide its channels");
    require(!depthwise() || g.groups == image.channels, "a depthwise convolution has a group for every channel");
    require_plain(plan, weights, double(g.kernel_d) * g.kernel_h * g.kernel_w * windows.channels * (image.channels / g.groups));
    require(g.x_planes >= 1 && g.z_planes >= 1 && image.height % g.x_planes == 0 && windows.height % g.z_planes == 0 &&
                (g.volume || (g.x_planes == 1 && g.z_planes == 1 && g.kernel_d == 1)),
            "the planes of a volume have equally many rows");
    if (bias >= 0) require_plain(plan, bias, z.shape.channels);
    require_delta(plan, *this);
    const ValueShape& read = g.transposed ? z.delta_shape : x.shape;   // the image as a sliding kernel reads it
    if (z.shape.bands > 1) check_bands(x, z);
    require((g.volume ? g.pad_front >= 0 && g.pad_top >= 0
                      : inside(read.height, read.top, read.bottom, windows.height, g.kernel_h, g.stride_h, g.dilation_h,
                               g.pad_top)) &&
                inside(read.width, read.left, read.right, windows.width, g.kernel_w, g.stride_w, g.dilation_w, g.pad_left),
            "a window of a convolution stands out of the zeros around its image");
    if (!winograd()) return;
    require(is_winograd(g), "Winograd's convolution has kernels of 3 x 3 at stride 1, and at most 2 zeros around the image");
    require(!g.volume || g.pad_front < g.kernel_d, "every window of a volume meets a plane");
    // Tiles of 2 x 2 outputs read 4 x 4 patches: an odd size is that of one more. The gradient reads δ in tiles.
    const auto even = [](int size) { return (size + 1) / 2 * 2; };
    const ValueShape& d = z.delta_shape;
    require((g.volume || (inside(read.height, read.top, read.bottom, even(d.height), 3, 1, 1, g.pad_top) &&
                          inside(d.height, d.top, d.bottom, even(read.height), 3, 1, 1, 2 - g.pad_top) &&
                          even(d.height) <= d.height + d.bottom)) &&
                inside(read.width, read.left, read.right, even(d.width), 3, 1, 1, g.pad_left) &&
                inside(d.width, d.left, d.right, even(read.width), 3, 1, 1, 2 - g.pad_left) &&
                even(d.width) <= d.width + d.right,
            "Winograd's convolution needs more zeros around its image or its δ");
  }
  void reserve(Plan<T>& plan) override {
    const auto& k = plan.kernels();
    const auto &image = plan.value(geometry.transposed ? this->z : this->x).shape,
               &windows = plan.value(geometry.transposed ? this->x : this->z).shape;
    const int channels = image.channels, filters = windows.channels;
    geometry.x.channels = channels, geometry.z.channels = filters;
    if (winograd()) packed_ = plan.arena().reserve(k.winograd_packed_size(channels, filters, geometry.kernel_d), sizeof(T));
    else if (!depthwise()) packed_ = plan.arena().reserve(k.conv_packed_size(geometry), sizeof(T));
    geometry.z.height = windows.height, geometry.z.width = windows.width;
    if (rounded) reserve_factors(plan);
    if (!plan.value(this->z).with_delta) return;
    if (winograd_gradient())
      partial_ = plan.arena().reserve(parts * k.winograd_partial_size(channels, filters, geometry.kernel_d), sizeof(T));
    const int most = plan.most_lanes(windows);
    if (!winograd_gradient() && !depthwise() && (by_filters_of_any(plan, most) || pairs_gradient_ || strips_of(plan, most)))
      partial_ = plan.arena().reserve(k.conv_filters_size(geometry), sizeof(T));
    if (plan.per_sample() && !depthwise())
      norms_ = plan.arena().reserve(size_t(k.conv_gradient_units(geometry)) * size_t(plan.max_blocks()) * size_t(plan.lanes()),
                                    sizeof(double));
  }

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto x = plan.map(this->x), z = plan.map(this->z), x_delta = plan.delta(this->x), z_delta = plan.delta(this->z);
    ConvArgs<T>&f = forward_, &d = delta_, &g = gradient_;
    f = geometry;
    f.weights = rounded ? plan.arena().template at<T>(weights_rounded_) : plan.theta(weights);
    f.packed = plan.arena().template at<T>(packed_);
    f.partial = partial_.bytes ? plan.arena().template at<T>(partial_) : nullptr;
    f.parts = parts;
    const bool transposed = geometry.transposed;
    const ValueShape &image = transposed ? plan.value(this->z).delta_shape : plan.value(this->x).shape,
                     &windows = transposed ? plan.value(this->x).shape : plan.value(this->z).delta_shape;
    if (windows.bands > 1) {
      f.x_above = image.top / x_line(image), f.x_below = image.bottom / x_line(image);
      f.above = windows.top / z_line(windows), f.below = windows.bottom / z_line(windows);
    }
    d = g = f;
    f.bias = plan.theta(bias);
    f.post = this->post, d.post = this->input_post;
    g.weight_gradient = plan.gradient(weights), g.bias_gradient = plan.gradient(bias);
    if (geometry.transposed) {
      f.x = f.x_delta = z, f.z = x;
      d.x = z_delta, d.z = x_delta;
      g.x = z_delta, g.z = x, g.bias_gradient = nullptr;
    } else {
      f.x = x, f.z = z;
      d.x = x, d.z = z_delta, d.x_delta = x_delta;
      g.x = x, g.z = z_delta;
    }
    if (!rounded) return;
    g.bias_gradient = nullptr;   // ∂b is no product: of δ as it is
    ConvArgs<T>&slides = geometry.transposed ? d : f, &spreads = geometry.transposed ? f : d;
    slides.x = image_.map(plan, slides.x), spreads.z = windows_.map(plan, spreads.z);
    g.x = (own_image() ? image_of_gradient_ : image_).map(plan, g.x);
    if (!pairs_gradient_) g.z = (own_windows() ? windows_of_gradient_ : windows_).map(plan, g.z);
  }

  void forward(Plan<T>& plan, int samples) override {
    bring_neighbours(plan, this->x, false, samples);
    if (rounded) round_weights(plan), (geometry.transposed ? windows_ : image_).make(plan, plan.map(this->x), samples);
    geometry.transposed ? spread(plan, forward_, samples) : slide(plan, forward_, samples);
  }
  void delta(Plan<T>& plan, int samples) override {
    if (!std::exchange(delta_brought_, false)) bring_neighbours(plan, this->z, true, samples);
    if (rounded) {
      round_weights(plan);
      const bool made = std::exchange(delta_made_, false) && plan.value(this->z).shape.bands == 1;
      if (!made) (geometry.transposed ? image_ : windows_).make(plan, plan.delta(this->z), samples);
    }
    geometry.transposed ? slide(plan, delta_, samples) : spread(plan, delta_, samples);
  }

  void gradients(Plan<T>& plan, int samples) override {
    if (geometry.transposed) bring_neighbours(plan, this->z, true, samples), delta_brought_ = true;
    else clear_beyond(plan, this->z, true, samples);
    if (rounded) {
      const Map<T> x = plan.map(this->x), delta = plan.delta(this->z);
      const bool transposed = geometry.transposed;
      if (own_image()) image_of_gradient_.make(plan, transposed ? delta : x, samples);
      else if (transposed) image_.make(plan, delta, samples), delta_made_ = true;
      if (own_windows()) windows_of_gradient_.make(plan, transposed ? x : delta, samples);
      else if (!pairs_gradient_ && !transposed) windows_.make(plan, delta, samples), delta_made_ = true;
    }
    ConvArgs<T>& g = gradient_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    const int filters = geometry.z.channels;
    if (depthwise()) {
      parallel(k.depthwise_gradient_units(g), work(g), [&](int begin, int end, int) { k.depthwise_gradient(g, begin, end); });
    } else if (winograd_gradient()) {
      const size_t scratch = k.winograd_scratch(g.x.channels, filters, g.kernel_d);
      parallel(parts, work(g),
               [&](int begin, int end, int) { k.winograd_gradient(g, begin, end, thread_scratch<T>(scratch)); });
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.winograd_gradient_finish(g, begin, end); });
    } else if (g.partial && (pairs_gradient_ || by_filters(plan, g, samples))) {
      auto transpose = k.conv_filters_transpose, gradient = k.conv_filters_gradient;
      if constexpr (sizeof(T) == 4)
        if (pairs_gradient_) transpose = plan.pairs().filters_transpose, gradient = plan.pairs().filters_gradient;
      for (int b = 0, blocks = 1; b < g.blocks; b += blocks) {
        ConvArgs<T> strip = g;
        strip.x.data = g.x.block(b), strip.z.data = g.z.block(b);
        const int full = samples / plan.lanes() - b;   // blocks from here on without an empty lane
        strip.samples = full > 0 ? plan.lanes() : samples - b * plan.lanes();
        const int rows = k.conv_filters_rows(strip);
        blocks = rows == g.z.height ? std::clamp(full, 1, k.conv_filters_blocks(strip)) : 1;
        strip.strip_blocks = blocks;
        for (int first = 0; first < g.z.height; first += rows) {
          strip.first_row = first, strip.rows = std::min(rows, g.z.height - first), strip.accumulate = b + first > 0;
          const int64_t products = work(g) / g.blocks * blocks * strip.rows / g.z.height;
          parallel(strip.rows * blocks, products / 16, [&](int begin, int end, int) { transpose(strip, begin, end); });
          parallel(k.conv_filters_units(g), products, [&](int begin, int end, int) { gradient(strip, begin, end); });
        }
      }
      parallel(k.conv_filters_finish_units(g), weight_count(),
               [&](int begin, int end, int) { k.conv_filters_finish(g, begin, end); });
    } else {
      const int units = k.conv_gradient_units(g);
      in_strips(plan, g, [&](const ConvArgs<T>& strip) {
        parallel(units, work(g) / g.blocks * strip.blocks / g.z.height * strip.rows,
                 [&](int begin, int end, int) { k.conv_gradient(strip, begin, end); });
      });
    }
    if (!(geometry.transposed || rounded) || bias < 0) return;
    ConvArgs<T> sums = g;
    sums.x = plan.delta(this->z), sums.bias_gradient = plan.gradient(bias);
    parallel(sums.x.channels, int64_t(g.blocks) * sums.x.height * sums.x.width * sums.x.channels,
             [&](int begin, int end, int) { k.conv_transposed_bias(sums, begin, end); });
  }

  // By the direct kernel, whose lanes hold the samples' own gradients until the end.
  bool norms(Plan<T>& plan, int samples, bool, double* norms) override {
    if (geometry.transposed || depthwise() || rounded) return false;
    ConvArgs<T> g = gradient_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    const int units = k.conv_gradient_units(g);
    g.rows = g.z.height;
    g.norms = plan.arena().template at<double>(norms_);
    parallel(units, work(g), [&](int begin, int end, int) { k.conv_gradient(g, begin, end); });
    for (int unit = 0; unit < units; unit++)
      for (int s = 0; s < samples; s++) norms[s] = std::hypot(norms[s], g.norms[ptrdiff_t(unit) * g.blocks * plan.lanes() + s]);
    return true;
  }

 private:
  // Of bfloat16: whether each pass multiplies pairs, and what it reads in place of the image that windows slide over, and of
  // the windows' values.
  bool pairs_slide_ = false, pairs_spread_ = false, pairs_gradient_ = false;
  Factor<T> image_, windows_, image_of_gradient_, windows_of_gradient_;
  bool delta_made_ = false, delta_brought_ = false;   // by `gradients`, which come first
  Region weights_rounded_;
  Prepared weights_made_;
  // Whether the gradient reads a copy of its own, not that of the pass forward or back.
  bool own_image() const { return pairs_gradient_ || pairs_slide_; }
  bool own_windows() const { return !pairs_gradient_ && pairs_spread_; }

  void reserve_factors(Plan<T>& plan) {
    using F = Factor<T>;
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    const ValueShape &image = geometry.transposed ? z.delta_shape : x.shape,
                     &windows = geometry.transposed ? x.shape : z.delta_shape;
    const bool direct = method == ConvMethod::direct;
    const auto pays = [&](int channels) {   // one channel and a zero beside it would gain nothing; a pair is of one group
      return direct && channels > 1 && (geometry.groups == 1 || channels / geometry.groups % 2 == 0);
    };
    pairs_slide_ = pays(image.channels), pairs_spread_ = pays(windows.channels);
    // By filters at half the price; not where these leave two thirds of their lanes empty.
    const int panels = (windows.channels + plan.lanes() - 1) / plan.lanes();
    pairs_gradient_ = direct && z.with_delta && geometry.groups == 1 && geometry.dilation_w == 1 &&
                      panels * plan.lanes() <= 3 * windows.channels;
    weights_rounded_ = plan.arena().reserve(plan.parameter(weights).vectors, sizeof(T));
    const bool ahead = !geometry.transposed || z.with_delta, back = geometry.transposed || z.with_delta;
    if (ahead) image_.reserve(plan, image, pairs_slide_ ? F::channels : F::rounded);
    if (back) windows_.reserve(plan, windows, pairs_spread_ ? F::channels : F::rounded);
    if (!z.with_delta) return;
    if (own_image()) image_of_gradient_.reserve(plan, image, pairs_gradient_ ? F::lanes : F::rounded);
    if (own_windows()) windows_of_gradient_.reserve(plan, windows, F::rounded);
  }
  void round_weights(Plan<T>& plan) {
    if (weights_made_.holds(plan, 0)) return;
    Factor<T>::round(plan, plan.theta(weights), plan.arena().template at<T>(weights_rounded_),
                     int64_t(plan.parameter(weights).vectors) / plan.lanes());
    weights_made_.made(plan, 0);
  }
  // What bands are cut along: rows, or planes, which have so many.
  int x_line(const ValueShape& image) const { return geometry.volume ? image.height / geometry.x_planes : 1; }
  int z_line(const ValueShape& windows) const { return geometry.volume ? windows.height / geometry.z_planes : 1; }
  // Every band of z is that of the band of x with the same number, and of its nearest neighbours; so is the δ of x.
  template <class Value>
  void check_bands(const Value& x, const Value& z) const {
    const ConvArgs<T>& g = geometry;
    const auto in_lines = [](ValueShape shape, int line) {
      for (int* size : {&shape.height, &shape.top, &shape.bottom}) {
        require(*size % line == 0, "a band of a volume has whole planes");
        *size /= line;
      }
      return shape;
    };
    const ValueShape &of_image = g.transposed ? z.delta_shape : x.shape, &of_windows = g.transposed ? x.shape : z.delta_shape;
    const ValueShape image = in_lines(of_image, x_line(of_image)), windows = in_lines(of_windows, z_line(of_windows));
    const int kernel = g.volume ? g.kernel_d : g.kernel_h, stride = g.volume ? g.stride_d : g.stride_h,
              dilation = g.volume ? g.dilation_d : g.dilation_h, pad = g.volume ? g.pad_front : g.pad_top;
    require(x.shape.bands == z.shape.bands && windows.height * int64_t(stride) == image.height,
            "the bands of a convolution are those of its input");
    require(image.top <= image.height && image.bottom <= image.height && windows.top <= windows.height &&
                windows.bottom <= windows.height,
            "a band reads its nearest neighbours only");
    const int64_t reach = int64_t(kernel - 1) * dilation - pad;   // below the last window's first row
    require(
        !(g.transposed || z.with_delta) || (reach <= (int64_t(windows.top) + 1) * stride - 1 &&
                                            image.height - 1 + pad <= (int64_t(windows.height) + windows.bottom) * stride - 1),
        "what windows of bands spread needs their neighbours' rows");
    require(pad <= image.top && (windows.height - 1) * int64_t(stride) + reach < int64_t(image.height) + image.bottom,
            "what windows of bands read needs their neighbours' rows");
    require(!winograd() || g.volume || windows.height % 2 == 0, "Winograd's tiles are whole within a band");
  }

  // A value for every window of the image: the forward pass, and the δ of a transposed convolution.
  void slide(Plan<T>& plan, ConvArgs<T>& g, int samples) {
    g.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const int filters = geometry.z.channels, rows = g.blocks * g.z.height;
    if (depthwise()) {
      parallel(rows, work(g), [&](int begin, int end, int) { k.depthwise_forward(g, begin, end); });
    } else if (winograd()) {
      prepare(plan, ahead, filters, [&](int begin, int end, int) { k.winograd_pack(g, false, begin, end); });
      const size_t scratch = k.winograd_scratch(g.x.channels, filters, g.kernel_d);
      parallel(g.blocks * g.z_planes * ((g.z.height / g.z_planes + 1) / 2), work(g),
               [&](int begin, int end, int) { k.winograd_forward(g, begin, end, thread_scratch<T>(scratch)); });
    } else {
      const auto [pack, run] = direct_kernels(plan, pairs_slide_, k.conv_pack_forward, k.conv_forward,
                                              &PairKernels::pack_forward, &PairKernels::conv_forward);
      prepare(plan, ahead, filters, [&, pack = pack](int begin, int end, int) { pack(packing(g), begin, end); });
      parallel(rows, work(g), [&, run = run](int begin, int end, int) { run(g, begin, end); });
    }
  }

  // Every window's value spread over the image: δ, and the forward pass of a transposed convolution.
  void spread(Plan<T>& plan, ConvArgs<T>& g, int samples) {
    g.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const int filters = geometry.z.channels, channels = geometry.x.channels, rows = g.blocks * g.x.height;
    if (depthwise()) {
      parallel(rows, work(g), [&](int begin, int end, int) { k.depthwise_backward(g, begin, end); });
    } else if (winograd()) {
      const size_t scratch = k.winograd_scratch(channels, filters, g.kernel_d);
      prepare(plan, back, channels, [&](int begin, int end, int) { k.winograd_pack(g, true, begin, end); });
      parallel(g.blocks * g.x_planes * ((g.x.height / g.x_planes + 1) / 2), work(g),
               [&](int begin, int end, int) { k.winograd_backward(g, begin, end, thread_scratch<T>(scratch)); });
    } else {
      const auto [pack, run] = direct_kernels(plan, pairs_spread_, k.conv_pack_backward, k.conv_backward,
                                              &PairKernels::pack_backward, &PairKernels::conv_backward);
      prepare(plan, back, filters, [&, pack = pack](int begin, int end, int) { pack(packing(g), begin, end); });
      parallel(rows, work(g), [&, run = run](int begin, int end, int) { run(g, begin, end); });
    }
  }

  using Kernel = void (*)(const ConvArgs<T>&, int begin, int end);
  using OfPairs = void (*PairKernels::*)(const ConvArgs<float>&, int begin, int end);
  // What packs the weights of a direct convolution, and what runs it.
  static std::pair<Kernel, Kernel> direct_kernels(const Plan<T>& plan, bool pairs, Kernel pack, Kernel run, OfPairs pack_pairs,
                                                  OfPairs run_pairs) {
    if constexpr (sizeof(T) == 4)
      if (pairs) return {plan.pairs().*pack_pairs, plan.pairs().*run_pairs};
    return {pack, run};
  }
  // With all channels and filters, where those that a pass reads are pairs.
  ConvArgs<T> packing(const ConvArgs<T>& g) const {
    ConvArgs<T> all = g;
    all.x.channels = geometry.x.channels, all.z.channels = geometry.z.channels;
    return all;
  }
  // The weights as the pass reads them, made anew where they have changed or the other pass has left its own.
  template <class Body>
  void prepare(const Plan<T>& plan, int form, int units, Body&& pack) {
    if (prepared_.holds(plan, form)) return;
    parallel(units, weight_count(), pack);
    prepared_.made(plan, form);
  }

  // Of a batch of that many samples or fewer, so that each is summed as a plan of its own size does.
  bool by_filters_of_any(const Plan<T>& plan, int most) const {
    for (int n = 1; n <= most; n++)
      if (by_filters(plan, geometry, n)) return true;
    return most < plan.lanes();
  }
  bool strips_of(const Plan<T>& plan, int samples) const {
    ConvArgs<T> g = geometry;
    g.blocks = plan.blocks(samples);
    return cut_in_strips(plan, g);
  }
  static bool by_filters(const Plan<T>& plan, ConvArgs<T> g, int samples) {
    g.blocks = plan.blocks(samples), g.samples = samples;
    if (!plan.kernels().conv_by_filters(g)) return false;
    if (!cut_in_strips(plan, g)) return true;
    // By filters, lanes behind a group's last are empty. In strips a product takes up to an eighth longer (28 → 36 filters),
    // and every number of the gradient 8 more at a strip's end.
    const int64_t pixels = strip_pixels(plan, g);
    const auto filled = [&](int size) { return int64_t(g.groups) * ((g.z.channels / g.groups + size - 1) / size); };
    return filled(plan.lanes()) * samples * pixels * 7 <= filled(4) * 4 * g.blocks * (pixels + 8) * 8;
  }
  // Every tile of the direct gradient reads x and δ of all pixels: in strips that stay in L2, unless they were of so few pixels
  // that the sums at their ends would count.
  static int64_t strip_pixels(const Plan<T>& plan, const ConvArgs<T>& g) {
    constexpr int64_t strip = 512 * 1024;
    return strip / (int64_t(sizeof(T)) * plan.lanes() * (g.x.channels + g.z.channels));
  }
  static bool cut_in_strips(const Plan<T>& plan, const ConvArgs<T>& g) {
    const int64_t pixels = strip_pixels(plan, g), all = int64_t(g.blocks) * g.z.height * g.z.width;
    const int64_t least = all > 4 * pixels ? 64 : 128;   // 2 MB may lie in L2: 8 groups of 8, 144 pixels: 6 % slower in strips
    return pixels >= least && pixels < all;
  }
  // body(strip) of the parts of a batch, one behind the other: rows of a block, or whole blocks.
  template <class Body>
  static void in_strips(const Plan<T>& plan, const ConvArgs<T>& g, Body&& body) {
    ConvArgs<T> strip = g;
    if (!cut_in_strips(plan, g)) {
      strip.rows = g.z.height, strip.partial = nullptr;
      return body(strip);
    }
    const int64_t pixels = strip_pixels(plan, g), image = int64_t(g.z.height) * g.z.width;
    const int rows = int(std::clamp<int64_t>(pixels / g.z.width, 1, g.z.height));
    const int blocks = rows < g.z.height ? 1 : int(std::clamp<int64_t>(pixels / image, 1, g.blocks));
    for (int b = 0; b < g.blocks; b += blocks)
      for (int first = 0; first < g.z.height; first += rows) {
        strip.x.data = g.x.block(b), strip.z.data = g.z.block(b), strip.blocks = std::min(blocks, g.blocks - b);
        strip.first_row = first, strip.rows = std::min(rows, g.z.height - first), strip.accumulate = b + first > 0;
        body(strip);
      }
  }

  static constexpr int ahead = 0, back = 1;
  Prepared prepared_;
  bool depthwise() const { return method == ConvMethod::depthwise; }
  bool winograd() const { return method == ConvMethod::winograd || winograd_gradient(); }
  bool winograd_gradient() const { return method == ConvMethod::winograd_gradient; }
  int64_t weight_count() const {
    return int64_t(geometry.kernel_d) * geometry.kernel_h * geometry.kernel_w * geometry.x.channels / geometry.groups *
           geometry.z.channels;
  }
  int64_t work(const ConvArgs<T>& g) const { return int64_t(g.blocks) * g.z.height * g.z.width * weight_count(); }
  Region packed_, partial_, norms_;
  ConvArgs<T> forward_{}, delta_{}, gradient_{};
};

template <class T>
class PoolOperation final : public Operation<T> {
 public:
  PoolArgs<T> geometry{};   // window, stride, padding, kind

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  bool takes_bands(const Plan<T>& plan) const override { return within_bands(plan); }
  void check(const Plan<T>& plan) const override {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    require(x.channels == z.channels && x.bands == z.bands, "pooling keeps the channels, and bands");
    // Every window has a pixel of the picture; without padding it has only such.
    const auto meets = [&](int64_t size, int count, int window, int stride, int pad) {
      const int64_t last = int64_t(count - 1) * stride - pad;
      return window >= 1 && window <= largest_size && stride >= 1 && stride <= largest_size && pad >= 0 && pad < window &&
             last < size && (geometry.padded || (pad == 0 && last + window <= size));
    };
    const auto& g = geometry;
    require(g.x_planes >= 1 && g.z_planes >= 1 && x.height % g.x_planes == 0 && z.height % g.z_planes == 0 &&
                (g.volume || (g.x_planes == 1 && g.z_planes == 1 && g.window_d == 1 && g.stride_d == 1)),
            "the planes of a volume have equally many rows");
    const int64_t below = x.bands > 1 ? beside(plan).below : 0;   // brought there
    const int64_t rows_below = g.volume ? 0 : below, planes_below = g.volume ? below / x_line(plan) : 0;
    require(meets(g.x_planes + planes_below, g.z_planes, g.window_d, g.stride_d, g.pad_front) &&
                meets(x.height / g.x_planes + rows_below, z.height / g.z_planes, g.window_h, g.stride_h, g.pad_top) &&
                meets(x.width, z.width, g.window_w, g.stride_w, g.pad_left),
            "a window of a pooling layer lies outside of its image");
  }
  void reserve(Plan<T>& plan) override {
    const auto& x = plan.value(this->x);
    if (!beside(plan).any() || !x.with_delta) return;
    const size_t blocks = size_t(plan.blocks(plan.most_lanes(x.shape)));
    spread_ = plan.arena().reserve(blocks * size_t(rows_read(plan)) * row_size(plan), sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    args_ = geometry;
    args_.x = plan.map(this->x), args_.z = plan.map(this->z);
    args_.x_delta = plan.delta(this->x), args_.z_delta = plan.delta(this->z);
    args_.post = this->input_post;
    if (plan.value(this->x).shape.bands == 1) return;
    // The kernels see the rows beside a band as such of an image without zeros above and below.
    derives_ = geometry.kind == PoolKind::max && args_.post.saved.data == args_.x.data;   // at the maximum (pool.inl)
    outside_ = geometry.kind == PoolKind::max && reaches_out(plan);
    args_.x.data = args_.x.row(0, -beside(plan).above), args_.x.height = rows_read(plan);
    if (geometry.volume) args_.pad_front = 0, args_.x_planes = args_.x.height / x_line(plan);
    else args_.pad_top = 0, args_.padded = geometry.padded && across(plan);
    if (!spread_.bytes) return;
    args_.x_delta.data = plan.arena().template at<T>(spread_), args_.x_delta.height = args_.x.height;
    args_.x_delta.row_step = ptrdiff_t(row_size(plan)), args_.x_delta.block_step = args_.x.height * args_.x_delta.row_step;
    if (derives_) args_.post.saved = args_.x;
    else args_.post = {};
  }
  void forward(Plan<T>& plan, int samples) override {
    if (beside(plan).any() || reaches_out(plan)) bring_neighbours(plan, this->x, false, samples);   // of bands
    args_.blocks = plan.blocks(this->z, samples);
    without_outside(plan, samples, [&] {
      parallel(args_.blocks * args_.z.height, work(),
               [&](int begin, int end, int) { plan.kernels().pool_forward(args_, begin, end); });
    });
  }
  void delta(Plan<T>& plan, int samples) override {
    clear_beyond(plan, this->z, true, samples);   // a window there may reach the last rows of the image
    args_.blocks = plan.blocks(samples);
    without_outside(plan, samples, [&] {
      parallel(plan.kernels().pool_backward_units(args_), work(),
               [&](int begin, int end, int) { plan.kernels().pool_backward(args_, begin, end); });
    });
    if (!spread_.bytes) return;
    const auto [above, below] = beside(plan);
    add_beside(plan, args_.x_delta, plan.delta(this->x), plan.value(this->x).shape, int(above), int(below), samples);
    if (!derives_) multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  // What bands are cut along: rows, or planes, which have so many.
  int x_line(const Plan<T>& plan) const { return geometry.volume ? plan.value(this->x).shape.height / geometry.x_planes : 1; }
  int z_line(const Plan<T>& plan) const { return geometry.volume ? plan.value(this->z).shape.height / geometry.z_planes : 1; }
  int window() const { return geometry.volume ? geometry.window_d : geometry.window_h; }
  int stride() const { return geometry.volume ? geometry.stride_d : geometry.stride_h; }
  int pad() const { return geometry.volume ? geometry.pad_front : geometry.pad_top; }
  // Rows of the bands above and below one that its windows read.
  struct Beside {
    int64_t above, below;
    bool any() const { return above + below > 0; }
  };
  Beside beside(const Plan<T>& plan) const {
    if (plan.value(this->x).shape.bands == 1) return {0, 0};
    const int64_t above = pad(), below = int64_t(window()) - stride() - above;
    return {above * x_line(plan), std::max<int64_t>(below, 0) * x_line(plan)};
  }
  // Windows that are those of the band of their output begin there, or in the zeros above it, and reach no further than the
  // next one. Zeros are no pixel of a mean.
  bool within_bands(const Plan<T>& plan) const {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    const auto [above, below] = beside(plan);
    return int64_t(z.height) / z_line(plan) * stride() * x_line(plan) == x.height && 0 <= above && above <= x.top &&
           below <= x.bottom && x.top <= x.height && x.bottom <= x.height &&
           !(geometry.mean && !geometry.count_padding && reaches_out(plan));
  }
  // Whether windows read beyond the first or last row of the image, and beyond its columns.
  bool reaches_out(const Plan<T>& plan) const {
    const int64_t last = int64_t(plan.value(this->z).shape.rows() / z_line(plan) - 1) * stride() - pad();
    return pad() > 0 || last + window() > plan.value(this->x).shape.rows() / x_line(plan);
  }
  bool across(const Plan<T>& plan) const {
    const int64_t last = int64_t(plan.value(this->z).shape.width - 1) * geometry.stride_w - geometry.pad_left;
    return geometry.pad_left > 0 || last + geometry.window_w > plan.value(this->x).shape.width;
  }
  // What lies outside of the image is no maximum; others read zeros there.
  template <class Body>
  void without_outside(Plan<T>& plan, int samples, Body&& body) {
    const auto& x = plan.value(this->x);
    const auto fill = [&](T number) { fill_beyond(plan, x.map, x.shape, x.shape.top, x.shape.bottom, number, samples); };
    if (outside_) fill(-std::numeric_limits<T>::infinity());
    body();
    if (outside_) fill(T(0));
  }
  int rows_read(const Plan<T>& plan) const {
    return int(beside(plan).above + plan.value(this->x).shape.height + beside(plan).below);
  }
  size_t row_size(const Plan<T>& plan) const {
    const ValueShape& x = plan.value(this->x).shape;
    return size_t(x.width) * size_t(x.channels) * size_t(plan.lanes());
  }
  PoolArgs<T> args_{};
  Region spread_;          // δ of bands of the image, and above and below each what it sends to those beside
  bool derives_ = true;    // the kernel multiplies by f' of what lies below
  bool outside_ = false;   // windows for a maximum of bands reach beyond the image
  int64_t work() const {
    return int64_t(args_.blocks) * args_.z.height * args_.z.width * args_.z.channels * args_.window_d * args_.window_h *
           args_.window_w;
  }
};

// The mean over a sequence whose steps lie in the lanes, as a vector that has samples there.
template <class T>
class StepsMeanOperation final : public Operation<T> {
 public:
  bool accepts(const Plan<T>&, int i, InLanes lanes) const override {
    return lanes == (i == this->x ? InLanes::positions : InLanes::samples);
  }
  void check(const Plan<T>& plan) const override {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    require(is_sequence(x) && is_vector(z) && x.channels == z.channels, "the mean of a sequence is a vector of its channels");
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    args_.x = plan.map(this->x), args_.z = plan.map(this->z);
    args_.x_delta = plan.delta(this->x), args_.z_delta = plan.delta(this->z);
    args_.steps = plan.value(this->x).shape.width;
  }
  void forward(Plan<T>& plan, int samples) override { run(plan.kernels().steps_mean, samples); }
  void delta(Plan<T>& plan, int samples) override {
    run(plan.kernels().steps_mean_backward, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Kernel>
  void run(Kernel kernel, int samples) {
    args_.samples = samples;
    parallel(samples, int64_t(samples) * args_.x.width * args_.x.channels * 2,
             [&](int begin, int end, int) { kernel(args_, begin, end); });
  }
  StepsMeanArgs<T> args_{};
};

}   // namespace chainrule
