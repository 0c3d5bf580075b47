"""What other libraries call an argument or a class: the advice names what there is, and holds if followed."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.foreign import WORDS, advice_for
from chainrule.base.foreign.attributes import METHODS
from chainrule.base.foreign.names import NAMES
from chainrule.base.foreign.words import ByValue
from tests.public_classes import CLASSES, LAYERS, OTHERS, arguments

STUBS = {
    **{name: getattr(cr, name) for name in cr.__all__},
    "w": np.ones(6),
    "X": np.ones((6, 3)),
    "y": np.ones((6, 2)),
    "network": cr.Network([cr.Dense(2)], input_shape=3),
    "X_val": np.ones((2, 3)),
    "y_val": np.ones((2, 2)),
    "function": print,
    "label": 0,
    "weight": 1.0,
    "values": {},
    "MyLayer": cr.Layer,
    "Theta1": np.ones((2, 4)),
    "Theta2": np.ones((1, 3)),
    "table": np.ones((3, 2)),
    "chainrule": cr,
}


def target(name: str) -> Any:
    """The class, function or method of an entry."""
    home: Any = cr.estimators if name.split(".")[0] in cr.estimators.__all__ else cr
    home = cr.data if name in ("split", "load_mnist") else home
    return functools.reduce(getattr, name.split("."), home)


def words_of(owner: str) -> dict[str, Any]:
    """The foreign words of an entry, or of the nearest base that has some."""
    bases = target(owner).__mro__ if isinstance(target(owner), type) else ()
    return advice_for([owner, *(base.__name__ for base in bases)])


def named(advice: str) -> tuple[dict[str, Any], str]:
    """The arguments that an advice begins with, name -> value, and the text that follows them."""
    code_part = re.split(r" in (?:Network|fit)\b", advice)[0]
    for end in range(len(code_part), 0, -1):
        if end < len(advice) and advice[end] not in ",:; ":
            continue
        try:
            call = ast.parse(f"f({advice[:end]})", mode="eval").body
        except SyntaxError:
            continue
        assert isinstance(call, ast.Call)
        if call.args or not call.keywords:
            return {}, advice
        found = {}
        for one in call.keywords:
            code = compile(ast.Expression(one.value), "advice", "eval")
            found[str(one.arg)] = eval(code, {}, STUBS)
        return found, advice[end:]
    return {}, advice


def answers(advice: str | ByValue) -> list[tuple[Any, str]]:
    """Every answer of an entry, with each value that leads to it; object() is in no case."""
    if isinstance(advice, str):
        return [(value, advice) for value in (object(), None, False, True, 1)]
    # The first case that has a value counts: none has one that is an earlier one's.
    found = [(value, text) for text, values in advice.cases for value in values]
    return [*found, (object(), advice.otherwise)]


def test_every_class_has_its_words() -> None:
    """An elementwise activation without options of its own has those of its base."""
    plain = {"Doctor", "GlobalMaxPool"}
    without = [name for name in CLASSES if name not in WORDS and name not in plain]
    assert all(issubclass(target(name), cr.Activation) for name in without)


@pytest.mark.parametrize("owner", WORDS)
def test_an_advice_names_arguments_that_exist_and_values_that_are_taken(owner: str) -> None:
    function = target(owner)
    own = [name for name in arguments(function) if name != "self"]
    right = LAYERS[owner][0] if owner in LAYERS else OTHERS.get(owner, {})
    walked = [(word, text) for word, entry in WORDS[owner].items() for _, text in answers(entry)]
    for word, advice in dict.fromkeys(walked):
        assert word not in own, f"{owner}({word}=) is an argument of its own"
        values, rest = named(advice)
        elsewhere = re.match(r" in (Network|fit)\b", rest)
        names = arguments(getattr(cr, elsewhere[1])) if elsewhere else own
        if "freeze" in set(values) - set(names):
            continue
        assert set(values) <= set(names), f"{owner}({word}=): write {advice}"
        mentioned = re.findall(r"^(\w+)=", advice)
        assert set(mentioned) <= set(names), f"{owner}({word}=): write {advice}"
        if isinstance(function, type) and values and not elsewhere and issubclass(function, object):
            given = {**right, **values}
            if owner == "Network":
                given = {"layers": [cr.Dense(2)], "input_shape": 3, **values}
            function(**given)


@pytest.mark.parametrize("owner", WORDS)
def test_the_error_says_it(owner: str) -> None:
    function = target(owner)
    first: list[Any] = []
    if "." in owner:
        home = target(owner.split(".")[0])
        first = [cr.Network([cr.Dense(1)], input_shape=1) if home is cr.Network else home()]
    walked = [(word, *one) for word, entry in WORDS[owner].items() for one in answers(entry)]
    for word, value, advice in walked:
        with pytest.raises(TypeError) as caught:
            function(*first, **{word: value})
        said = f"; there is {advice}" if advice.startswith("no ") else f"; write {advice}"
        assert str(caught.value) == f"{function.__name__}() has no argument {word!r}{said}"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cr.LayerNorm(normalized_shape=[2, 5]), "write axes=2 for a shape of two, the last"),
        (lambda: cr.PReLU(num_parameters=1), "write shared=True"),
        (lambda: cr.ConvTranspose2D(8, 3, padding_mode="reflect"), "there is no padding but zeros"),
        (lambda: cr.RNN(8, initial_state=0), "a node of a Graph reads them behind its sequence"),
        (lambda: cr.LSTM(8, return_state=True), "another node of a Graph reads the last states"),
        (lambda: cr.MultiHeadAttention(2, attn_mask=None), "write seen=, True where a query sees a key"),
        (lambda: cr.RMSProp(alpha=0.99), "write rho=0.99"),
        (lambda: cr.Adam(clipnorm=1.0), "there is no clipping of single arrays"),
        (lambda: cr.SGD(decay=1e-6), r"write rate=ExponentialDecay\(0.1\)"),
    ],
)
def test_a_word_with_another_meaning_leads_to_no_neighbour(call: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


def test_only_slips_of_the_pen_are_corrected() -> None:
    for word, meant in (("unit", "units"), ("Units", "units"), ("initialiser", "initializer")):
        with pytest.raises(TypeError, match=f"has no argument '{word}'; write {meant}=\\.\\.\\.$"):
            cr.Dense(3, **{word: 1})
    # Arguments of other classes here and elsewhere, spelt nearly as one of this class.
    for call in (lambda: cr.Dense(3, biases=1), lambda: cr.Dense(3, recurrent_initializer="he")):
        with pytest.raises(TypeError, match=r"it takes units, bias, ntk, initializer|write bias="):
            call()
    with pytest.raises(TypeError, match="'recurrent_initializer'; it takes units, bias, ntk, initializer"):
        cr.Dense(3, recurrent_initializer="he")


def test_what_is_missing_and_what_is_too_much() -> None:
    for call, said in (
        (lambda: cr.Dense(), r"Dense\(\) needs units: write Dense\(units=\.\.\.\)"),
        (lambda: cr.Conv2D(8), r"needs kernel_size: write Conv2D\(filters=\.\.\., kernel_size=\.\.\.\)"),
        (lambda: cr.Conv2D(3, 16, 3), "takes 2 by position, received 3; write the number of filters"),
        (lambda: cr.LayerNorm([2, 5]), r"takes 0 by position, received 1; write LayerNorm\(\), which norm"),
        (lambda: cr.GroupNorm(3, 6), r"takes 1 by position, received 2; write the number of groups only"),
        (lambda: cr.GELU("tanh"), "takes 0 by position, received 1; write nothing in the parentheses"),
        (lambda: cr.He(2.0), "takes 0 by position, received 1; write nothing in the parentheses"),
        (lambda: cr.Network([cr.Dense(1)]), r"Network\(\) needs input_shape"),
    ):
        with pytest.raises(TypeError, match=said):
            call()
    with pytest.raises(ValueError, match="not the channels"):
        cr.BatchNorm(64)


# Of torch.nn and torch.optim 2.x, by what stands for the class here.
TORCH = {
    "Dense": "in_features out_features bias device dtype",
    **{
        f"Conv{n}D": "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode "
        "device dtype"
        for n in (1, 2)
    },
    **{
        f"ConvTranspose{n}D": "in_channels out_channels kernel_size stride padding output_padding "
        "groups bias "
        "dilation padding_mode device dtype"
        for n in (1, 2)
    },
    **{f"MaxPool{n}D": "kernel_size stride padding dilation return_indices ceil_mode" for n in (1, 2)},
    "AveragePool1D": "kernel_size stride padding ceil_mode count_include_pad",
    "AveragePool2D": "kernel_size stride padding ceil_mode count_include_pad divisor_override",
    **{f"L2Pool{n}D": "norm_type kernel_size stride ceil_mode" for n in (1, 2)},
    "GlobalAveragePool": "output_size",
    "GlobalMaxPool": "output_size return_indices",
    **dict.fromkeys(
        ("RNN", "LSTM", "GRU"),
        "input_size hidden_size num_layers bias batch_first dropout bidirectional device dtype",
    ),
    "LSTM": "input_size hidden_size num_layers bias batch_first dropout bidirectional proj_size device dtype",
    "MultiHeadAttention": "embed_dim num_heads dropout bias add_bias_kv add_zero_attn kdim vdim batch_first "
    "device dtype key_padding_mask need_weights attn_mask average_attn_weights is_causal",
    "Embedding": "num_embeddings embedding_dim padding_idx max_norm norm_type scale_grad_by_freq sparse "
    "_weight _freeze device dtype",
    "BatchNorm": "num_features eps momentum affine track_running_stats device dtype bias",
    "LayerNorm": "normalized_shape eps elementwise_affine bias device dtype",
    "GroupNorm": "num_groups num_channels eps affine device dtype bias",
    "InstanceNorm": "num_features eps momentum affine track_running_stats device dtype",
    **{f"Pad{n}D": "padding value" for n in (1, 2)},
    "UpSample2D": "size scale_factor mode align_corners",
    "PixelShuffle": "upscale_factor",
    "RMSNorm": "normalized_shape eps elementwise_affine device dtype",
    "Dropout": "p inplace",
    "Flatten": "start_dim end_dim",
    "PReLU": "num_parameters init device dtype",
    "ELU": "alpha inplace",
    "LeakyReLU": "negative_slope inplace",
    "GELU": "approximate",
    "Softmax": "dim",
    "Softplus": "beta threshold",
    "HardTanh": "min_val max_val inplace min_value max_value",
    **dict.fromkeys(("ReLU", "SiLU", "Mish", "SELU", "HardSigmoid", "HardSwish"), "inplace"),
    "CrossEntropy": "weight size_average ignore_index reduce reduction label_smoothing",
    "BinaryCrossEntropy": "weight size_average reduce reduction pos_weight",
    **dict.fromkeys(("SquaredError", "MeanAbsoluteError"), "size_average reduce reduction"),
    "Huber": "reduction delta size_average reduce beta",
    "Poisson": "log_input full size_average eps reduce reduction",
    "CategoricalHinge": "p margin weight size_average reduce reduction",
    "SGD": "params lr momentum dampening weight_decay nesterov maximize foreach differentiable fused",
    "Adam": "params lr betas eps weight_decay amsgrad foreach maximize capturable differentiable fused "
    "decoupled_weight_decay",
    "AdamW": "params lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused",
    "RMSProp": "params lr alpha eps weight_decay momentum centered capturable foreach maximize "
    "differentiable",
    "StepDecay": "optimizer step_size gamma last_epoch",
    "CosineDecay": "optimizer T_max eta_min last_epoch",
    "ExponentialDecay": "optimizer gamma last_epoch",
}
KERAS = {
    "Dense": "units activation use_bias kernel_initializer bias_initializer kernel_regularizer "
    "bias_regularizer "
    "activity_regularizer kernel_constraint bias_constraint lora_rank lora_alpha name dtype trainable",
    "Conv2D": "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
    "kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer "
    "kernel_constraint bias_constraint",
    "DepthwiseConv2D": "kernel_size strides padding depth_multiplier data_format dilation_rate "
    "activation use_bias "
    "depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer depthwise_constraint",
    "MaxPool2D": "pool_size strides padding data_format name",
    "LSTM": "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
    "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer "
    "activity_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout "
    "return_sequences return_state go_backwards stateful unroll use_cudnn",
    "GRU": "units reset_after return_sequences return_state go_backwards stateful unroll",
    "RNN": "units activation use_bias return_sequences return_state go_backwards stateful unroll",
    "Bidirectional": "layer merge_mode backward_layer",
    "Pad2D": "padding data_format",
    "Crop2D": "cropping data_format",
    "UpSample2D": "size data_format interpolation",
    "Embedding": "input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint "
    "mask_zero weights input_length",
    "MultiHeadAttention": "num_heads key_dim value_dim dropout use_bias output_shape attention_axes "
    "flash_attention kernel_initializer bias_initializer kernel_regularizer kernel_constraint",
    "BatchNorm": "axis momentum epsilon center scale beta_initializer gamma_initializer "
    "moving_mean_initializer "
    "moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint gamma_constraint "
    "synchronized",
    "LayerNorm": "axis epsilon center scale rms_scaling beta_initializer gamma_initializer beta_regularizer",
    "Dropout": "rate noise_shape seed",
    "ReLU": "max_value negative_slope threshold",
    "PReLU": "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
    "Adam": "learning_rate beta_1 beta_2 epsilon amsgrad weight_decay clipnorm clipvalue "
    "global_clipnorm use_ema "
    "ema_momentum ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps",
    "EarlyStopping": "monitor min_delta patience verbose mode baseline restore_best_weights start_from_epoch",
    "Checkpoint": "filepath monitor verbose save_best_only save_weights_only mode save_freq "
    "initial_value_threshold",
    "fit": "epochs verbose callbacks validation_split validation_data shuffle class_weight sample_weight "
    "initial_epoch steps_per_epoch validation_steps validation_batch_size validation_freq batch_size",
    "Network.predict": "batch_size verbose steps",
}


@pytest.mark.parametrize("table", [TORCH, KERAS])
def test_every_argument_of_pytorch_and_keras_has_an_answer(table: dict[str, str]) -> None:
    for owner, words in table.items():
        open_ones = set(words.split()) - set(arguments(target(owner))) - set(words_of(owner))
        assert not open_ones, f"{owner}: {open_ones}"


def test_classes_of_other_libraries_lead_to_what_there_is() -> None:
    for name, advice in NAMES.items():
        with pytest.raises(AttributeError) as caught:
            getattr(cr, name)
        assert str(caught.value).endswith(advice), name
        for own in re.findall(r"chainrule\.(\w+)", advice):
            assert hasattr(cr, own), advice


def test_methods_of_other_libraries_lead_to_what_there_is() -> None:
    for advice in METHODS.values():
        for own in re.findall(r"network\.(\w+)", advice):
            assert own in dir(cr.Network), advice


def test_a_class_of_ones_own_is_answered_as_the_one_it_is_made_of() -> None:
    class Wide(cr.Dense):
        pass

    class Own(cr.Layer):
        pass

    with pytest.raises(TypeError, match=r"Wide\(\) has no argument 'use_bias'; write bias=False or True"):
        Wide(3, use_bias=False)
    with pytest.raises(TypeError, match=r"Own\(\) has no argument 'approximate'; it takes name"):
        Own(approximate="tanh")


def test_signatures_are_those_of_the_functions() -> None:
    assert list(inspect.signature(cr.Network.predict).parameters) == ["self", "X", "allow_nonfinite"]
    assert list(inspect.signature(cr.L2).parameters) == ["lam", "per_sample"]
