"""Where sources differ by a factor or a form: the choice in force here, and the others with their source.
The sentences are in conventions.toml.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.base.languages import Catalogue

TEXTS = Catalogue("chainrule.explaining.references", "conventions")


@dataclass(frozen=True)
class Choice:
    """A way to have it: the key of its sentence within the convention's, who has it, how to ask for it (code,
    "" where it cannot be asked for), and for the choice in force the words of features_of under which it is.
    """

    key: str
    source: str = ""
    write: str = ""
    when: tuple[str, ...] = ("any",)


@dataclass(frozen=True)
class Convention:
    """An option.  own: what is done here, the first that holds; others: what is done elsewhere or could be
    asked for, as far as their conditions hold; when: the networks it concerns, as in slip_table.py.
    """

    key: str
    own: tuple[Choice, ...]
    others: tuple[Choice, ...]
    when: tuple[str, ...] = ("any",)


_PER_SAMPLE = '`backpropagate(X, y, mode="per_sample")`'

CONVENTIONS: tuple[Convention, ...] = (
    # dense layers
    Convention(
        "weights",
        when=("dense",),
        own=(Choice("outputs_by_inputs", "Tutorial, Dezeming, Matrix notes"),),
        others=(Choice("inputs_by_outputs", "CS231n, Keras"), Choice("two_orders", "Ning Yu")),
    ),
    Convention(
        "samples",
        own=(Choice("columns", "Matrix notes"),),
        others=(
            Choice("rows", "CS231n, PyTorch, scikit-learn"),
            Choice("one_at_a_time", "Tutorial, Ning Yu, Dezeming, Nielsen", _PER_SAMPLE),
        ),
    ),
    Convention(
        "bias",
        when=("bias",),
        own=(Choice("vector", "Tutorial, Ning Yu, Matrix notes"),),
        others=(Choice("column_of_theta", "Dezeming", "`network.theta()`", when=("dense",)),),
    ),
    Convention(
        "input_origin",
        own=(Choice("from_zero", "Tutorial"),),
        others=(Choice("from_one", "Ning Yu, Dezeming, Wang, Matrix notes"),),
    ),
    # averages, the loss and δ
    Convention(
        "one_over_m",
        own=(Choice("in_delta", "Matrix notes"),),
        others=(
            Choice("at_the_end", "Ning Yu, Dezeming", _PER_SAMPLE),
            Choice("in_every_gradient", "deeplearning.ai"),
            Choice("in_the_update", "Nielsen"),
        ),
    ),
    Convention(
        "loss_reduction",
        own=(
            Choice("mean_of_means", "PyTorch, Keras, scikit-learn", when=("mean over outputs",)),
            Choice("mean_of_sums", "Ning Yu, Dezeming, Matrix notes"),
        ),
        others=(
            Choice(
                "mean_of_all",
                "PyTorch, Keras, scikit-learn",
                "`SquaredError(mean_outputs=True)`",
                when=("squared+sum over outputs",),
            ),
            Choice(
                "mean_of_sums",
                "Ning Yu, Dezeming, Matrix notes",
                "`SquaredError()`",
                when=("squared+mean over outputs",),
            ),
            Choice("sum_of_all", 'PyTorch (`reduction="sum"`)'),
        ),
    ),
    Convention(
        "half",
        when=("squared",),
        own=(Choice("half", "Ning Yu, Wang, Matrix notes"),),
        others=(Choice("whole", "PyTorch, Keras"),),
    ),
    Convention(
        "output_delta",
        own=(
            Choice("one_formula", "Dezeming", when=("pair",)),
            Choice("jacobian", when=("softmax output",)),
            Choice("elementwise", "Tutorial ④, Ning Yu, Matrix notes", when=("elementwise output",)),
            Choice("as_it_is"),
        ),
        others=(
            Choice("divided_first", "Tutorial ④", when=("pair+elementwise output",)),
            Choice("wrong_for_softmax", "Tutorial ④", when=("softmax output",)),
        ),
    ),
    Convention(
        "label_smoothing",
        when=("label smoothing",),
        own=(Choice("smoothed", "Szegedy 2016"),),
        others=(Choice("as_they_are", "Dezeming", "`label_smoothing=0`"),),
    ),
    Convention(
        "delta",
        own=(Choice("of_every_output", "Tutorial"),),
        others=(
            Choice("of_z", "Ning Yu, Dezeming, Wang, Matrix notes, Nielsen"),
            Choice("of_pooled_x", "Tutorial", when=("pool",)),
        ),
    ),
    Convention(
        "engine",
        own=(Choice("at_once", "Matrix notes"),),
        others=(Choice("one_by_one", "Ning Yu, Dezeming, Nielsen", _PER_SAMPLE, when=("samples apart",)),),
    ),
    # penalties
    Convention(
        "penalty_scale",
        when=("penalty",),
        own=(
            Choice("half_per_sample", "Dezeming, Nielsen", when=("l2+per sample",)),
            Choice("half", "Ning Yu", when=("l2",)),
            Choice("divided", when=("per sample",)),
            Choice("not_divided"),
        ),
        others=(
            Choice(
                "half_per_sample",
                "Dezeming, Nielsen",
                "`L2(lam, per_sample=True)`",
                when=("l2+not per sample",),
            ),
            Choice("half", "Ning Yu", "`L2(lam)`", when=("l2+per sample",)),
            Choice("whole", "Keras", when=("l2",)),
            Choice(
                "divided_by_m",
                "",
                "`per_sample=True`",
                when=("l1+not per sample", "elastic net+not per sample"),
            ),
            Choice("not_divided", "", "`per_sample=False`", when=("l1+per sample", "elastic net+per sample")),
        ),
    ),
    Convention(
        "penalty_size",
        when=("per sample",),
        own=(Choice("training_set", "Dezeming, Nielsen"),),
        others=(Choice("batch", "scikit-learn"),),
    ),
    Convention(
        "bias_decay",
        when=("penalty",),
        own=(Choice("none", "Ning Yu, Dezeming, Nielsen"),),
        others=(Choice("as_on_weights", "PyTorch (`weight_decay`)"),),
    ),
    Convention(
        "l1_at_0",
        when=("l1", "elastic net"),
        own=(Choice("zero"),),
        others=(Choice("subgradient"),),
    ),
    # convolutions and pools
    Convention(
        "flip",
        when=("conv",),
        own=(Choice("on_the_way_back", "Tutorial, PyTorch, TensorFlow"),),
        others=(Choice("going_forward", "Theano, MATLAB"),),
    ),
    Convention(
        "stride_and_padding",
        when=("conv",),
        own=(
            Choice("as_stated", "TensorFlow", when=("beyond stride 1",)),
            Choice("one_without", "Tutorial, Wang"),
        ),
        others=(Choice("both_sides", "PyTorch", when=("padding",)),),
    ),
    Convention(
        "channels",
        when=("image",),
        own=(Choice("last", "Tutorial, TensorFlow"),),
        others=(Choice("first", "PyTorch, Theano"),),
    ),
    Convention(
        "flatten",
        when=("flatten+image",),
        own=(Choice("channel_fastest", "NumPy, TensorFlow"),),
        others=(Choice("column_fastest", "PyTorch"), Choice("by_columns", "Octave, MATLAB")),
    ),
    Convention(
        "ties",
        when=("max pool",),
        own=(Choice("first", "PyTorch"),),
        others=(Choice("every_one", "Theano"), Choice("shared"), Choice("left_open", "Tutorial, Wang")),
    ),
    Convention(
        "overlap",
        when=("overlap",),
        own=(Choice("added_up", "Tutorial"),),
        others=(Choice("overwritten"),),
    ),
    Convention(
        "padded_pools",
        when=("padded pool",),
        own=(Choice("never_wins", "TensorFlow"),),
        others=(Choice("zeros_count", "PyTorch", "`count_padding=True`", when=("average pool",)),),
    ),
    Convention(
        "l2_pool",
        when=("l2 pool",),
        own=(Choice("root_of_sum", "Wang"),),
        others=(Choice("root_of_mean", "", "`L2Pool2D(2, mean=True)`"), Choice("no_rule", "Wang")),
    ),
    # kinks, norms, sequences and branches
    Convention(
        "kinks",
        when=("kinks",),
        own=(Choice("relu_at_zero", "PyTorch, TensorFlow", when=("relu",)), Choice("lower_side")),
        others=(Choice("in_between", when=("relu",)),),
    ),
    Convention(
        "batchnorm",
        when=("batchnorm",),
        own=(Choice("through_both", "Ioffe, Szegedy 2015"),),
        others=(Choice("samples_apart", "Matrix notes"), Choice("biased_variance", "Keras")),
    ),
    Convention(
        "dropout",
        when=("dropout",),
        own=(Choice("divided_in_training", "PyTorch, Keras"),),
        others=(Choice("scaled_predictions", "Srivastava 2014"),),
    ),
    Convention(
        "time",
        when=("recurrent",),
        own=(Choice("truncated", when=("truncated",)), Choice("whole")),
        others=(Choice("cut", "", "`truncate=k`"), Choice("averaged")),
    ),
    Convention(
        "branches",
        when=("composite",),
        own=(Choice("sum", "Dezeming 2.1.7"),),
        others=(),
    ),
    Convention(
        "masks",
        when=("masking",),
        own=(Choice("passed_over", "Keras"),),
        others=(Choice("read"),),
    ),
)
