// What the plan and the kernels agree on: plain structs and one table of functions per ISA level and scalar type.
//
// Layout of every value: [block][height][width][channels][lane]; a lane is a sample, a block is `lanes` samples. A map may
// carry a halo (zeros around the picture), so strides are explicit. All strides count scalars, not bytes.
//
// Kernels allocate nothing, start no thread and include no STL header: this file is compiled once per ISA level, and a
// template shared between levels could be linked from the wrong one.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace chainrule {

// A sum of squares in double outside [least, most] has overflowed or lost digits: it is taken once more of the numbers times
// scale_up or scale_down.
constexpr double least_squares = 0x1p-900, most_squares = 0x1p1000, scale_up = 0x1p600, scale_down = 0x1p-600;

// Sums of more terms than this are taken in runs, which are added in double: a float32 sum of n equal terms is wrong by up to
// n/2 roundings (1 % at a million), one of runs by fold_terms/2 at the most, 1.5e-5; of random terms 1e-7 is measured.
constexpr int fold_terms = 256;

enum class Act : int { identity, relu, leaky_relu, elu, sigmoid, tanh, softplus, gelu, silu, hard_swish };

// True where f' is computed from a = f(z), so that z need not be kept.
constexpr bool derivative_from_output(Act kind) { return kind != Act::gelu && kind != Act::silu && kind != Act::hard_swish; }

template <class T>
struct Map {
  T* data = nullptr;          // pixel (0, 0), channel 0 of block 0: the first pixel inside the halo
  ptrdiff_t block_step = 0;   // from one block of samples to the next
  ptrdiff_t row_step = 0;     // from one image row to the next, halo included
  int height = 1, width = 1, channels = 1;

  // Where block b begins, and its row h; -1 is the row above the picture. Always inline: a function of its own could be linked
  // from another level.
  __attribute__((always_inline)) T* block(ptrdiff_t b) const { return data + b * block_step; }
  __attribute__((always_inline)) T* row(ptrdiff_t b, ptrdiff_t h) const { return block(b) + h * row_step; }
};

// The activation applied to what a kernel has just produced (forward: a = f(z)), or whose derivative multiplies what it
// has just produced (backward: equation 3's Hadamard factor). `saved` is a, or z where f' needs z.
template <class T>
struct Post {
  Act kind = Act::identity;
  T slope = 0;
  Map<T> saved;
};

// Factors F of T, or pairs of bfloat16 (arithmetic/bfloat16.inl): then `inputs` counts these.
template <class T, class F = T>
struct DenseArgs {
  const F* x;   // [blocks][inputs][lane]
  ptrdiff_t x_block;
  const F* weights;   // panels: [outputs / lanes][inputs][lanes], zero beyond `outputs`
  const T* bias;      // padded to a multiple of lanes, or null
  T* z;               // forward: z; backward: δ of the outputs
  ptrdiff_t z_block;
  T* x_delta;   // backward: δ of the inputs
  ptrdiff_t x_delta_block;
  T* weight_gradient;   // panels as weights
  T* bias_gradient;     // or null
  int blocks, inputs, outputs, samples;
  // Gradient: another x of the same δ, so that it is transposed once; null: there is none.
  const F* other = nullptr;
  ptrdiff_t other_block = 0;
  int other_inputs = 0;
  T* other_gradient = nullptr;
  bool add = false;   // forward: z starts from what it holds, backward: x_delta
  Post<T> post;
  // Forward: the inputs that are not 0 in all lanes, [groups of blocks][inputs], and how many each group has; null: unknown.
  const int *present = nullptr, *present_count = nullptr;
  int x_rows = 0;   // gradient: rows of x, where those that are 0 in all lanes are left out; 0: all inputs
  // Pairs: W in numbers, of `rows` inputs, of which each unit makes the pairs it needs, in room for these; null: `weights`.
  const T* source = nullptr;
  int rows = 0;
  F* room = nullptr;
};

// gru_before: resets in front of U; peephole: an LSTM whose gates see the cell
enum class Cell : int { rnn, lstm, gru, gru_before, peephole };
constexpr bool is_gru(Cell cell) { return cell == Cell::gru || cell == Cell::gru_before; }
constexpr bool is_lstm(Cell cell) { return cell == Cell::lstm || cell == Cell::peephole; }
constexpr int gates_of(Cell cell) { return is_lstm(cell) ? 4 : is_gru(cell) ? 3 : 1; }

// A recurrence. Arrays are [block][step][gates · units or units][lane]; h and c hold the states before a step.
template <class T>
struct RecurrentArgs {
  Cell cell = Cell::rnn;
  Act act = Act::tanh;   // of the RNN
  int gates = 1, units = 1, steps = 1, blocks = 0;
  bool every = false, reverse = false;                 // z has every step's state, or the last one's only
  int truncate = 0;                                    // no δ passes between steps that are so many apart; 0: never cut
  const T *weights = nullptr, *inner_bias = nullptr;   // U in panels; the bias within the reset of a GRU
  // What an LSTM puts out: `size` numbers, V (in panels) times o tanh(c), which is kept in `out`; V null: units, and that
  // itself. dh: ∂J/∂h of every step, d_out: Vᵀ dh of the step.
  int size = 1;
  const T* projection = nullptr;
  T *out = nullptr, *dh = nullptr, *d_out = nullptr;
  const T* peepholes = nullptr;                 // of i, f, o one above the other
  T* d_peepholes = nullptr;                     // their share of every block, [block][3 · units][lane]
  T *p = nullptr, *q = nullptr;                 // in: W x + b, out: the gates; q: U h of a GRU
  T *h = nullptr, *c = nullptr, *s = nullptr;   // s: tanh(c_t) of an LSTM, U_n h + v of a GRU, or r h
  // [block][size + units]: h and c at the end; ∂J/∂h and ∂J/∂c
  T *last = nullptr, *arrived = nullptr;
  T *dp = nullptr, *dq = nullptr;   // δ of W x + b and of U h
  Map<T> z, z_delta, mask;          // mask: data may be null
  Map<T> first;                     // h, and c behind it, in front of the first step; data is null where they are 0
  bool ends = false;                // z has the states at the end behind the others
  // Where the lanes are units (recurrent.inl): numbers from row to row of p and q, and of states; where these lie; U by units.
  ptrdiff_t p_row = 0, state_row = 0, state_sample = 0, state_step = 0;
  // of h, where those of c and of `out` are state_*
  ptrdiff_t size_row = 0, size_sample = 0, size_step = 0;
  const T *turned = nullptr, *turned_projection = nullptr;
};

// Products in whose vectors the lanes are output channels: a convolution, or a dense layer, which is one of a single pixel.
template <class T>
struct RowsArgs {
  Map<T> x, z, a;   // x: rows of `channels` numbers, x_pixel apart; z, a in vectors of channels; a: where the activation goes
  ptrdiff_t x_pixel;
  const T* weights;   // panels: [filters / lanes][kernel_h][kernel_w][channels][lanes], zero beyond the filters
  const T* bias;      // whole vectors, or null
  int channels, kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 0,
                pad_left = 0;
  int samples;
  Act act = Act::identity;
  T slope = 0;
};

// ∂W and ∂b of rows x and δ, rows that lie so far apart, of δ whole vectors.
template <class T>
struct RowsGradientArgs {
  const T *x, *d;
  ptrdiff_t x_row, d_row;
  int rows, inputs, outputs;
  T *weight_gradient, *bias_gradient;   // in panels; whole vectors, or null
};

// A transposed convolution is the same geometry, read the other way: x is the image its windows slide over, its output, and z
// has a pixel for every window, its input. Its forward pass is conv_backward, its δ conv_forward.
template <class T>
struct ConvArgs {
  Map<T> x, z;   // forward: values; backward: z is the δ of the output
  Map<T> x_delta;
  const T* weights;   // [filters][kernel_h][kernel_w][channels / groups]
  const T* bias;
  T* weight_gradient;
  T* bias_gradient;
  T* packed;    // packed weights, or the transformed ones of Winograd
  T* partial;   // Winograd: partial weight gradients, one per part; by filters: δ of a strip transposed, and the sums
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 0, pad_left = 0;
  // A volume is an image whose planes lie one below the other, and so are its windows and kernel; an image is one plane.
  bool volume = false;
  int kernel_d = 1, stride_d = 1, dilation_d = 1, pad_front = 0, x_planes = 1, z_planes = 1;
  int groups = 1;   // of channels and filters
  bool transposed = false;
  int blocks, samples, parts;
  double* norms = nullptr;   // weight gradient: where the norms of the samples' own gradients go, [unit][block][lane]
  bool accumulate = false;   // weight gradient: add to what is there
  // Rows, of volumes planes, of the neighbouring bands around those of x and of z (δ).
  int x_above = 0, x_below = 0, above = 0, below = 0;
  // Weight gradient: the strip of z that is summed. By filters its δ is in `partial`, of so many rows of so many blocks.
  int first_row = 0, rows = 0, strip_blocks = 1;
  Post<T> post;
};

enum class PoolKind : int { max, average, l2, lp };
enum class JoinKind : int { sum, concat, product, maximum, minimum, quotient, power };

template <class T>
struct PoolArgs {
  Map<T> x, z, x_delta, z_delta;
  int blocks = 0, window_h = 1, window_w = 1, stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0;
  bool volume = false;   // as in ConvArgs
  int window_d = 1, stride_d = 1, pad_front = 0, x_planes = 1, z_planes = 1;
  bool padded = false;   // windows may stand out on any side
  PoolKind kind = PoolKind::max;
  double power = 2;             // p of lp
  bool mean = false;            // of the pixels, or l2: of their squares; otherwise the sum
  bool count_padding = false;   // whether a mean counts the padding
  Post<T> post;                 // backward only: the factor f' of the layer below
};

template <class T>
struct ElementwiseArgs {
  Map<T> x, z;   // forward: z = f(x); backward: x = δ of the input, z = δ of the output
  Post<T> post;
  int blocks;
};

// Pooling over the steps that are there: x and its δ are sequences, z and its δ vectors.
template <class T>
struct MaskedPoolArgs {
  Map<T> x, z, mask, x_delta, z_delta;
  int blocks;
  bool average;
};

template <class T>
struct MaskingArgs {
  Map<T> x, z;   // forward: values; backward: x is the δ of the input, z that of the output
  Map<T> mask;   // one channel: 1 where a step is there, 0 where it is padding
  T value = 0;   // padding: all features of the step are this
  int blocks;
};

template <class T>
struct EmbeddingArgs {
  Map<T> x, z;   // ids, one per position of z; z: forward the value, backward its δ
  const T* table;
  T* gradient;                   // [vocabulary][features], as table
  Map<T> mask;                   // one channel: 0 where the id is the padding, otherwise 1; data is null where nobody asks
  int64_t vocabulary, padding;   // the id that has no row, or -1
  int blocks;
  // Backward, float32 only. [vocabulary]: which of the long sums is that of the row, from 1; 0: it has few terms.
  int32_t* long_sum;
  double* sums;   // [long sum][features]
};

template <class T>
struct AttentionArgs {
  Map<T> q, k, v, o;                           // of one row of steps; the features of a head lie side by side
  Map<T> q_delta, k_delta, v_delta, o_delta;   // backward
  Map<T> mask;                                 // one channel, 0 where a key is padding; data is null where all are there
  Map<T> seen;                                 // of every query the keys, 0 where it does not see them; or null. In its lanes
                                               // are queries where they are in those of q, else samples
  const T* fixed;                              // the same of all samples, [query][key]; or null
  T* weights;                                  // A: [block][head][query][key][lane], or null where nobody reads it again
  // Keys in front of the sequence's own, that every query sees: one whose key and value are these rows [feature], or null; and
  // one of zeros. They count among the keys of A.
  int extra;
  const T *row_key, *row_value;
  // What is added to scores: of [head][numbers] that which `places` [query][key] says; or null.
  const T* table;
  const int32_t* places;
  int numbers;
  // The same where the lanes are queries, with −∞ where `fixed` is 0: of head h, vector v of queries and key j the numbers from
  // added + h * added_head + v * added_vector + j * added_key on. `diagonal`: told by the distance alone, so that a vector
  // begins one number behind that of the next key. Or null.
  const T* added;
  ptrdiff_t added_head, added_vector, added_key;
  bool diagonal;
  // Backward, or null: sums of a block (of a sample, where the lanes are queries) for the gradients of the rows, [block][head
  // of keys][key, value][feature], and of the table, [block][head][number].
  double *row_sums, *table_sums;
  T scale;   // 1 / √(features of a head)
  int heads, key_heads, blocks;
  int features, steps, key_steps;   // of a head, and in all, where the lanes are not samples
  bool causal;                      // query i sees the keys up to i
};

// Pairs of features, `half` apart in every one of `heads` heads, turned by an angle of their step.
template <class T>
struct TurnArgs {
  Map<T> x, z;
  const T *cosine, *sine;   // [step][half], and a vector more; of positions in lanes [vector][half][lane]
  int heads, half;
  bool positions, channels;   // in the lanes
};

template <class T>
struct TableArgs {
  Map<T> x, z;
  const T* table;   // one sample, [height][width][channels]
  int blocks;
};

enum class LossKind : int {
  squared_error,
  sigmoid_cross_entropy,
  softmax_cross_entropy,
  absolute_error,
  huber,
  poisson,
  poisson_log,
  hinge,
  squared_hinge,
  categorical_hinge,
  squared_categorical_hinge
};

// Whose answers are counted: of the largest output of a position, or of the sign of every output.
enum class Judged : int { none, classes, signs };

template <class T>
struct LossArgs {
  Map<T> output;                  // z for the pairs, a for the squared error
  Map<T> activation;              // pairs: where a is written; data is null if nobody reads it
  Map<T> delta;                   // δ of `output`; data is null when only the value is wanted
  const T* targets;               // [blocks][size][lane], or null where labels are given
  ptrdiff_t target_step;          // from block to block; more than a block where `output` is a part of what there is
  const T* labels;                // [blocks][height · width][lane]: class numbers, exact in T
  const T* weights;               // [blocks][lane]: sample weight / m, zero in lanes without a sample
  double* loss;                   // [blocks][lane]: weighted loss of each sample
  T* correct;                     // [blocks][lane]: 1 where the sample is classified rightly; -1 where nothing of it counts
  const T *positive, *negative;   // [channels]: what y and 1 - y of an output are multiplied by; null: 1
  T factor = T(1);                // of δ: what the loss of this output weighs among those of several; 0 takes it out of δ alone
  T scale;                        // 1, or 1 / outputs for the mean over outputs
  T delta_cut;                    // Huber: where the parabola ends
  T target_scale, target_shift;   // y' = scale · y + shift: smoothed labels, ±1 for 0 and 1
  LossKind kind;
  Judged judged;   // of a program
  int blocks;
  Post<T> post;   // f' of an activation in front of the output
};

// A program: a formula compiled to steps over a strip of pixels (engine/programs.py writes it, kernels/program.inl runs it).
// Operations are named as the primitives of formulas are.
enum class ProgramOp : int {
  copy,
  add,
  subtract,
  multiply,
  divide,
  negative,
  sqrt,
  exp,
  expm1,
  log,
  log1p,
  xlogy,
  tanh,
  cos,
  sin,
  erf,
  absolute,
  floor,
  maximum,
  minimum,
  greater,
  where,
  power,
  sum_features,
  max_features,
  largest_feature,
  accumulate,
  count
};
// out = op(a, b, c), all numbers of slots; thin: one vector per pixel instead of one per channel.
struct ProgramStep {
  int op, thin, out, a, b, c;
};
// Where an operand lies. Temporaries are full (a vector per channel) or thin (one per pixel). Parameters are read, and
// accumulators written, with `pixel` scalars from one pixel to the next and `channel` from one channel to the next. Of a value
// `channel` is where the program's channels begin: its second half where the program has half as many as a value.
enum class SlotKind : int { constant, map, parameter, full, thin, accumulator };   // map: of `values`
struct ProgramSlot {
  SlotKind kind;
  int index, pixel, channel;
};
constexpr int program_slots = 128;   // at most
constexpr int program_delta = 3;     // of a layer's values x, z, δ of z, δ of x: the one its backward writes

template <class T>
struct ProgramArgs {
  const ProgramStep* steps;
  const ProgramSlot* slots;
  const T* constants;
  const T* const* parameters;
  const int64_t* sums;   // of every accumulator: where it begins among the vectors that `program` is given
  int64_t long_sums;     // how many vectors these are where their sums may be long, which float32 takes in runs; otherwise 0
  int step_count, slot_count, full_count, thin_count;
  bool whole;         // a step looks at all channels of a pixel, so that they must not be taken in pieces
  Map<T> values[4];   // of `channels` channels, of one, or of twice as many
  int blocks, height, width, channels;
  int samples;   // of a backward pass: in the lanes behind them δ is 0, and 0/0 is not summed; 0: all lanes count
};

// Normalisation over a batch, over groups or over features; what lies where stands in layers/normalization.inl.
template <class T>
struct NormArgs {
  Map<T> x, z, x_delta, z_delta;
  const T *gamma, *beta;
  const T *running_mean, *running_variance;   // of a batch
  T *gamma_gradient, *beta_gradient;
  T *mean, *inverse;      // μ and 1/√(v + ε) of every group, or √v
  T *mean_e, *mean_ex;    // backward: ⟨e⟩ and ⟨e x̂⟩ with e = γ δ
  ptrdiff_t stat_block;   // from one block's groups to the next; 0 of a batch
  T* unbiased;            // [channel]: the variance of a batch with N − 1
  const T* origin;        // of a batch: x₀ of channel c at [c][0], one of its values
  double* partial;        // [part][2][channel][lane]
  bool batch;
  bool each_position = false;   // a group is the features of one position, not channels at all of them
  bool centred = true;          // without a mean, and then without β
  bool parted = false;          // a lane holds a part of each group: √v
  int groups, blocks, samples, parts;
  double epsilon;
  Post<T> post;   // forward: the activation of z; backward: f' of the layer below
};

template <class T>
struct StepsMeanArgs {
  Map<T> x, z, x_delta, z_delta;
  int steps, samples;
};

template <class T>
struct DropoutArgs {
  Map<T> from, to;      // x and z, or the δ of z and of x
  uint32_t low, high;   // the key of this layer in this step
  uint32_t threshold;   // bits below it drop their entry
  uint32_t first;       // the place of the first sample in its batch
  T scale;
  bool positions = false;   // these are in the lanes, not samples
  uint32_t bands = 1;       // of a sample, each in a lane
};

enum class Rule : int { sgd, nesterov, adam, adamw, rmsprop, adagrad, adadelta, nadam, radam, lion, lamb };

// Whether a rule keeps a first moment, or a velocity, whether it divides by the root of a second moment, and whether that is
// corrected for its start at 0.
constexpr bool is_plain(Rule rule) { return rule == Rule::sgd || rule == Rule::nesterov; }
constexpr bool keeps_first(Rule rule, double momentum) {
  return is_plain(rule) || rule == Rule::rmsprop ? momentum != 0 : rule != Rule::adagrad;
}
constexpr bool keeps_second(Rule rule) { return !is_plain(rule) && rule != Rule::lion; }
constexpr bool corrects_second(Rule rule) {
  return rule == Rule::adam || rule == Rule::adamw || rule == Rule::nadam || rule == Rule::lamb;
}

template <class T>
struct UpdateArgs {
  T* theta;
  const T* gradient;
  T* first;       // velocity, or first moment; of Adadelta the mean of squared moves
  T* second;      // second moment
  T* direction;   // LAMB: where its move is written, which the norm of θ scales later
  T clip[2];      // the clipping factor of this step, in two factors: one alone might be subnormal
  Rule rule;
  T rate, momentum, beta2, epsilon, correction1, correction2, decoupled_decay, penalty,
      penalty1;     // penalty · θ + penalty1 · sign θ
  T rest1, rest2;   // 1 - momentum and 1 - beta2, subtracted in double: in float32 0.99999999 is 1; of SGD 1 - dampening
  T of_gradient;    // NAdam: what the gradient itself is multiplied by
  T start;          // Adagrad: what the sum of squares begins with
};

// Where samples come from: `order` picks rows of a C-contiguous array.
struct GatherArgs {
  const void* source;
  const int64_t* order;   // null: rows 0, 1, 2, ...
  int64_t features;
  int samples;
  bool repeat;     // lanes beyond the samples hold the last one again; otherwise zeros
  double scale;    // uint8 sources: 1/255
  int64_t piece;   // scalars of a row that are one unit
};

// From vectors of float32 to pairs of bfloat16.
struct PairArgs {
  const float* from;   // [block][rows][lane], or W in panels
  ptrdiff_t from_block;
  uint32_t* to;
  ptrdiff_t to_block;
  int rows;   // W: its inputs
};

// Products of factors rounded to bfloat16, summed in float32: kernels/pairs.inl.
struct PairKernels {
  const char* by;   // what multiplies two pairs
  int (*forward_units)(const DenseArgs<float, uint32_t>&);
  void (*forward)(const DenseArgs<float, uint32_t>&, int begin, int end);
  int (*backward_units)(const DenseArgs<float, uint32_t>&);
  void (*backward)(const DenseArgs<float, uint32_t>&, int begin, int end);   // x is δ in whole panels, `along`
  size_t (*room)(int inputs, int outputs);                                   // of `forward` and `backward`
  int (*gradient_units)(const DenseArgs<float, uint32_t>&);
  size_t (*scratch)(int samples);
  // ∂W = δ xᵀ and ∂b: x as of `lanes`, z is δ in float32.
  void (*gradient)(const DenseArgs<float, uint32_t>&, int begin, int end, uint32_t* scratch);
  void (*along)(const PairArgs&, int begin, int end);   // rows two by two, an odd one with zeros; unit: block
  void (*lanes)(const PairArgs&, int begin, int end);   // lanes two by two; unit: block
  // To bfloat16 and back: `count` vectors.
  void (*round)(const float* from, float* to, int64_t begin, int64_t end);
  // A direct convolution: weights to pairs, of channels or of filters; then as of `Kernels`, where in place of numbers pairs
  // lie in x, forward, and in z, in the pass back; by filters x has pairs of lanes.
  void (*pack_forward)(const ConvArgs<float>&, int begin, int end);
  void (*pack_backward)(const ConvArgs<float>&, int begin, int end);
  void (*conv_forward)(const ConvArgs<float>&, int begin, int end);
  void (*conv_backward)(const ConvArgs<float>&, int begin, int end);
  void (*filters_transpose)(const ConvArgs<float>&, int begin, int end);
  void (*filters_gradient)(const ConvArgs<float>&, int begin, int end);
};

template <class T>
struct Kernels {
  int lanes;
  const char* name;

  // Each takes a range of units [begin, end); how units map to work stands with the kernel.
  void (*dense_forward)(const DenseArgs<T>&, int begin, int end);
  void (*dense_backward)(const DenseArgs<T>&, int begin, int end);
  void (*dense_gradient)(const DenseArgs<T>&, int begin, int end, T* scratch);
  // Of every group of blocks the inputs that are not 0 in all lanes, as DenseArgs has them, and behind the groups all that are
  // in some group; these rows of x; and the gradient from those alone, in place.
  void (*dense_present)(const DenseArgs<T>&, int* present, int* count);
  int (*dense_groups)(const DenseArgs<T>&);
  void (*dense_gather_rows)(const DenseArgs<T>&, const int* list, int count, T* to);
  void (*dense_spread)(const DenseArgs<T>&, const int* present);
  int (*dense_forward_units)(const DenseArgs<T>&);
  int (*dense_backward_units)(const DenseArgs<T>&);
  int (*dense_gradient_units)(const DenseArgs<T>&);
  size_t (*dense_scratch)(int samples);
  void (*dense_norms)(const DenseArgs<T>&, double* norms, int begin, int end);   // of the samples' own gradients; unit: block

  int (*rows_units)(const RowsArgs<T>&);
  void (*rows_forward)(const RowsArgs<T>&, int begin, int end);
  void (*turn_panels)(const T* w, int inputs, int outputs, T* to, int begin, int end);   // unit: panel of inputs
  int (*rows_gradient_units)(const RowsGradientArgs<T>&);
  size_t (*rows_gradient_scratch)(const RowsGradientArgs<T>&);
  void (*rows_gradient)(const RowsGradientArgs<T>&, int begin, int end, T* scratch);
  int (*winograd_rows_units)(const RowsArgs<T>&);
  size_t (*winograd_rows_scratch)(const RowsArgs<T>&);
  void (*winograd_rows_pack)(const ConvArgs<T>&, bool rotated, int begin, int end);   // unit: output channel
  void (*winograd_rows)(const RowsArgs<T>&, int begin, int end, T* scratch);
  void (*norm_channels)(const NormArgs<T>&, int begin, int end);   // unit: row of a sample

  size_t (*conv_packed_size)(const ConvArgs<T>&);                       // scalars needed in `packed`, forward and backward
  void (*conv_pack_forward)(const ConvArgs<T>&, int begin, int end);    // unit: filter
  void (*conv_pack_backward)(const ConvArgs<T>&, int begin, int end);   // unit: filter
  void (*conv_forward)(const ConvArgs<T>&, int begin, int end);         // unit: output row of a block
  void (*conv_backward)(const ConvArgs<T>&, int begin, int end);        // unit: input row of a block
  void (*conv_gradient)(const ConvArgs<T>&, int begin, int end);
  int (*conv_gradient_units)(const ConvArgs<T>&);
  bool (*conv_by_filters)(const ConvArgs<T>&);       // whether the gradient is that of the next
  size_t (*conv_filters_size)(const ConvArgs<T>&);   // scalars needed in `partial`
  int (*conv_filters_rows)(const ConvArgs<T>&);      // of a strip
  int (*conv_filters_blocks)(const ConvArgs<T>&);    // of a strip of whole images
  int (*conv_filters_units)(const ConvArgs<T>&);
  void (*conv_filters_transpose)(const ConvArgs<T>&, int begin, int end);   // unit: row of a strip
  void (*conv_filters_gradient)(const ConvArgs<T>&, int begin, int end);    // of a strip
  int (*conv_filters_finish_units)(const ConvArgs<T>&);
  void (*conv_filters_finish)(const ConvArgs<T>&, int begin, int end);
  void (*conv_transposed_bias)(const ConvArgs<T>&, int begin, int end);   // unit: channel

  void (*depthwise_forward)(const ConvArgs<T>&, int begin, int end);    // unit: output row of a block
  void (*depthwise_backward)(const ConvArgs<T>&, int begin, int end);   // unit: input row of a block
  void (*depthwise_gradient)(const ConvArgs<T>&, int begin, int end);
  int (*depthwise_gradient_units)(const ConvArgs<T>&);

  size_t (*winograd_packed_size)(int channels, int filters, int planes);
  size_t (*winograd_scratch)(int channels, int filters, int planes);
  size_t (*winograd_partial_size)(int channels, int filters, int planes);         // one part
  void (*winograd_pack)(const ConvArgs<T>&, bool rotated, int begin, int end);    // unit: output channel
  void (*winograd_forward)(const ConvArgs<T>&, int begin, int end, T* scratch);   // unit: row of tiles of a plane of a block
  void (*winograd_backward)(const ConvArgs<T>&, int begin, int end, T* scratch);
  void (*winograd_gradient)(const ConvArgs<T>&, int begin, int end, T* scratch);   // unit: part
  void (*winograd_gradient_finish)(const ConvArgs<T>&, int begin, int end);        // unit: filter

  void (*pool_forward)(const PoolArgs<T>&, int begin, int end);   // unit: output row of a block
  void (*pool_backward)(const PoolArgs<T>&, int begin, int end);
  int (*pool_backward_units)(const PoolArgs<T>&);

  void (*steps_mean)(const StepsMeanArgs<T>&, int begin, int end);   // unit: sample
  void (*steps_mean_backward)(const StepsMeanArgs<T>&, int begin, int end);
  void (*activation_forward)(const ElementwiseArgs<T>&, int begin, int end);   // unit: row of a block
  void (*activation_backward)(const ElementwiseArgs<T>&, int begin, int end);
  void (*softmax_forward)(const ElementwiseArgs<T>&, int begin, int end);
  void (*softmax_backward)(const ElementwiseArgs<T>&, int begin, int end);   // post.saved = a

  void (*recurrent_forward)(const RecurrentArgs<T>&, int begin, int end);   // unit: block
  void (*recurrent_backward)(const RecurrentArgs<T>&, int begin, int end);
  void (*recurrent_channels)(const RecurrentArgs<T>&, int begin, int end);   // unit: sample
  void (*recurrent_channels_backward)(const RecurrentArgs<T>&, int begin, int end);
  void (*masking_forward)(const MaskingArgs<T>&, int begin, int end);   // unit: row of a block
  void (*masking_backward)(const MaskingArgs<T>&, int begin, int end);
  void (*masked_pool_forward)(const MaskedPoolArgs<T>&, int begin, int end);   // unit: block
  void (*masked_pool_backward)(const MaskedPoolArgs<T>&, int begin, int end);
  void (*embedding_forward)(const EmbeddingArgs<T>&, int begin, int end);   // unit: output row of a block
  void (*embedding_gradient)(const EmbeddingArgs<T>&, int begin, int end);
  int (*embedding_gradient_units)(const EmbeddingArgs<T>&);
  int32_t (*embedding_count)(const EmbeddingArgs<T>&);   // before the gradient: finds the long sums, and how many
  size_t (*attention_scratch)(const AttentionArgs<T>&);
  void (*attention_forward)(const AttentionArgs<T>&, int begin, int end, T* scratch);   // unit: head of keys of a block
  void (*attention_backward)(const AttentionArgs<T>&, int begin, int end, T* scratch);
  size_t (*attention_channels_scratch)(const AttentionArgs<T>&);
  void (*attention_channels)(const AttentionArgs<T>&, int begin, int end, T* scratch);   // unit: head of a sample
  size_t (*attention_positions_scratch)(const AttentionArgs<T>&);
  void (*attention_positions_forward)(const AttentionArgs<T>&, int begin, int end, T* scratch);   // unit: head of a sample
  void (*attention_positions_backward)(const AttentionArgs<T>&, int begin, int end, T* scratch);
  void (*turn_pairs)(const TurnArgs<T>&, bool back, int begin, int end);             // unit: row of steps of a block
  void (*add_table)(const TableArgs<T>&, int begin, int end);                        // unit: row of a block
  void (*norm_batch_sums)(const NormArgs<T>&, bool squares, int begin, int end);     // unit: part
  void (*norm_batch_finish)(const NormArgs<T>&, bool squares, int begin, int end);   // unit: channel
  void (*norm_running)(const NormArgs<T>&, int begin, int end);                      // unit: channel
  void (*norm_group_statistics)(const NormArgs<T>&, int begin, int end);             // unit: group or position of a block
  void (*norm_forward)(const NormArgs<T>&, int begin, int end);                      // unit: row of a block
  void (*norm_gradient_sums)(const NormArgs<T>&, int begin, int end);                // unit: part
  void (*norm_gradient_finish)(const NormArgs<T>&, int begin, int end);              // unit: channel
  void (*norm_group_averages)(const NormArgs<T>&, int begin, int end);               // unit: group or position of a block
  void (*norm_backward)(const NormArgs<T>&, int begin, int end);                     // unit: row of a block
  void (*dropout)(const DropoutArgs<T>&, int begin, int end);                        // unit: row of a block

  void (*add_run)(const T* a, const T* b, T* sum, ptrdiff_t count);   // sum = a + b, whole vectors; sum may be a

  void (*loss)(const LossArgs<T>&, int begin, int end);   // unit: block

  size_t (*program_scratch)(const ProgramArgs<T>&);
  void (*program)(const ProgramArgs<T>&, int begin, int end, T* scratch, T* sums);   // unit: row of a block
  // Sums of `parts` accumulators, `step` scalars apart, over parts and lanes; unit: entry.
  void (*program_finish)(const T* sums, ptrdiff_t step, int parts, T* gradient, int begin, int end);
  void (*program_loss)(const ProgramArgs<T>&, const LossArgs<T>&, int begin, int end, T* scratch);   // unit: block

  void (*gather)(const GatherArgs&, const Map<T>&, int kind, int begin, int end);   // unit: piece of an image row of a block
  // The vectors of a row, with what lane l holds in lane l + 1 (above), or in l - 1; the outermost one comes from those beside
  // it, of the next block. keep: by lane; else zero.
  void (*shift_lanes)(const T* from, const T* beside, bool above, const bool* keep, T* to, int64_t vectors);
  // Into the lanes from `first` up to `end` what lies `shift` lanes further on; the others stay as they are, or are cleared.
  void (*move_lanes)(const T* from, int shift, int first, int end, bool keeps, T* to, int64_t vectors);
  void (*repeat_lane)(T* to, int from, int64_t vectors);                      // what lane `from` holds, into those behind it
  void (*scatter)(const Map<T>&, T* rows, int samples, int begin, int end);   // lanes -> rows; unit: row of a block
  void (*update)(const UpdateArgs<T>&, size_t begin, size_t end);
  // unit: group of `units` units, of `length` weights each
  void (*limit_norms)(T* theta, int64_t length, int64_t units, double limit, int begin, int end);
  double (*peak)(int64_t rounds);   // runs independent multiply-add chains, returns how many floating-point operations
  // Σ s² (v + factor·o + sign_factor·sign o)²
  double (*square_sum)(const T* values, const T* other, T factor, T sign_factor, double s, size_t begin, size_t end);

  PairKernels pairs;   // float only
};

// kind of `gather`
enum Source : int { source_same = 0, source_uint8 = 1 };

}   // namespace chainrule
