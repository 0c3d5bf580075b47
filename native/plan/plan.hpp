// A network and a batch size, compiled: a list of operations over one arena. A step gathers samples into lanes, runs the
// operations forward, the loss, the operations backward, and the update; it allocates nothing and knows nothing of Python.
//
// Read building.cpp, how it is put together, and layout.cpp, what is checked and where all lies; passes.cpp, updates.cpp and
// epochs.cpp, how it runs; samples.cpp, gradients of single samples; contents.cpp, numbers in and out.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../kernels/api.hpp"
#include "../machine/float_exceptions.hpp"
#include "arena.hpp"
#include "pace.hpp"

namespace chainrule {

// What the lanes of a vector hold: samples, [block][height][width][channels][lane], as every kernel reads it that has no other
// form; positions, [sample][positions / lanes][channels][lane], for what acts on each alone, where the lanes behind the last
// position hold it again and have a δ of 0; channels, [sample][height][width][channel], padded to whole vectors; nothing: rows
// as users have them, of which products read number by number. Without a δ where they are channels, or nothing.
enum class InLanes : int { samples, channels, nothing, positions };

// A value of the network, its shape and the zeros kept around it for those that read it with padding.
struct ValueShape {
  int height = 1, width = 1, channels = 1;
  int top = 0, bottom = 0, left = 0, right = 0;
  InLanes lanes = InLanes::samples;
  // Rows of an image cut into bands, each in a lane of its own as if it were a sample: `height` is that of a band, and what
  // lies above and below it are its neighbours' rows (docs/decisions/0020-bands.md). Only with samples in the lanes. The last
  // band may reach beyond the image, of `whole` rows: what is there nobody reads as a number of the image.
  int bands = 1, whole = 1;
  int64_t features() const { return int64_t(height) * width * channels; }   // of a lane
  int rows() const { return bands > 1 ? whole : height; }                   // of a sample
  int64_t numbers() const { return int64_t(rows()) * width * channels; }
  bool fills() const { return bands == 1 || whole == height * bands; }
};

// How a convolution is computed; winograd_gradient: by Winograd in all three passes, winograd: but for the weight gradient.
enum class ConvMethod : int { direct, winograd, winograd_gradient, depthwise };

enum class Layout : int { plain, panels };

struct ParameterShape {
  int64_t size = 0;   // scalars in canonical order
  Layout layout = Layout::plain;
  int64_t outputs = 0, inputs = 0;   // panels: W is outputs x inputs
  bool penalised = false;
  double rate_factor = 1;    // of the rate of every step; 0: the parameter is frozen
  double decay_factor = 1;   // of a decoupled weight decay
};

// Work that is done outside the engine (a layer that is only formulas): called with the plan idle.
enum class HostCall : int { forward, backward, renew };
struct Host {
  std::function<void(int operation, HostCall what, int samples)> call;
};

struct Batch {
  GatherArgs inputs{};
  int input_kind = source_same;
  const void* targets = nullptr;     // rows of T, C-contiguous, or null
  const int64_t* labels = nullptr;   // class numbers, one per sample and pixel of the output, or null
  const double* weights = nullptr;   // per row of the data set, mean 1, or null
  int weight_columns = 1;            // of several outputs as many as there are, where each has weights of its own
};

// Over samples: Σ w · J, how many were classified rightly, and how many have something which counts.
struct Sums {
  double loss = 0, correct = 0, judged = 0;
  void add(const Sums& more) { loss += more.loss, correct += more.correct, judged += more.judged; }
};
// So far. Of several outputs `parts` has what each reached, its loss without its weight among them, and nothing is counted of
// all.
struct Progress : Sums {
  int64_t step = 0, steps = 0;
  double samples = 0;
  std::vector<Sums> parts;
  // The sums of one more batch.
  void add(const Progress& batch) {
    Sums::add(batch), samples += batch.samples;
    parts.resize(batch.parts.size());
    for (size_t k = 0; k < parts.size(); k++) parts[k].add(batch.parts[k]);
  }
};
// Of every step of an epoch: the rate; the decoupled weight decay, or null for that of the optimizer; what multiplies the rate
// of dropout, or null.
struct Strengths {
  const double *rates = nullptr, *decays = nullptr, *dropouts = nullptr;
};
// at_rest: a second moment went beyond the range, so that its parameter moves no more.
enum class Outcome : int { done, stopped, nonfinite, at_rest };

// What a normalisation takes together, where it is no number of groups.
constexpr int over_batch = 0, each_position = -1;

constexpr int largest_batch = 1 << 24, largest_bands = 64;   // but of single pixels

// A compiled formula; what the numbers mean is said in kernels/api.hpp.
struct ProgramCode {
  std::vector<ProgramStep> steps;
  std::vector<ProgramSlot> slots;
  std::vector<double> constants;
  int full = 0, thin = 0;   // temporaries
  bool whole = false;
  bool halved = false;   // of half the channels of its widest value
};

// Entries of all gradients, and the operation behind whose backward pass nothing is added to them; -1: behind the last one.
struct GradientPart {
  size_t begin = 0, end = 0;
  int operation = -1;
};
// One step's batch cut into `shards`, always the same ones; this process computes those from `first` up to `end`, and the
// gradients of all are summed outside, part by part in the order in which they are finished. `computed` finds a part of a
// shard's gradient in the arena; behind `complete` nobody adds to that part, of any shard, and its sum may be written there;
// from then on `advance` is called between pieces of work. `sum` leaves the batch's gradient there, and gives the sums of all.
struct ShardNumbers {
  Progress progress;
  bool overflowed = false, stop = false;
};
struct Sharing {
  int shards = 0, first = 0, end = 0;
  int batch_size = 0;       // samples of a step, at most
  int64_t least_part = 0;   // entries of a part but the last one; 0: all are one
  std::function<void(int shard, int part)> computed;
  std::function<void(int part)> complete;
  std::function<void()> advance;
  std::function<void(int shard, const ShardNumbers& own)> counted;
  std::function<ShardNumbers(bool stop)> sum;
  // Into `sums` those over all shards, of `count` numbers of each of this process's.
  std::function<void(const std::vector<double>& own, int count, std::vector<double>& sums)> exchange;
};

template <class T>
class Operation;
template <class T>
class ProgramLoss;

// What a loss is told beside its kind; LossArgs says what they mean.
struct LossOptions {
  double scale = 1, delta_cut = 1, target_scale = 1, target_shift = 0;
  std::vector<double> positive, negative;   // of every output; empty: 1
};

template <class T>
class Plan {
 public:
  Plan(const std::string& level, int batch_size);
  ~Plan();

  // -- building; each returns the number of what it added. An error where it is too late, or a number is none; whether all
  // fits together is asked in `finish`, before anything runs.
  int add_value(const ValueShape& shape, bool with_delta, const ValueShape& delta_halo);
  int add_parameter(const ParameterShape& shape);
  // Another use of a parameter, in a layout of its own: the same numbers, and its gradient is added to those of the other uses.
  int add_use(int of, const ParameterShape& shape);
  void set_post(Act activation, double slope, int saved);         // for the operation added next: the activation of its output
  void set_input_post(Act activation, double slope, int saved);   // f' of what feeds it, applied to the δ it sends down
  // rounded: factors are to bfloat16 (docs/decisions/0021-bfloat16.md), in float32, where channels are not in the lanes.
  void add_dense(int x, int z, int weights, int bias, bool rounded);
  void add_convolution(int x, int z, int weights, int bias, const ConvArgs<T>& geometry, ConvMethod method, bool rounded);
  void add_pool(int x, int z, const PoolArgs<T>& geometry);
  void add_steps_mean(int x, int z);   // of steps in the lanes
  void add_activation(int x, int z, Act kind, double slope);
  void add_softmax(int x, int z);
  // parameters: W, U, b, and the inner bias of a GRU; projection V, peepholes P, mask, the states in front: -1 for none.
  void add_recurrent(int x, int z, const std::vector<int>& parameters, int projection, int peepholes, int mask, int first,
                     const RecurrentArgs<T>& cell);
  void add_masking(int x, int z, int mask, double value);   // writes the mask, a value of one channel
  void add_masked_pool(int x, int z, int mask, bool average);
  void add_host(int number, int x, int z);
  // Values of a program are x, z, and backward the δ of z and of x; an empty backward program computes nothing.
  void add_program(int x, int z, const ProgramCode& forward, const ProgramCode& backward, const std::vector<int>& parameters,
                   const ProgramCode& infer);   // what a prediction computes, empty: as forward
  // groups: a number, over_batch, or each_position, where it may be by the root mean square, not centred. parameters: gamma
  // and beta, -1 for none, and of a batch the running mean and variance, and where these are means over all batches so far,
  // how many there were, else -1.
  void add_norm(int x, int z, int groups, double epsilon, double momentum, const std::vector<int>& parameters, bool centred);
  // name: CRC of the layer's; rate: which share of the entries is dropped.
  void add_dropout(int x, int z, uint32_t name, double rate);
  void add_slice(int x, int z, int first);   // the features of x from `first` on, as many as z has
  // z from runs of x: `count` numbers of a sample from `from` on, times a weight, are added to those from `to` on.
  void add_gather(int x, int z, const std::vector<int64_t>& to, const std::vector<int64_t>& from,
                  const std::vector<int64_t>& count, const std::vector<double>& weights,
                  bool repeats_edges);   // weights: empty, all are 1
  void add_flatten(int x, int z);
  void add_rearranged(int x, int z);   // the same numbers, with something else in the lanes
  void add_embedding(int x, int z, int table, int mask, int64_t vocabulary, int64_t padding);
  // O from Q, K, V, of one shape; mask: a value of one channel, or -1.
  // rows: of a key and a value more, and zero: one of zeros. places: of every query and key which number of its head's is added
  // to their score, out of `table`, a parameter, or `numbers`.
  void add_attention(int queries, int keys, int values, int z, int mask, int seen, const std::vector<bool>& fixed, int heads,
                     int key_heads, bool causal, const std::vector<int>& rows, bool zero, const std::vector<int32_t>& places,
                     int table, const std::vector<double>& numbers);
  void add_table(int x, int z, const std::vector<double>& table);   // z = x + table, of one sample, for every sample
  // The pairs k, k + half of every head, turned by the angles of their steps: [step][half].
  void add_turned(int x, int z, int heads, const std::vector<double>& cosine, const std::vector<double>& sine);
  int add_view(int of);     // the same memory as a vector per sample; `of` must have no halo
  int add_reader(int of);   // the same memory, with a δ of its own: what one of several branches reads
  void add_branches(int x, const std::vector<int>& readers);
  // z from the outputs of the branches, side by side, summed or multiplied; of each the activation that made it.
  void add_join(const std::vector<int>& inputs, const std::vector<Act>& activations, const std::vector<double>& slopes,
                const std::vector<int>& saved, int z, JoinKind kind);
  void share_delta(int value, int with);   // one δ for z and a where an activation is fused but z is kept
  void set_loss(LossKind kind, int output, int activation, const LossOptions& options);
  // The sum of several losses, each of some features of `output`, which lie side by side, times its weight: of so many
  // positions with as many features each. activation: where a is written.
  void set_loss_of_parts(int output, int activation);
  void add_loss_part(LossKind kind, int first, int positions, int features, double weight, const LossOptions& options);
  void add_host_part(int first, int positions, int features, double weight);
  void add_program_part(int first, int positions, int features, double weight, const ProgramCode& value,
                        const ProgramCode& both, const ProgramCode& activation, Judged judged);
  void set_host_loss(int output);
  void set_program_loss(int output, const ProgramCode& value, const ProgramCode& both, Judged judged);
  int outputs_of_loss() const { return of_outputs_ ? int(loss_parts_.size()) : 0; }
  void set_input(int value);
  void set_penalty(double lambda, double lambda1);   // λ/2 Σθ² + λ1 Σ|θ|
  // early_epsilon: epsilon is added to the root of the second moment before that is corrected.
  void set_optimizer(Rule rule, double momentum, double beta2, double epsilon, bool early_epsilon, double decoupled_decay,
                     double clip_norm, double extra);
  // An update after so many batches, by the mean gradient of their samples.
  void set_accumulation(int batches);
  // The rate of a parameter is that of the step times `factor`; 0: it stays as it is, and counts in no norm of the gradient. A
  // normalisation whose running mean is frozen takes that in training as well.
  void set_rate_factor(int parameter, double factor);
  // A decoupled weight decay of a parameter is that of the step times `factor`; without it 1 of a penalised parameter, else 0.
  void set_decay_factor(int parameter, double factor);
  // The norm of every unit's weights is at most `limit` after an update; a plain parameter is [group][weight][unit].
  void add_max_norm(int parameter, int64_t groups, int64_t units, double limit);
  // Gradients of single samples: their norms are measured, and each is scaled to at most `clip` in training (0: not).
  void set_per_sample(double clip);
  // Every step of training is shared; the batch size of the plan is that of a shard then.
  // beside: plans of the same network for this process's other shards, where some layer takes all of a batch together, so that
  // they are computed side by side; else none, and one after the other.
  void set_sharing(Sharing sharing, std::vector<Plan<T>*> beside);
  int step_samples() const { return sharing_.shards ? sharing_.batch_size : batch_size_; }
  void finish();   // checks everything and lays out the arena; once
  bool finished() const { return stage_ == Stage::finished; }
  Host host;

  // -- parameters, in canonical order
  void set_parameter(int parameter, const T* values);
  void get_parameter(int parameter, T* values) const;
  bool has_gradients() const { return gradient_ != nullptr; }
  // All gradients as they lie in the arena, which is the same for every plan of a network and a level.
  T* all_gradients() const { return gradient_; }
  size_t all_gradients_size() const { return parameter_size_; }
  const std::vector<GradientPart>& gradient_parts() const { return parts_; }   // of a plan that is shared
  double penalty_value() const;                                                // what the penalty adds to J
  void get_gradient(int parameter, T* values) const;
  void set_gradient(int parameter, const T* values);   // of a host operation
  // Optimizer state of a parameter: slot 0 first moment, slot 1 second; false where the rule keeps none.
  bool get_state(int parameter, int slot, T* values) const;
  void set_state(int parameter, int slot, const T* values);
  int64_t steps_taken = 0;

  // What kind of pass is running: a training pass draws random numbers, which `seed` and `step` fix (step 0: outside of
  // training).
  struct Pass {
    bool training = false;
    uint64_t seed = 0, step = 0;
    double dropout = 1;   // of the rate of every dropout
    // Of one shard of a step's batch: the place of its first sample there, and how many the batch has; 0: it is the batch.
    int first = 0, whole = 0;
  };
  Pass pass;

  // -- values, as rows [sample][features]
  void read_value(int value, bool delta, int samples, T* rows) const;
  void write_value(int value, bool delta, int samples, const T* rows);
  int64_t first_nonfinite(bool delta) const;   // the first value that holds one, or -1
  int64_t first_nonfinite_parameter(bool gradient) const;
  int64_t first_at_rest() const;   // the first parameter with an entry whose second moment is beyond the range, or -1

  // While it lives, `ask` is called about every 50 ms: between the operations of a pass, and within the long ones. It may
  // throw.
  class Asking {
   public:
    Asking(Plan& plan, std::function<void()> ask);
    ~Asking() { plan_.poll_between_ = nullptr; }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;

   private:
    Plan& plan_;
  };

  // Whether a number of a forward pass has gone beyond the range, or was none, since this was last asked; more often than so:
  // it may have been one that nothing depends on.
  bool take_overflowed() { return std::exchange(overflowed_, false); }
  void note_overflow() { overflowed_ = true; }   // in a host operation

  int64_t interruptions() const { return interruptions_; }   // how often a call could have ended before it was done

  // -- running. `poll` may throw; the parameters are then those after the last whole step.
  using Poll = std::function<bool(const Progress&)>;
  // Asked before the update of a step in whose forward pass a number may have gone beyond the range. May throw as well. Without
  // it a parameter may come to rest unseen.
  using Look = std::function<void(int64_t step)>;
  void forward(const Batch& batch, int samples);
  // Loss and gradients of one batch: Σ w·J / m of the data, penalty added to both where asked. `training` says which kind of
  // pass it is where that matters (a backward pass always is one).
  Progress loss(const Batch& batch, int samples, bool training, bool backward, bool input_delta, bool with_penalty);
  // The norms of the samples' own gradients, ∂(w·J/m)/∂θ, of a batch; the gradients as well.
  Progress norms(const Batch& batch, int samples, double* norms);
  Outcome train(Batch batch, const int64_t* order, int64_t count, const Strengths& strengths, const Poll& poll,
                const Look& look, Progress& progress, bool last);
  void set_targets(const Batch& batch, int samples);
  // For a host loss, of a part or of all, part 0: what it needs of the batch (weights are w / m), and the per-sample losses it
  // returns.
  int known_part(int part) const { return int(known(part, loss_parts_.size(), "part of a loss")); }
  void read_batch(int part, int samples, T* targets, double* weights) const;
  void set_losses(int part, const double* values, int samples);
  // w · value of every sample of the last batch.
  void read_losses(double* values, int samples) const;

  // Seconds spent so far: gather, loss, update, then forward, gradients and delta of each operation.
  void set_profiling(bool on);
  const std::vector<double>& profile() const { return seconds_; }
  std::vector<int> outputs() const;   // of every operation, in the order of the profile

  int lanes() const { return kernels_.lanes; }
  int batch_size() const { return batch_size_; }
  size_t arena_bytes() const { return arena_.size(); }
  int value_count() const { return int(values_.size()); }
  int parameter_count() const { return int(parameters_.size()); }

  // -- for the operations
  struct Value {
    ValueShape shape, delta_shape;
    bool with_delta = false;
    int memory_of = -1, delta_of = -1;
    Map<T> map, delta;
    Region region, delta_region;
  };
  struct Parameter {
    ParameterShape shape;
    size_t offset = 0, padded = 0;
    int of = -1;                  // of another use: the parameter that is used
    size_t gradient_offset = 0;   // a use has a gradient of its own, and numbers of its own where it has another layout
    size_t vectors = 0;           // scalars that hold something, whole vectors of them
  };
  const Kernels<T>& kernels() const { return kernels_; }
  const PairKernels& pairs() const { return pairs_; }
  Arena& arena() { return arena_; }
  Value& value(int i) { return values_[known(i, values_.size(), "value")]; }
  const Value& value(int i) const { return values_[known(i, values_.size(), "value")]; }
  bool per_sample() const { return per_sample_; }
  bool is_input(int i) const { return input_ >= 0 && memory_of(i) == memory_of(input_); }   // the data, or a view of them
  bool frozen(int i) const { return parameter(used(i)).shape.rate_factor == 0; }
  // Whether the gradients of an operation are computed: not in a plan that only predicts, nor where all its parameters are
  // frozen, unless its δ needs them.
  bool wants_gradients(const Operation<T>& operation) const;
  const Parameter& parameter(int i) const { return parameters_[known(i, parameters_.size(), "parameter")]; }
  T* theta(int i) const { return i < 0 ? nullptr : theta_ + parameter(i).offset; }
  T* gradient(int i) const { return i < 0 || !gradient_ ? nullptr : gradient_ + parameter(i).gradient_offset; }
  int used(int i) const { return parameter(i).of < 0 ? i : parameter(i).of; }
  uint64_t version() const { return version_; }   // of the parameters: another one after every change
  Map<T> map(int i) const { return i < 0 ? Map<T>{} : value(i).map; }
  Map<T> delta(int i) const { return i < 0 ? Map<T>{} : value(i).delta; }
  int blocks(int samples) const { return (samples + lanes() - 1) / lanes(); }
  int max_blocks() const { return blocks(batch_size_); }
  // Blocks of a value, or samples where these are not in lanes; vectors of a pixel, or numbers; numbers from pixel to pixel.
  int blocks(int i, int samples) const { return value(i).shape.lanes == InLanes::samples ? blocks(samples) : samples; }
  int most_lanes(const ValueShape& s) const { return batch_size_ * s.bands; }   // that hold something, in all blocks
  int vectors(const ValueShape& s) const {
    return s.lanes == InLanes::channels ? (s.channels + lanes() - 1) / lanes() : s.channels;
  }
  int64_t pixel(const ValueShape& s) const { return int64_t(vectors(s)) * (s.lanes == InLanes::nothing ? 1 : lanes()); }
  // Sample s of a value with positions in its lanes: vectors of them are its blocks.
  Map<T> one_sample(const Map<T>& m, int s) const {
    Map<T> own = m;
    own.data = m.block(s), own.height = own.width = 1;
    own.block_step = own.row_step = ptrdiff_t(m.channels) * lanes();
    return own;
  }
  // A value as it lies: where the lanes are positions, so many pixels as there are vectors of them.
  ValueShape laid(ValueShape s) const {
    if (s.lanes == InLanes::positions) s.width = (s.height * s.width + lanes() - 1) / lanes(), s.height = 1;
    return s;
  }

 private:
  struct Chunk {
    size_t begin, end;
    bool penalised;
    double rate_factor, decay_factor;
  };
  struct MaxNorm {
    int parameter;
    int groups;
    int64_t length, units;
    double limit;
  };
  enum class LossBy { kernel, host, program };
  // The loss, or that of one of several outputs, which are features of a vector.
  struct LossPart {
    LossBy by;
    LossKind kind{};
    int first = 0, positions = 0, features = 0;   // no positions: all of the output
    double weight = 1;
    LossOptions options{};
    std::vector<T> positive{}, negative{};
    std::shared_ptr<ProgramLoss<T>> program{};
    Judged judged = Judged::none;
  };
  enum class Stage { building, spent, finished };   // spent: memory ran out in `finish`
  static size_t known(int i, size_t count, const char* what) {
    if (i < 0 || size_t(i) >= count)
      throw std::out_of_range(std::string("the plan has no such ") + what + ": " + std::to_string(i));
    return size_t(i);
  }
  void require_building() const;
  int memory_of(int value) const;   // the value whose memory it is
  void check() const;
  void check_post(const Post<T>& post, int saved, int value) const;
  void check_loss() const;
  InLanes lanes_of(int i) const;
  void add_rows(int x, int z, int weights, int bias, const ConvArgs<T>& geometry, bool winograd);
  void place_loss(int output, int activation);
  void require_parts(int first, int positions, int features) const;
  void add_part(LossPart part);
  void gather(const Batch& batch, const int64_t* order, int samples);
  void copy_in(const Batch& batch, const int64_t* order, int samples);
  void gather_bands(const Batch& batch, const int64_t* order, int samples);
  void gather_positions(const Batch& batch, const int64_t* order, int samples);
  void place_uses();
  void cut_gradients();
  bool relaid(const Parameter& use) const;
  void renew_uses();
  void add_uses();
  void run_forward(int samples);
  void run_backward(int samples, bool input_delta);
  void run_backward_with_norms(int samples, bool with_gradients);
  void norms_one_by_one(Operation<T>& operation, int samples);
  bool clip_samples(int samples);
  T scale_delta(int sample, T factor);
  void evaluate_loss(int samples, bool backward);
  void evaluate_part(int part, int samples, bool backward);
  void activate_part(const LossPart& part, int samples);
  static bool is_pair(const LossPart& part) {
    return part.by == LossBy::kernel &&
           (part.kind == LossKind::softmax_cross_entropy || part.kind == LossKind::sigmoid_cross_entropy);
  }
  // Of a value that is a vector the features of a part, in their own shape.
  Map<T> part_of(const Map<T>& m, const LossPart& part) const {
    Map<T> own = m;
    if (!part.positions) return own;
    if (m.data) own.data = m.block(0) + ptrdiff_t(part.first) * lanes();
    own.height = 1, own.width = part.positions, own.channels = part.features;
    return own;
  }
  // Weights, losses and what is right are [part][block][lane].
  ptrdiff_t at_part(int part) const { return ptrdiff_t(part) * max_blocks() * lanes(); }
  double loss_of(int sample) const;
  void reduce_loss(int samples, Progress& progress) const;
  double gradient_norm(bool with_penalty) const;
  void add_penalty();
  T second_correction() const;
  void update(double rate, double decay);
  void limit_norms();
  Map<T> panels_of(const Parameter& parameter, T* packed) const;
  void scale_by_norms(double rate);
  bool gather_gradient(int samples, bool last);
  int first_of_shard(int shard, int samples) const;
  void hand_over(int operation, int first);
  Progress loss_of_shards(Batch batch, int samples, bool& stop);
  void one_after_the_other(Batch batch, int samples);
  void side_by_side(const Batch& batch, int samples);
  void exchange(const std::vector<Plan<T>*>& plans, const std::vector<int>& counts, size_t operation, bool backward);
  int in_mean(int samples) const { return pass.whole ? pass.whole : samples; }   // what 1/m of a pass is of
  void copy_parameter(int parameter, const T* packed, T* canonical) const;
  void pack_parameter(int parameter, const T* canonical, T* packed) const;

  const Kernels<T>& kernels_;
  const PairKernels& pairs_;
  int batch_size_;
  Stage stage_ = Stage::building;
  Arena arena_;
  std::vector<Value> values_;
  std::vector<Parameter> parameters_;
  std::vector<std::unique_ptr<Operation<T>>> operations_;
  std::vector<Chunk> chunks_;
  mutable std::vector<double> partial_;
  Post<T> next_post_{}, next_input_post_{};
  int next_saved_ = -1, next_input_saved_ = -1;

  int input_ = -1, output_ = -1, output_activation_ = -1;
  bool with_loss_ = false, of_outputs_ = false;
  std::vector<LossPart> loss_parts_;
  Post<T> loss_post_{};
  int loss_saved_ = -1;
  double lambda_ = 0, lambda1_ = 0;

  std::optional<Rule> rule_;
  bool early_epsilon_ = false;
  // extra: the dampening of SGD, the start of Adagrad, the decay of NAdam's momentum.
  double momentum_ = 0, beta2_ = 0, epsilon_ = 0, decay_ = 0, clip_norm_ = 0, extra_ = 0;
  double momenta_ = 1;   // NAdam: Π μ_i of so many steps
  int64_t momenta_steps_ = 0;
  Sharing sharing_;
  std::vector<Plan<T>*> beside_;
  std::vector<GradientPart> parts_;
  int handed_ = 0;                       // parts of the step's gradient
  int last_shard_ = -1;                  // of this process, while its pass runs
  int accumulation_ = 1, pending_ = 0;   // batches to an update, and those since the last one
  double pending_samples_ = 0;
  T* accumulated_ = nullptr;   // Σ samples · gradient of these
  std::vector<MaxNorm> max_norms_;

  Region theta_region_, gradient_region_, accumulated_region_, first_region_, second_region_, target_region_, label_region_,
      weight_region_, loss_region_, correct_region_;
  size_t parameter_size_ = 0, uses_size_ = 0;   // of the parameters, and what lies behind them for other uses
  double wanted_parameters_ = 0;                // scalars, without what is added to round them
  T *theta_ = nullptr, *gradient_ = nullptr, *first_ = nullptr, *second_ = nullptr;   // null: nobody asks for them
  uint64_t version_ = 1, uses_version_ = 0;
  T *canonical_ = nullptr, *packed_ = nullptr;   // of a parameter on its way from one layout to another
  Region canonical_region_, packed_region_;
  T *targets_ = nullptr, *labels_ = nullptr, *weights_ = nullptr, *correct_ = nullptr;
  double* losses_ = nullptr;
  bool dense_targets_ = false;
  std::function<void()> poll_between_;
  int64_t interruptions_ = 0;
  bool overflowed_ = false;
  bool profiling_ = false;
  Pace pace_;
  bool per_sample_ = false;
  double clip_sample_ = 0;
  int placed_parameters_ = 0;
  std::vector<double> norms_;
  std::vector<int64_t> bands_;   // of a batch, by where they begin in the data set
  std::vector<T> held_;          // δ of one operation while its samples are taken one by one
  std::vector<double> seconds_;
  template <class Body>
  void timed(size_t place, Body&& body);
};

template <class T>
template <class Body>
void Plan<T>::timed(size_t place, Body&& body) {
  if (!profiling_) return body();
  const auto begin = std::chrono::steady_clock::now();
  body();
  seconds_[place] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// One operation: its arguments are fixed when the arena is laid out; a step only says how many samples it has.
template <class T>
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void check(const Plan<T>&) const = 0;   // throws where its values and parameters do not fit
  // Whether it takes value i, one of those it reads and writes, with this in the lanes.
  virtual bool accepts(const Plan<T>&, int i, InLanes lanes) const {
    (void)i;
    return lanes == InLanes::samples;
  }
  // Whether it has a way back where channels are in the lanes: others only predict so.
  virtual bool trains_channels() const { return false; }
  virtual std::vector<int> reads() const { return {x}; }
  virtual std::vector<int> writes() const { return {z}; }
  // Whether it takes bands of images for samples; whether its values may be cut into other bands each; and how many of what
  // it takes for samples there are.
  virtual bool takes_bands(const Plan<T>&) const { return false; }
  virtual bool cuts() const { return false; }
  virtual int rows(const Plan<T>& plan, int samples) const { return samples * plan.value(z).shape.bands; }
  virtual void reserve(Plan<T>&) {}
  virtual void bind(Plan<T>&) = 0;
  virtual void forward(Plan<T>&, int samples) = 0;
  virtual void gradients(Plan<T>&, int) {}                        // of the parameters, from the δ of the output
  virtual void delta(Plan<T>&, int samples) = 0;                  // of the input
  virtual bool gradients_before_delta() const { return false; }   // whether `delta` uses what `gradients` computes
  // Adds the norms of the samples' own gradients to norms[sample], as sides of a right angle, and computes the gradients as
  // well where asked; false where the operation has no way of its own.
  virtual bool norms(Plan<T>&, int samples, bool with_gradients, double* norms) {
    (void)samples, (void)with_gradients, (void)norms;
    return false;
  }
  // Of one that computes with all samples of a batch, where that is cut into shards: how often these exchange `exchanged`
  // numbers before it goes on, forward and before its gradients; what a shard has to say, added to zeros; and what it is told
  // of all shards.
  virtual int stages(bool backward) const { return (void)backward, 0; }
  virtual int exchanged() const { return 0; }
  virtual void share(Plan<T>&, int samples, bool backward, int stage, double* numbers) {
    (void)samples, (void)backward, (void)stage, (void)numbers;
  }
  virtual void take(Plan<T>&, bool backward, int stage, const double* sums, bool keep) {
    (void)backward, (void)stage, (void)sums, (void)keep;
  }
  virtual void renew(Plan<T>&) {}   // what is kept beside the parameters, once a step of training is done
  virtual bool hands_down(const Plan<T>& plan) const { return plan.value(x).with_delta; }   // whether somebody wants that δ
  int x = -1, z = -1;
  Post<T> post, input_post;
  int saved = -1, input_saved = -1;
  int first_parameter = 0, end_parameter = 0;   // its parameters are those between

 protected:
  // Of an operation that does the same to every lane: whatever its output has.
  bool as_output(const Plan<T>& plan, InLanes lanes) const {
    return lanes == plan.value(z).shape.lanes && lanes != InLanes::nothing;
  }
  void bind_posts(Plan<T>& plan) {
    post.saved = plan.map(saved);
    input_post.saved = plan.map(input_saved);
  }
};

// What an operation makes of its parameters and keeps until they change: in which form it is there, and of which of them.
class Prepared {
 public:
  template <class T>
  bool holds(const Plan<T>& plan, int form) const {
    return form_ == form && version_ == plan.version();
  }
  template <class T>
  void made(const Plan<T>& plan, int form) {
    form_ = form, version_ = plan.version();
  }

 private:
  int form_ = -1;
  uint64_t version_ = 0;
};

template <class T>
bool Plan<T>::wants_gradients(const Operation<T>& o) const {
  if (!with_loss_) return false;
  bool all_frozen = o.first_parameter < o.end_parameter;
  for (int p = o.first_parameter; p < o.end_parameter; p++) all_frozen = all_frozen && frozen(p);
  return !all_frozen || (o.gradients_before_delta() && o.hands_down(*this));
}

}   // namespace chainrule
