// Plan: how it is put together, from values and parameters to operations, the loss and the optimizer.
#include <algorithm>
#include <cmath>
#include <sstream>
#include <tuple>
#include <type_traits>

#include "../machine/cpu.hpp"
#include "../operations/attention.hpp"
#include "../operations/dense.hpp"
#include "../operations/embedding.hpp"
#include "../operations/host.hpp"
#include "../operations/masking.hpp"
#include "../operations/normalization.hpp"
#include "../operations/pairs.hpp"
#include "../operations/program.hpp"
#include "../operations/recurrent.hpp"
#include "../operations/rows.hpp"
#include "../operations/structure.hpp"
#include "../operations/windows.hpp"

namespace chainrule {

template <class T>
Plan<T>::Plan(const std::string& level, int batch_size)
    : kernels_(chainrule::kernels<T>(level)), pairs_(pair_kernels(level)), batch_size_(batch_size) {
  if (batch_size < 1 || batch_size > largest_batch)
    throw std::invalid_argument("batch_size must be between 1 and " + std::to_string(largest_batch));
}
template <class T>
Plan<T>::~Plan() = default;

template <class T>
void Plan<T>::require_building() const {
  if (stage_ != Stage::building) throw std::invalid_argument("the plan is finished already: nothing can be added or changed");
}

template <class T>
int Plan<T>::add_value(const ValueShape& shape, bool with_delta, const ValueShape& halo) {
  require_building();
  const auto with_zeros = [](const ValueShape& s) {   // of one sample; in double, where no sum overflows
    return (double(s.height) + s.top + s.bottom) * (double(s.width) + s.left + s.right) * double(s.channels);
  };
  const double count = std::max(with_zeros(shape), with_zeros(halo));
  if (shape.height < 1 || shape.width < 1 || shape.channels < 1)
    throw std::invalid_argument("a value needs at least one entry");
  for (const ValueShape& s : {shape, halo})
    for (const int zeros : {s.top, s.bottom, s.left, s.right})
      require(zeros >= 0, "there cannot be fewer than no zeros around a value");
  const bool positions = shape.lanes == InLanes::positions;
  require(!with_delta || shape.lanes != InLanes::nothing, "a value with a δ lies in vectors");
  require(!positions || !(has_halo(shape) || has_halo(halo)), "positions in lanes have no zeros around them");
  const bool pixels = shape.height == 1 && shape.width == 1 && shape.bands == shape.whole;
  require(shape.bands == 1 || (shape.bands > 1 && (shape.bands <= largest_bands || pixels) && shape.lanes == InLanes::samples),
          "an image is cut into bands where samples are in the lanes, into a few, or into its pixels");
  require(shape.bands == 1 || (0 < shape.whole && shape.height >= 1 && shape.whole <= double(shape.height) * shape.bands),
          "bands hold all rows of an image");
  const double blocks = double(shape.lanes == InLanes::samples ? max_blocks() : batch_size_) * shape.bands;
  // Units of a loop are counted in 32 bits, and so are what lies in lanes.
  const double rows = std::max(blocks * std::max(shape.height, shape.width), double(batch_size_) * shape.bands);
  // Channels are padded to vectors: at most `lanes` times as many.
  if (count > 2e9 || count * blocks * lanes() > most_scalars || rows > 2e9 || shape.features() > largest_size)
    throw std::length_error("a value of this network would need more memory than can be addressed");
  Value v;
  v.shape = shape;
  v.delta_shape = halo, v.delta_shape.lanes = shape.lanes, v.delta_shape.bands = shape.bands, v.delta_shape.whole = shape.whole;
  v.with_delta = with_delta;
  values_.push_back(v);
  return int(values_.size()) - 1;
}

template <class T>
int Plan<T>::add_parameter(const ParameterShape& shape) {
  require_building();
  require(shape.size >= 1, "a parameter needs at least one entry");
  const bool panels = shape.layout == Layout::panels;
  require(!panels || (shape.outputs >= 1 && shape.inputs >= 1 && shape.outputs <= shape.size && shape.inputs <= shape.size &&
                      double(shape.outputs) * double(shape.inputs) == double(shape.size)),
          "the panels of a parameter must be as many outputs and inputs as it has numbers");
  Parameter p;
  p.shape = shape;
  p.shape.decay_factor = shape.penalised ? 1 : 0;
  wanted_parameters_ += double(shape.size);
  if (wanted_parameters_ > most_parameters) {   // `finish` says so; until then no sum overflows
    parameters_.push_back(p);
    return int(parameters_.size()) - 1;
  }
  const size_t l = size_t(lanes());
  const size_t count =
      panels ? (size_t(shape.outputs) + l - 1) / l * l * size_t(shape.inputs) : (size_t(shape.size) + l - 1) / l * l;
  // A cache line between parameters; every parameter is whole vectors of zeros beyond its end, and stays so.
  const size_t line = 64 / sizeof(T);
  p.vectors = count;
  p.offset = p.gradient_offset = parameter_size_;
  p.padded = (count + line - 1) / line * line;
  parameter_size_ += p.padded;
  parameters_.push_back(p);
  return int(parameters_.size()) - 1;
}

template <class T>
int Plan<T>::add_use(int of, const ParameterShape& shape) {
  require(parameter(of).of < 0, "what is used again is a parameter, no use of one");
  require(parameter(of).shape.size == shape.size, "a use of a parameter has as many numbers");
  const size_t before = parameter_size_;
  const int i = add_parameter(shape);
  parameters_[size_t(i)].of = of;   // where it lies is told by `finish`, behind all parameters
  parameter_size_ = before;
  return i;
}

// `value` as the kernels will use it; an error where T holds no such number. Users meet the same check first, in
// src/chainrule/base/scalars.py, check_held, which names the layer.
template <class T>
double held(double value, const char* what, bool positive = false) {
  if (std::isfinite(T(value)) && !(positive && !(T(value) > 0))) return value;
  std::ostringstream message;
  message << what << " of " << value << " becomes " << T(value) << " in float" << 8 * sizeof(T);
  if (sizeof(T) == 4) message << "; write dtype='float64'";
  throw std::invalid_argument(message.str());
}

template <class T>
void Plan<T>::set_post(Act activation, double slope, int saved) {
  require_building();
  next_post_ = Post<T>{activation, T(held<T>(slope, "a slope")), {}};
  next_saved_ = saved;
}
template <class T>
void Plan<T>::set_input_post(Act activation, double slope, int saved) {
  require_building();
  next_input_post_ = Post<T>{activation, T(held<T>(slope, "a slope")), {}};
  next_input_saved_ = saved;
}

namespace {
template <class T, class O>
void place(std::vector<std::unique_ptr<Operation<T>>>& operations, std::unique_ptr<O> operation, int x, int z, Post<T>& post,
           int& saved, Post<T>& input_post, int& input_saved) {
  operation->x = x, operation->z = z;
  operation->post = post, operation->saved = saved;
  operation->input_post = input_post, operation->input_saved = input_saved;
  post = {}, input_post = {};
  saved = input_saved = -1;
  operations.push_back(std::move(operation));
}
}   // namespace
#define CHAINRULE_PLACE(o)                                                                                 \
  require_building();                                                                                      \
  place<T>(operations_, std::move(o), x, z, next_post_, next_saved_, next_input_post_, next_input_saved_); \
  operations_.back()->first_parameter = placed_parameters_;                                                \
  placed_parameters_ = operations_.back()->end_parameter = parameter_count()

// Of a value that may not exist, which `finish` says.
template <class T>
InLanes Plan<T>::lanes_of(int i) const {
  return i >= 0 && i < value_count() ? value(i).shape.lanes : InLanes::samples;
}
template <class T>
void Plan<T>::add_rows(int x, int z, int weights, int bias, const ConvArgs<T>& geometry, bool winograd) {
  auto o = std::make_unique<RowsOperation<T>>();
  o->weights = weights, o->bias = bias, o->winograd = winograd, o->geometry = geometry;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_rearranged(int x, int z) {
  auto o = std::make_unique<RearrangeOperation<T>>();
  CHAINRULE_PLACE(o);
}
template <class T>
void require_rounded(bool rounded, InLanes lanes) {
  require(!rounded || (sizeof(T) == 4 && lanes != InLanes::channels),
          "factors are rounded to bfloat16 in float32, and where channels are not in the lanes");
}
template <class T>
void Plan<T>::add_dense(int x, int z, int weights, int bias, bool rounded) {
  require_rounded<T>(rounded, lanes_of(z));
  if constexpr (std::is_same_v<T, float>)
    if (rounded) {
      auto o = std::make_unique<PairsOperation>();
      o->weights = weights, o->bias = bias;
      CHAINRULE_PLACE(o);
      return;
    }
  if (lanes_of(z) == InLanes::channels) return add_rows(x, z, weights, bias, {}, false);
  auto o = std::make_unique<DenseOperation<T>>();
  o->weights = weights, o->bias = bias;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_convolution(int x, int z, int weights, int bias, const ConvArgs<T>& geometry, ConvMethod method,
                              bool rounded) {
  require_rounded<T>(rounded, lanes_of(z));
  if (lanes_of(z) != InLanes::samples) {
    require(geometry.groups == 1 && !geometry.transposed && method != ConvMethod::depthwise,
            "a convolution of groups or transposed has samples in its lanes");
    return add_rows(x, z, weights, bias, geometry, method != ConvMethod::direct);
  }
  auto o = std::make_unique<ConvolutionOperation<T>>();
  o->weights = weights, o->bias = bias, o->method = method, o->rounded = rounded;
  o->geometry = geometry;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_pool(int x, int z, const PoolArgs<T>& geometry) {
  auto o = std::make_unique<PoolOperation<T>>();
  o->geometry = geometry;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_activation(int x, int z, Act kind, double slope) {
  auto o = std::make_unique<ElementwiseOperation<T>>();
  o->kind = kind, o->slope = held<T>(slope, "a slope");
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_steps_mean(int x, int z) {
  auto o = std::make_unique<StepsMeanOperation<T>>();
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_softmax(int x, int z) {
  auto o = std::make_unique<ElementwiseOperation<T>>();
  o->softmax = true;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_norm(int x, int z, int groups, double epsilon, double momentum, const std::vector<int>& parameters,
                       bool centred) {
  const int channels = value(x).shape.channels;
  const size_t count = parameters.size();
  const bool batch = groups == over_batch, positions = groups == each_position;
  const bool fits = count == 2 || count == (batch ? 5 : 4) && (batch || groups == channels);
  if (!(batch || positions || (groups > 0 && channels % groups == 0)) || !fits || (!centred && !positions))
    throw std::invalid_argument(
        "a normalisation needs groups that divide its channels, and 2 parameters; with running numbers a batch 5, of channels "
        "4");
  for (size_t i = 0; i < count; i++) {
    const int p = parameters[i];
    if (p == -1 && i != 2 && i != 3) continue;
    if (parameter(p).shape.size != (i == 4 ? 1 : channels))
      throw std::invalid_argument("a normalisation's parameters are one per channel");
  }
  auto o = std::make_unique<NormOperation<T>>();
  o->groups = groups, o->epsilon = held<T>(epsilon, "an epsilon", true), o->momentum = momentum, o->parameters = parameters;
  o->centred = centred;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_dropout(int x, int z, uint32_t name, double rate) {
  require(rate >= 0 && rate < 1, "the rate of dropout must be at least 0 and less than 1");
  auto o = std::make_unique<DropoutOperation<T>>();
  o->name = name, o->rate = rate;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_slice(int x, int z, int first) {
  auto o = std::make_unique<SliceOperation<T>>();
  o->first = first;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_gather(int x, int z, const std::vector<int64_t>& to, const std::vector<int64_t>& from,
                         const std::vector<int64_t>& count, const std::vector<double>& weights, bool repeats_edges) {
  require(to.size() == from.size() && to.size() == count.size() && (weights.empty() || weights.size() == to.size()),
          "what is gathered must have a place, a source, a length and a weight each");
  auto o = std::make_unique<GatherOperation<T>>();
  o->repeats_edges = repeats_edges;
  for (size_t i = 0; i < to.size(); i++) o->runs.push_back({to[i], from[i], count[i], T(weights.empty() ? 1 : weights[i])});
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_flatten(int x, int z) {
  auto o = std::make_unique<FlattenOperation<T>>();
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_recurrent(int x, int z, const std::vector<int>& parameters, int projection, int peepholes, int mask,
                            int first, const RecurrentArgs<T>& cell) {
  const ValueShape &from = value(x).shape, &to = value(z).shape;
  const int64_t rows = int64_t(cell.gates) * cell.units, states = cell.size + (is_lstm(cell.cell) ? cell.units : 0),
                steps = cell.every ? from.width : 1, shown = steps * cell.size + (cell.ends ? states : 0);
  const bool gru = cell.cell == Cell::gru, samples = to.lanes == InLanes::samples;
  require(derivative_from_output(cell.act), "the activation of a recurrence keeps no z");
  if (cell.units < 1 || cell.size < 1 || from.height != 1 || to.features() != shown || to.height != 1 ||
      (!cell.ends && to.channels != cell.size) || (projection < 0 && cell.size != cell.units) ||
      (projection >= 0 && !is_lstm(cell.cell)) || (peepholes >= 0) != (cell.cell == Cell::peephole) ||
      cell.gates != gates_of(cell.cell) || (cell.cell == Cell::gru_before && !samples) ||
      parameters.size() != (gru ? 4u : 3u) || cell.truncate < 0 || ((first >= 0 || cell.ends) && !samples) ||
      (first >= 0 && value(first).shape.features() != states) || (mask >= 0 && value(mask).shape.features() != from.width))
    throw std::invalid_argument("a recurrence's cell, values and parameters do not fit together");
  const int64_t sizes[] = {rows * from.channels, rows * cell.size, rows, cell.units};
  for (size_t i = 0; i < parameters.size(); i++)
    if (parameters[i] == -1 && i >= 2) continue;   // without a bias
    else if (parameter(parameters[i]).shape.size != sizes[i] ||
             (parameter(parameters[i]).shape.layout == Layout::panels) != (i < 2))
      throw std::invalid_argument("a recurrence's parameters do not fit it");
  const auto fits = [&](int number, int64_t size, bool in_panels) {
    return number < 0 ||
           (parameter(number).shape.size == size && (parameter(number).shape.layout == Layout::panels) == in_panels);
  };
  require(fits(projection, int64_t(cell.size) * cell.units, true) && fits(peepholes, 3 * int64_t(cell.units), false),
          "a recurrence's projection or peepholes do not fit it");
  const auto place_it = [&](auto o) {
    o->weights = parameters[0], o->state_weights = parameters[1], o->bias = parameters[2];
    o->inner_bias = gru ? parameters[3] : -1;
    o->projection = projection, o->peepholes = peepholes;
    o->mask = mask, o->args = cell;
    CHAINRULE_PLACE(o);
  };
  if (samples) {
    auto made = std::make_unique<RecurrentOperation<T>>();
    made->first = first;
    place_it(std::move(made));
  } else place_it(std::make_unique<RecurrentRowsOperation<T>>());
}
template <class T>
void Plan<T>::add_masking(int x, int z, int mask, double value) {
  auto o = std::make_unique<MaskingOperation<T>>();
  o->mask = mask, o->value = T(held<T>(value, "a masking value"));
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_masked_pool(int x, int z, int mask, bool average) {
  auto o = std::make_unique<MaskedPoolOperation<T>>();
  o->mask = mask, o->average = average;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_embedding(int x, int z, int table, int mask, int64_t vocabulary, int64_t padding) {
  const int64_t positions = value(x).shape.features(), features = value(z).shape.channels;
  if (vocabulary < 1 || parameter(table).shape.size != vocabulary * features ||
      value(z).shape.features() != positions * features)
    throw std::invalid_argument("an embedding's table, ids and output do not fit together");
  auto o = std::make_unique<EmbeddingOperation<T>>();
  if (mask >= 0 && (value(z).shape.height != 1 || value(mask).shape.features() != value(z).shape.width))
    throw std::invalid_argument("the mask of an embedding must have a number for every step");
  o->table = table, o->mask = mask, o->vocabulary = vocabulary, o->padding = padding;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_attention(int queries, int keys, int values, int z, int mask, int seen, const std::vector<bool>& fixed,
                            int heads, int key_heads, bool causal, const std::vector<int>& rows, bool zero,
                            const std::vector<int32_t>& places, int table, const std::vector<double>& numbers) {
  const ValueShape &q = value(queries).shape, &k = value(keys).shape, &v = value(values).shape, &to = value(z).shape;
  if (q.height != 1 || k.height != 1 || to.height != 1 || v.height != 1 || to.width != q.width || to.channels != q.channels ||
      v.width != k.width || v.channels != k.channels)
    throw std::invalid_argument("queries and the output of attention must be sequences of one shape, and keys and values");
  if (heads < 1 || key_heads < 1 || heads % key_heads || q.channels % heads || k.channels != q.channels / heads * key_heads)
    throw std::invalid_argument("the heads must divide the features");
  if (mask >= 0 && value(mask).shape.features() != k.width)
    throw std::invalid_argument("the mask of attention must have a number for every step");
  const int64_t pairs = int64_t(q.width) * k.width;
  if ((seen >= 0 && (value(seen).shape.features() != pairs || has_halo(value(seen).shape))) ||
      (!fixed.empty() && int64_t(fixed.size()) != pairs))
    throw std::invalid_argument("what queries see must have a number for every query and key");
  for (const int row : rows)
    if (rows.size() != 2 || parameter(row).shape.layout != Layout::plain || parameter(row).shape.size != k.channels)
      throw std::invalid_argument("a key and a value more must have a number for every feature");
  if (!places.empty()) {
    if (table >= 0 && parameter(table).shape.layout != Layout::plain)
      throw std::invalid_argument("the numbers of distances are in canonical order");
    const int64_t count = (table >= 0 ? int64_t(parameter(table).shape.size) : int64_t(numbers.size())) / heads;
    const auto there = [&](int32_t place) { return place >= 0 && place < count; };
    if (int64_t(places.size()) != pairs || !std::all_of(places.begin(), places.end(), there))
      throw std::invalid_argument("every query and key must have a number of their distance");
  }
  auto o = std::make_unique<AttentionOperation<T>>();
  o->keys = keys, o->values = values, o->mask = mask, o->seen = seen, o->fixed.assign(fixed.begin(), fixed.end());
  o->heads = heads, o->key_heads = key_heads, o->causal = causal, o->zero = zero;
  if (!rows.empty()) o->row_key = rows[0], o->row_value = rows[1];
  if (!places.empty()) o->places = places, o->table = table, o->numbers.assign(numbers.begin(), numbers.end());
  const int x = queries;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_table(int x, int z, const std::vector<double>& table) {
  if (int64_t(table.size()) != value(x).shape.features() || table.size() != size_t(value(z).shape.features()))
    throw std::invalid_argument("a table to be added must be as large as a sample");
  auto o = std::make_unique<TableOperation<T>>();
  o->table = table;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_turned(int x, int z, int heads, const std::vector<double>& cosine, const std::vector<double>& sine) {
  const ValueShape& to = value(z).shape;
  if (heads < 1 || heads > to.channels / 2 || to.height != 1 || to.channels % (2 * heads) || cosine.size() != sine.size() ||
      int64_t(cosine.size()) != int64_t(to.width) * (to.channels / heads / 2))
    throw std::invalid_argument("there must be an angle for every step and pair of features of a head");
  auto o = std::make_unique<TurnOperation<T>>();
  o->heads = heads, o->cosine = cosine, o->sine = sine;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_host(int number, int x, int z) {
  auto o = std::make_unique<HostOperation<T>>();
  o->number = number;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_program(int x, int z, const ProgramCode& forward, const ProgramCode& backward,
                          const std::vector<int>& parameters, const ProgramCode& infer) {
  const ValueShape &in = value(x).shape, &out = value(z).shape;
  if (in.height != out.height || in.width != out.width ||
      (in.channels != out.channels && in.channels != 1 && out.channels != 1 &&
       !(forward.halved && in.channels == 2 * out.channels)))
    throw std::invalid_argument("a program needs the same positions, and the same channels or one, on both sides");
  const int widest = std::max(in.channels, out.channels);
  require(forward.halved == backward.halved || backward.steps.empty(), "both ways of a program have the same channels");
  ProgramScope scope{{in.channels, out.channels}, {}, {}, int64_t(in.height) * in.width, forward.halved ? widest / 2 : widest};
  for (const int p : parameters) {
    require(parameter(p).shape.layout == Layout::plain, "the parameters of a program are in canonical order");
    scope.parameters.push_back(parameter(p).shape.size);
  }
  check_program(forward, scope);
  check_program(infer, scope);
  scope.sums = scope.parameters;
  if (value(z).with_delta) scope.values.push_back(out.channels);
  if (value(z).with_delta && value(x).with_delta) scope.values.push_back(in.channels);
  check_program(backward, scope);
  auto o = std::make_unique<ProgramOperation<T>>(forward, backward, parameters, infer);
  CHAINRULE_PLACE(o);
}
template <class T>
int Plan<T>::add_view(int of) {
  require(without_halo(value(of)), "a view needs a value without zeros around it, and around its δ");
  const ValueShape& image = value(of).shape;
  require(image.lanes != InLanes::channels || (image.height == 1 && image.width == 1) || image.channels % lanes() == 0,
          "a view needs pixels without zeros between them");
  const int i = add_value(image, value(of).with_delta, value(of).delta_shape);
  Value& v = value(i);
  require(v.shape.bands == 1, "a vector is a view of a whole image");
  v.shape.channels = int(v.shape.features());
  v.shape.height = v.shape.width = 1;
  v.delta_shape = v.shape;
  v.memory_of = v.delta_of = of;
  return i;
}
template <class T>
int Plan<T>::add_reader(int of) {
  const int i = add_value(value(of).shape, value(of).with_delta, {});
  Value& v = value(i);
  v.delta_shape = v.shape;
  v.delta_shape.top = v.delta_shape.bottom = v.delta_shape.left = v.delta_shape.right = 0;
  v.memory_of = of;
  return i;
}
template <class T>
void Plan<T>::add_branches(int x, const std::vector<int>& readers) {
  auto o = std::make_unique<BranchesOperation<T>>();
  o->readers = readers;
  const int z = x;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_join(const std::vector<int>& inputs, const std::vector<Act>& activations, const std::vector<double>& slopes,
                       const std::vector<int>& saved, int z, JoinKind kind) {
  require(
      !inputs.empty() && activations.size() == inputs.size() && slopes.size() == inputs.size() && saved.size() == inputs.size(),
      "what is joined must be at least one value, each with its activation, slope and saved value");
  auto o = std::make_unique<JoinOperation<T>>();
  o->inputs = inputs, o->saved_of = saved, o->kind = kind;
  for (size_t i = 0; i < inputs.size(); i++) {
    o->posts.push_back(Post<T>{activations[i], T(held<T>(slopes[i], "a slope")), {}});
    check_post(o->posts.back(), saved[i], inputs[i]);
  }
  const int x = inputs.at(0);
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::share_delta(int i, int with) {
  require_building();
  const Value &one = value(i), &other = value(with);
  const auto halo = [](const ValueShape& s) { return std::make_tuple(s.top, s.bottom, s.left, s.right); };
  require(one.with_delta && other.with_delta && one.delta_of < 0 && same_size(one.shape, other.shape) &&
              halo(one.delta_shape) == halo(other.delta_shape),
          "two values that share their δ must have one each, of one shape");
  for (int owner = with; owner >= 0; owner = value(owner).delta_of)
    require(owner != i, "a value cannot share its δ with itself");
  value(i).delta_of = with;
}
#undef CHAINRULE_PLACE

template <class T>
void Plan<T>::place_loss(int output, int activation) {
  require_building();
  require(!with_loss_, "the plan has a loss already");
  value(output);
  if (activation >= 0) value(activation);
  with_loss_ = true, output_ = output, output_activation_ = activation;
  loss_post_ = next_input_post_, loss_saved_ = next_input_saved_;
  next_input_post_ = {}, next_input_saved_ = -1;
}
template <class T>
void Plan<T>::add_part(LossPart part) {
  require_building();
  require(std::isfinite(part.weight) && part.weight >= 0, "the weight of a loss must be finite and at least 0");
  const std::vector<double>&positive = part.options.positive, &negative = part.options.negative;
  const int features = part.positions ? part.features : value(output_).shape.channels;
  require(positive.size() == negative.size(), "weights of outputs come in pairs");
  require(positive.empty() || int64_t(positive.size()) == features, "there is a weight for every output");
  part.positive.assign(positive.begin(), positive.end()), part.negative.assign(negative.begin(), negative.end());
  loss_parts_.push_back(std::move(part));
}
template <class T>
void Plan<T>::set_loss(LossKind kind, int output, int activation, const LossOptions& options) {
  place_loss(output, activation);
  add_part({.by = LossBy::kernel, .kind = kind, .options = options});
}
template <class T>
void Plan<T>::set_host_loss(int output) {
  place_loss(output, -1);
  add_part({.by = LossBy::host});
}
template <class T>
void Plan<T>::set_program_loss(int output, const ProgramCode& value, const ProgramCode& both, Judged judged) {
  const ValueShape& shape = this->value(output).shape;
  const int64_t positions = int64_t(shape.height) * shape.width;
  const int c = shape.channels;
  check_program(value, {{c, c, 0}, {}, {1}, positions, value.halved ? c / 2 : c});   // no activation to write
  check_program(both, {{c, c, 0, c}, {}, {1}, positions, both.halved ? c / 2 : c});
  place_loss(output, -1);
  add_part({.by = LossBy::program, .program = std::make_shared<ProgramLoss<T>>(value, both, ProgramCode{}), .judged = judged});
}
template <class T>
void Plan<T>::set_loss_of_parts(int output, int activation) {
  place_loss(output, activation);
  of_outputs_ = true;
}
template <class T>
void Plan<T>::add_loss_part(LossKind kind, int first, int positions, int features, double weight, const LossOptions& options) {
  require_parts(first, positions, features);
  add_part({.by = LossBy::kernel,
            .kind = kind,
            .first = first,
            .positions = positions,
            .features = features,
            .weight = weight,
            .options = options});
}
template <class T>
void Plan<T>::add_host_part(int first, int positions, int features, double weight) {
  require_parts(first, positions, features);
  add_part({.by = LossBy::host, .first = first, .positions = positions, .features = features, .weight = weight});
}
template <class T>
void Plan<T>::add_program_part(int first, int positions, int features, double weight, const ProgramCode& value,
                               const ProgramCode& both, const ProgramCode& activation, Judged judged) {
  require_parts(first, positions, features);
  const int c = features;
  check_program(value, {{c, c, c}, {}, {1}, positions, value.halved ? c / 2 : c});
  check_program(both, {{c, c, c, c}, {}, {1}, positions, both.halved ? c / 2 : c});
  check_program(activation, {{c, 0, c}, {}, {}, positions, activation.halved ? c / 2 : c});
  require(output_activation_ >= 0, "a program of a part writes its activation");
  add_part({.by = LossBy::program,
            .first = first,
            .positions = positions,
            .features = features,
            .weight = weight,
            .program = std::make_shared<ProgramLoss<T>>(value, both, activation),
            .judged = judged});
}
template <class T>
void Plan<T>::set_input(int i) {
  require_building();
  require(input_ < 0, "the plan has an input already");
  value(i);
  input_ = i;
}
template <class T>
void Plan<T>::set_penalty(double lambda, double lambda1) {
  require_building();
  lambda_ = held<T>(lambda, "a penalty"), lambda1_ = held<T>(lambda1, "a penalty");
}
template <class T>
void Plan<T>::set_optimizer(Rule rule, double momentum, double beta2, double epsilon, bool early_epsilon,
                            double decoupled_decay, double clip_norm, double extra) {
  require_building();
  rule_ = rule, early_epsilon_ = early_epsilon, momentum_ = momentum, beta2_ = beta2, clip_norm_ = clip_norm, extra_ = extra;
  epsilon_ = held<T>(epsilon, "an epsilon", true), decay_ = held<T>(decoupled_decay, "a weight decay");
}

template <class T>
void Plan<T>::set_accumulation(int batches) {
  require_building();
  require(batches >= 1, "an update comes after at least one batch");
  accumulation_ = batches;
}

template <class T>
void Plan<T>::set_sharing(Sharing sharing, std::vector<Plan<T>*> beside) {
  require_building();
  require(0 < sharing.shards && 0 <= sharing.first && sharing.first <= sharing.end && sharing.end <= sharing.shards,
          "a process has shards of a batch from `first` up to `end`, within all of them");
  const int64_t most = (int64_t(blocks(sharing.batch_size)) + sharing.shards - 1) / sharing.shards * lanes();
  require(sharing.least_part >= 0, "a part of the gradients has entries, or is all of them");
  require(0 < sharing.batch_size && std::min<int64_t>(most, sharing.batch_size) <= batch_size_,
          "a shard of a batch must fit into the batch size of the plan");
  for (const Plan<T>* other : beside)
    require(other && other != this && other->stage_ == Stage::finished && other->parameter_size_ == parameter_size_ &&
                other->operations_.size() == operations_.size() && other->batch_size_ == batch_size_ && other->gradient_,
            "the plans of other shards must be finished, and of the same network");
  require(beside.empty() || int(beside.size()) == sharing.end - sharing.first - 1, "a plan for every shard is needed");
  sharing_ = std::move(sharing), beside_ = std::move(beside);
}

template <class T>
void Plan<T>::set_rate_factor(int i, double factor) {
  require_building();
  parameter(i);
  require(factor >= 0 && std::isfinite(factor), "the factor of a rate must be finite and at least 0");
  parameters_[size_t(i)].shape.rate_factor = factor;
}

template <class T>
void Plan<T>::set_decay_factor(int i, double factor) {
  require_building();
  parameter(i);
  require(factor >= 0 && std::isfinite(factor), "the factor of a weight decay must be finite and at least 0");
  parameters_[size_t(i)].shape.decay_factor = factor;
}

template <class T>
void Plan<T>::add_max_norm(int i, int64_t groups, int64_t units, double limit) {
  require_building();
  const ParameterShape& shape = parameter(i).shape;
  if (groups < 1 || units < 1 || groups > largest_size || units > largest_size || shape.size % (groups * units) != 0)
    throw std::invalid_argument("a max-norm of other units");
  held<T>(limit, "a max-norm", true);
  if (shape.layout == Layout::panels)
    max_norms_.push_back({i, int((shape.outputs + lanes() - 1) / lanes()), shape.inputs, lanes(), limit});
  else max_norms_.push_back({i, int(groups), shape.size / (groups * units), units, limit});
}

template <class T>
void Plan<T>::set_per_sample(double clip) {
  require_building();
  per_sample_ = true, clip_sample_ = clip;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
