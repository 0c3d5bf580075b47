// What lies between the projections of an attention layer: O from Q, K, V of every head.
#pragma once
#include <cmath>

#include "elementwise.hpp"

namespace chainrule {

template <class T>
class AttentionOperation final : public Operation<T> {
 public:
  int keys = -1, values = -1, mask = -1, seen = -1;   // x are the queries
  int heads = 1, key_heads = 1;
  bool causal = false, zero = false;   // zero: there is a key and value of zeros more
  std::vector<T> fixed;                // [query][key], 0 where no sample sees the key; or empty
  int row_key = -1, row_value = -1;    // a key and value more
  std::vector<int32_t> places;         // [query][key]: which number of the table is added to the score; or empty
  int table = -1;                      // [head][number]
  std::vector<T> numbers;              // the same where it is not learned
  int extra() const { return int(row_key >= 0) + int(zero); }

  bool accepts(const Plan<T>& plan, int i, InLanes lanes) const override {
    const bool by_channels = plan.value(this->z).shape.lanes == InLanes::channels;
    return i == seen && by_channels ? lanes == InLanes::samples : this->as_output(plan, lanes);
  }
  std::vector<int> reads() const override {
    std::vector<int> read{this->x, keys, values};
    if (seen >= 0) read.push_back(seen);
    return read;
  }
  void check(const Plan<T>& plan) const override {
    const auto &z = plan.value(this->z), &q = plan.value(this->x), &k = plan.value(keys), &v = plan.value(values);
    for (const auto* own : {&q, &k, &v})
      require(is_sequence(own->shape) && own->with_delta == z.with_delta,
              "queries, keys, values and the output of attention must be sequences, all with a δ or none");
    require(same_size(q.shape, z.shape) && same_size(k.shape, v.shape),
            "queries and the output of attention must have one shape, and keys and values");
    const InLanes lanes = z.shape.lanes;
    const int width = q.shape.channels / heads * key_heads;
    require(k.shape.channels == width && v.shape.channels == width, "the heads of keys and values must be those of queries");
    if (seen >= 0 && lanes == InLanes::positions) {
      const auto& own = plan.value(seen).shape;
      require(is_sequence(own) && own.width == q.shape.width && own.channels == k.shape.width,
              "what queries see, with queries in its lanes, has a channel for every key");
    }
    if (mask >= 0) require_mask(plan, mask, k.shape);
    const double vector = z.shape.lanes == InLanes::positions ? plan.lanes() : 1.0;
    const double steps = plan.laid(z.shape).width * vector, read = plan.laid(k.shape).width * vector + extra();
    require(double(plan.max_blocks()) * plan.lanes() * heads * steps * read <= most_scalars,
            "the weights of this attention would need more memory than can be addressed");
  }
  // The weights are kept for the backward pass; where there is none, a run of them is enough.
  void reserve(Plan<T>& plan) override {
    const auto& shape = plan.value(this->x).shape;
    if (shape.lanes == InLanes::positions) {
      const size_t square = size_t(plan.lanes()) * size_t(plan.lanes()),
                   vectors = size_t(plan.laid(shape).width) * size_t(plan.laid(plan.value(keys).shape).width);
      const size_t batch = size_t(plan.batch_size()), in_front = size_t(plan.laid(shape).width * extra() * plan.lanes());
      weights_ = plan.arena().reserve(batch * size_t(heads) * (vectors * square + in_front), sizeof(T));
      reserve_sums(plan, batch);
    } else if (plan.value(this->z).with_delta) {
      const size_t pairs = size_t(shape.width) * size_t(plan.value(keys).shape.width + extra()),
                   blocks = size_t(plan.max_blocks());
      weights_ = plan.arena().reserve(blocks * size_t(heads) * pairs * size_t(plan.lanes()), sizeof(T));
      reserve_sums(plan, blocks);
    }
    if (shape.lanes == InLanes::samples || (places.empty() && fixed.empty())) return;
    diagonal_ = fixed.empty() && is_diagonal(plan);
    const size_t l = size_t(plan.lanes()), steps = size_t(shape.width), read = size_t(plan.value(keys).shape.width);
    const size_t queries = (steps + l - 1) / l * l;
    added_head_ = diagonal_ ? (queries + read - 1 + l - 1) / l * l : queries * read;
    added_ = plan.arena().reserve((places.empty() ? 1 : size_t(heads)) * added_head_ + l, sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    args_.q = plan.map(this->x), args_.k = plan.map(keys), args_.v = plan.map(values), args_.o = plan.map(this->z);
    args_.q_delta = plan.delta(this->x), args_.k_delta = plan.delta(keys), args_.v_delta = plan.delta(values);
    args_.o_delta = plan.delta(this->z);
    args_.mask = plan.map(mask), args_.seen = plan.map(seen);
    args_.fixed = fixed.empty() ? nullptr : fixed.data();
    args_.weights = weights_.bytes ? plan.arena().template at<T>(weights_) : nullptr;
    args_.heads = heads, args_.key_heads = key_heads, args_.causal = causal;
    args_.features = plan.value(this->x).shape.channels / heads, args_.steps = plan.value(this->x).shape.width;
    args_.key_steps = plan.value(keys).shape.width;
    args_.scale = T(1 / std::sqrt(double(args_.features)));
    args_.extra = extra();
    if (row_key >= 0) args_.row_key = plan.theta(row_key), args_.row_value = plan.theta(row_value);
    args_.row_sums = row_sums_.bytes ? plan.arena().template at<double>(row_sums_) : nullptr;
    args_.added = nullptr;
    if (added_.bytes) {
      const ptrdiff_t l = plan.lanes(), read = args_.key_steps;
      args_.diagonal = diagonal_;
      args_.added = plan.arena().template at<T>(added_) + (diagonal_ ? read - 1 : 0);
      args_.added_head = places.empty() ? 0 : ptrdiff_t(added_head_);
      args_.added_vector = diagonal_ ? l : read * l, args_.added_key = diagonal_ ? -1 : l;
    }
    bind_places(plan);
    if (added_.bytes && table < 0) fill_added(plan);
  }
  void forward(Plan<T>& plan, int samples) override {
    went_back_ = false;
    const auto& k = plan.kernels();
    const InLanes lanes = plan.value(this->z).shape.lanes;
    if (added_.bytes && table >= 0 && !added_now_.holds(plan, 0)) fill_added(plan), added_now_.made(plan, 0);
    if (lanes == InLanes::positions) return run_positions(plan, k.attention_positions_forward, samples, heads, 2);
    if (lanes == InLanes::samples) return run(plan, k.attention_forward, samples, 2);
    const size_t scratch = k.attention_channels_scratch(args_);
    const int64_t pairs = int64_t(args_.steps) * args_.key_steps,
                  work = 2 * samples * pairs * args_.features * heads / plan.lanes();
    parallel(samples * heads, causal ? work / 2 : work,
             [&](int begin, int end, int) { k.attention_channels(args_, begin, end, thread_scratch<T>(scratch)); });
  }
  // Parameters of its own: one pass sums for their gradients and computes the δ. Blocks are added in their order, whatever the
  // threads.
  void gradients(Plan<T>& plan, int samples) override {
    if (!row_sums_.bytes && !table_sums_.bytes) return;
    const bool positions = plan.value(this->z).shape.lanes == InLanes::positions;
    const int blocks = positions ? samples : plan.blocks(samples);
    back(plan, samples);
    went_back_ = true;
    const auto add = [&](const double* sums, int parameter, ptrdiff_t size, const auto& place) {
      T* const to = plan.gradient(parameter);
      for (ptrdiff_t i = 0; i < plan.parameter(parameter).shape.size; i++) {
        double sum = 0;
        for (int b = 0; b < blocks; b++) sum += sums[b * size + place(i)];
        to[i] = T(sum);
      }
    };
    const ptrdiff_t features = args_.features, rows = 2 * features * key_heads;
    for (int which = 0; which < 2 && args_.row_sums; which++)
      add(args_.row_sums, which ? row_value : row_key, rows,
          [&](ptrdiff_t i) { return (i / features * 2 + which) * features + i % features; });
    if (args_.table_sums) add(args_.table_sums, table, ptrdiff_t(args_.numbers) * heads, [](ptrdiff_t i) { return i; });
  }
  bool gradients_before_delta() const override { return true; }
  void delta(Plan<T>& plan, int samples) override {
    if (went_back_) return void(went_back_ = false);
    back(plan, samples);
  }

 private:
  void bind_places(Plan<T>& plan) {
    if (places.empty()) return;
    args_.places = places.data();
    args_.table = table >= 0 ? plan.theta(table) : numbers.data();
    args_.numbers = int((table >= 0 ? size_t(plan.parameter(table).shape.size) : numbers.size()) / size_t(heads));
    args_.table_sums = table_sums_.bytes ? plan.arena().template at<double>(table_sums_) : nullptr;
  }
  void back(Plan<T>& plan, int samples) {
    const auto& k = plan.kernels();
    if (plan.value(this->z).shape.lanes != InLanes::positions) return run(plan, k.attention_backward, samples, 4);
    run_positions(plan, k.attention_positions_backward, samples, key_heads, 4);
  }
  void reserve_sums(Plan<T>& plan, size_t blocks) {
    if (row_key >= 0) row_sums_ = plan.arena().reserve(blocks * 2 * size_t(plan.parameter(row_key).shape.size), sizeof(double));
    if (table >= 0) table_sums_ = plan.arena().reserve(blocks * size_t(plan.parameter(table).shape.size), sizeof(double));
  }
  // Whether what is added is told by the distance of query and key alone.
  bool is_diagonal(const Plan<T>& plan) const {
    const size_t read = size_t(plan.value(keys).shape.width);
    for (size_t i = 0; i + read + 1 < places.size(); i++)
      if ((i + 1) % read != 0 && places[i] != places[i + read + 1]) return false;
    return true;
  }
  // What is added to the scores, as `added` of AttentionArgs has it; 0 of queries behind the last.
  void fill_added(Plan<T>& plan) {
    const ptrdiff_t l = plan.lanes(), read = args_.key_steps, steps = args_.steps;
    T* const all = plan.arena().template at<T>(added_);
    parallel(places.empty() ? 1 : heads, int64_t(added_head_) * heads / 4, [&](int begin, int end, int) {
      for (int h = begin; h < end; h++) {
        T* const own = all + ptrdiff_t(h) * ptrdiff_t(added_head_);
        const T* const of_head = places.empty() ? nullptr : args_.table + ptrdiff_t(h) * args_.numbers;
        if (diagonal_) {
          for (ptrdiff_t d = 1 - read; d < steps; d++) own[d + read - 1] = of_head[places[size_t(d < 0 ? -d : d * read)]];
          continue;
        }
        for (ptrdiff_t i = 0; i < steps; i++)
          for (ptrdiff_t j = 0; j < read; j++) {
            const size_t pair = size_t(i * read + j);
            const T number = of_head ? of_head[places[pair]] : T(0);
            own[(i / l * read + j) * l + i % l] = fixed.empty() || fixed[pair] != T(0) ? number : T(-INFINITY);
          }
      }
    });
  }
  template <class Kernel>
  void run_positions(Plan<T>& plan, Kernel kernel, int samples, int each, int products) {
    const size_t scratch = plan.kernels().attention_positions_scratch(args_);
    const int64_t pairs = int64_t(args_.steps) * args_.key_steps,
                  work = products * pairs * args_.q.channels * samples / plan.lanes();
    parallel(samples * each, causal ? work / 2 : work,
             [&](int begin, int end, int) { kernel(args_, begin, end, thread_scratch<T>(scratch)); });
  }
  template <class Kernel>
  void run(Plan<T>& plan, Kernel kernel, int samples, int products) {
    args_.blocks = plan.blocks(samples);
    const size_t scratch = plan.kernels().attention_scratch(args_);
    const int64_t pairs = int64_t(args_.q.width) * args_.k.width, work = products * pairs * args_.q.channels * args_.blocks;
    parallel(args_.blocks * key_heads, causal ? work / 2 : work,
             [&](int begin, int end, int) { kernel(args_, begin, end, thread_scratch<T>(scratch)); });
  }
  Region weights_, row_sums_, table_sums_, added_;
  size_t added_head_ = 0;
  bool diagonal_ = false;
  Prepared added_now_;       // of a learned table
  bool went_back_ = false;   // with the gradients, for this δ
  AttentionArgs<T> args_{};
};

}   // namespace chainrule
