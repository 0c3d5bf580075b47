// Plan: whether what was built fits together, and where it lies in the arena.
#include <algorithm>
#include <vector>

#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

namespace {
// Scalars an update or a norm handles as one unit; a fixed number, because it fixes the order of the sums.
constexpr size_t chunk_scalars = 8192;
constexpr const char* other_lanes = "an operation does not take a value with this in its lanes";
}   // namespace

template <class T>
int Plan<T>::memory_of(int i) const {
  while (value(i).memory_of >= 0) i = value(i).memory_of;
  return i;
}

// The activation of value i, or f' of the one that made it, and what it is computed from.
template <class T>
void Plan<T>::check_post(const Post<T>& post, int saved, int i) const {
  if (saved >= 0) value(saved);
  if (post.kind == Act::identity) return;
  require(saved >= 0 && same_size(value(saved).shape, value(i).shape),
          "an activation needs a saved value of the shape it is applied to");
}

template <class T>
void Plan<T>::require_parts(int first, int positions, int features) const {
  require_building();
  require(of_outputs_, "parts belong to a loss that has them");
  const int64_t channels = value(output_).shape.channels, size = int64_t(positions) * features;
  require(positions > 0 && features > 0 && first >= 0 && first + size <= channels, "a part is of the features of the output");
}

template <class T>
void Plan<T>::check_loss() const {
  if (output_ < 0) return;
  const Value& output = value(output_);
  check_post(loss_post_, loss_saved_, output_);
  require(output.shape.lanes == InLanes::samples && output.shape.bands == 1,
          "a loss reads a value with whole samples in its lanes");
  require(output_activation_ < 0 || same_size(value(output_activation_).shape, output.shape),
          "the activation of an output must have its shape");
  int64_t next = 0;
  for (const LossPart& part : loss_parts_) {
    require(part.by != LossBy::host || host.call, "a loss of the host needs set_host");
    require(part.first == next, "the parts of a loss lie side by side");
    next += int64_t(part.positions) * part.features;
  }
  if (!of_outputs_) return;
  require(is_vector(output.shape) && next == output.shape.channels && loss_post_.kind == Act::identity,
          "the parts of a loss are all features of a vector, behind no activation");
}

// What no operation sees by itself; everything that runs has passed here.
template <class T>
void Plan<T>::check() const {
  if (wanted_parameters_ > most_parameters)
    throw std::length_error("the parameters of this plan would need more memory than can be addressed");
  std::vector<bool> written(values_.size());
  if (input_ >= 0) written[size_t(memory_of(input_))] = true;
  for (const auto& o : operations_) {
    const Value& z = value(o->z);
    for (const int i : o->reads())
      require(written[size_t(memory_of(i))], "an operation reads a value that no operation before it writes");
    check_post(o->post, o->saved, o->z), check_post(o->input_post, o->input_saved, o->x);
    require(!o->hands_down(*this) || z.with_delta, "an operation that hands a δ down needs one of its output");
    o->check(*this);
    std::vector<int> writes = o->writes();
    if (o->post.kind != Act::identity && o->saved != o->z) writes.push_back(o->saved);
    require(z.shape.bands == 1 || o->takes_bands(*this), "an operation does not take bands of images for samples");
    for (const int i : o->reads())
      require(value(i).shape.bands == z.shape.bands || o->cuts(), "the values of an operation have one cut");
    const auto takes = [&](int i) {
      const InLanes lanes = value(i).shape.lanes;
      return o->accepts(*this, i, lanes) && (lanes != InLanes::channels || !value(i).with_delta || o->trains_channels());
    };
    for (const int i : o->reads()) require(takes(i), other_lanes);
    for (const int i : writes) {
      require(takes(i), other_lanes);
      require(!written[size_t(memory_of(i))], "two operations write one value");
      written[size_t(memory_of(i))] = true;
    }
  }
  for (const Parameter& p : parameters_)
    require(!per_sample_ || p.of < 0, "gradients of single samples are of parameters that are used once");
  const bool whole = per_sample_ || sharing_.shards;
  for (const Value& v : values_)
    require(v.shape.bands == 1 || !whole,
            "gradients of single samples, and of shards of a batch, are of whole samples in lanes");
  check_loss();
}

template <class T>
bool Plan<T>::relaid(const Parameter& use) const {
  const ParameterShape &own = use.shape, &of = parameter(use.of).shape;
  return own.layout != of.layout || own.outputs != of.outputs;
}

// Uses lie behind the parameters, which are all that is updated, counted in norms and exchanged.
template <class T>
void Plan<T>::place_uses() {
  size_t canonical = 0, packed = 0;
  for (Parameter& p : parameters_) {
    if (p.of < 0) continue;
    const Parameter& of = parameter(p.of);
    p.gradient_offset = parameter_size_ + uses_size_;
    p.offset = relaid(p) ? p.gradient_offset : of.offset;
    uses_size_ += p.padded;
    if (relaid(p)) canonical = std::max(canonical, size_t(p.shape.size)), packed = std::max(packed, of.padded);
  }
  canonical_region_ = arena_.reserve(canonical, sizeof(T)), packed_region_ = arena_.reserve(packed, sizeof(T));
}

// From the end on, which backward passes finish first. What several uses are added up for is finished behind all of them.
template <class T>
void Plan<T>::cut_gradients() {
  std::vector<int> by(parameters_.size(), int(operations_.size()));
  for (size_t i = 0; i < operations_.size(); i++)
    for (int p = operations_[i]->first_parameter; p < operations_[i]->end_parameter; p++) {
      int& of = by[size_t(used(p))];
      of = std::min(of, used(p) == p ? int(i) : -1);
    }
  const size_t least = size_t(sharing_.least_part);
  size_t end = parameter_size_;
  int operation = int(operations_.size());
  for (size_t p = parameters_.size(); p-- > 0 && least > 0;) {
    if (parameters_[p].of >= 0) continue;
    operation = std::min(operation, by[p]);
    const size_t begin = parameters_[p].offset, pieces = (end - begin) / least;
    for (size_t k = pieces; k-- > 0;) {
      const size_t from = k ? begin + (end - begin) / (k + 1) * k : begin;
      parts_.push_back({from, end, operation});
      end = from;
    }
  }
  if (end > 0) parts_.push_back({0, end, -1});
}

template <class T>
void Plan<T>::finish() {
  require_building();
  check();
  stage_ = Stage::spent;
  place_uses();
  if (sharing_.shards) cut_gradients();
  const size_t l = size_t(lanes()), blocks = size_t(max_blocks());
  const auto scalars = [&](const ValueShape& given) {
    const ValueShape s = laid(given);
    const size_t count = size_t(s.lanes == InLanes::samples ? this->blocks(most_lanes(s)) : batch_size_);
    return count * size_t(s.height + s.top + s.bottom) * size_t(s.width + s.left + s.right) * size_t(pixel(s));
  };
  for (Value& v : values_) {
    if (v.memory_of < 0) v.region = arena_.reserve(scalars(v.shape), sizeof(T));
    if (v.with_delta && v.delta_of < 0) v.delta_region = arena_.reserve(scalars(v.delta_shape), sizeof(T));
  }
  for (auto& o : operations_) o->reserve(*this);
  const bool momentum = rule_ && keeps_first(*rule_, momentum_), second = rule_ && keeps_second(*rule_);
  theta_region_ = arena_.reserve(parameter_size_ + uses_size_, sizeof(T));
  const bool learns = rule_ || std::any_of(values_.begin(), values_.end(), [](const Value& v) { return v.with_delta; });
  if (learns) gradient_region_ = arena_.reserve(parameter_size_ + uses_size_, sizeof(T));
  if (accumulation_ > 1) accumulated_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (momentum) first_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (second) second_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (output_ >= 0) {
    target_region_ = arena_.reserve(scalars(value(output_).shape), sizeof(T));
    const ValueShape& output = value(output_).shape;
    label_region_ = arena_.reserve(blocks * l * size_t(output.height) * size_t(output.width), sizeof(T));
    const size_t parts = blocks * l * loss_parts_.size();
    for (Region* r : {&weight_region_, &correct_region_}) *r = arena_.reserve(parts, sizeof(T));
    loss_region_ = arena_.reserve(parts, sizeof(double));
  }
  arena_.allocate();

  const auto map = [&](const ValueShape& given, const Region& r) {
    const ValueShape s = laid(given);
    Map<T> m;
    m.height = s.height, m.width = s.width, m.channels = vectors(s);
    const ptrdiff_t pixel = ptrdiff_t(this->pixel(s));
    m.row_step = (s.left + s.width + s.right) * pixel;
    m.block_step = (s.top + s.height + s.bottom) * m.row_step;
    m.data = arena_.at<T>(r) + s.top * m.row_step + s.left * pixel;
    return m;
  };
  for (Value& v : values_) {
    const Value *memory = &v, *owner = &v;   // a view may be one of a view
    while (memory->memory_of >= 0) memory = &value(memory->memory_of);
    while (owner->delta_of >= 0) owner = &value(owner->delta_of);
    v.map = map(v.shape, memory->region);
    if (v.with_delta) v.delta = map(v.memory_of < 0 ? owner->delta_shape : v.delta_shape, owner->delta_region);
  }
  theta_ = arena_.at<T>(theta_region_), gradient_ = learns ? arena_.at<T>(gradient_region_) : nullptr;
  canonical_ = arena_.at<T>(canonical_region_), packed_ = arena_.at<T>(packed_region_);
  accumulated_ = accumulation_ > 1 ? arena_.at<T>(accumulated_region_) : nullptr;
  first_ = momentum ? arena_.at<T>(first_region_) : nullptr;
  second_ = second ? arena_.at<T>(second_region_) : nullptr;
  if (output_ >= 0) {
    targets_ = arena_.at<T>(target_region_), labels_ = arena_.at<T>(label_region_), weights_ = arena_.at<T>(weight_region_);
    losses_ = arena_.at<double>(loss_region_), correct_ = arena_.at<T>(correct_region_);
    loss_post_.saved = this->map(loss_saved_);
  }
  for (auto& o : operations_) o->bind(*this);
  for (const Parameter& p : parameters_)
    for (size_t at = 0; p.of < 0 && at < p.padded; at += chunk_scalars)
      chunks_.push_back({p.offset + at, p.offset + std::min(p.padded, at + chunk_scalars), p.shape.penalised,
                         p.shape.rate_factor, p.shape.decay_factor});
  partial_.resize(chunks_.size());
  if (per_sample_) norms_.resize(blocks * l);
  if (input_ >= 0 && value(input_).shape.bands > 1)
    bands_.resize(size_t(most_lanes(value(input_).shape)) * size_t(value(input_).shape.height));
  stage_ = Stage::finished;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
