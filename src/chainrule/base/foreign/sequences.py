"""What layers over the steps of a sequence take in PyTorch, Keras and Flax, and what stands for it here."""

from __future__ import annotations

from chainrule.base.foreign.values import (
    CONSTRAINT,
    NO_BIAS_CONSTRAINT,
    NO_BIAS_PENALTY,
    PENALTY,
    initializer,
    steps_order,
)
from chainrule.base.foreign.words import Advice, besides, by_name, by_value

_RECURRENT = by_name(
    {
        "units=10": ("hidden_size", "features", "out_features", "output_dim", "num_units", "n_units"),
        "only what the layer puts out: it finds out its inputs": (
            *("input_size", "input_dim", "in_features", "input_length"),
        ),
        by_value(
            "outputs='all' (every step) or 'last'",
            {"outputs='all', every step": (True,), "outputs='last', as it is without it": (False,)},
        ): ("return_sequences",),
        besides("nothing: another node of a Graph reads the last states, 'lstm.h' and 'lstm.c'", False): (
            *("return_state", "return_final_state", "return_carry"),
        ),
        besides("nothing: a node of a Graph reads them behind its sequence, (GRU(8), 'x', 'h')", None): (
            *("initial_state", "initial_carry", "h0", "hx", "h_0", "c0"),
        ),
        besides("no state that is kept: every sequence starts at zeros", False): ("stateful",),
        besides("reverse=True; outputs='all' stay in the order of the sequence", False): ("go_backwards",),
        besides("layers=2", 1): ("num_layers", "n_layers", "nlayers", "depth"),
        besides("no dropout within: Dropout(0.2) is a layer of its own", 0, None): ("dropout",),
        besides("no dropout of states", 0, None): ("recurrent_dropout",),
        "bias=False or True": ("use_bias",),
        "no initializer of the bias": ("bias_initializer", "bias_init"),
        besides("no gate but the sigmoid", "sigmoid"): ("recurrent_activation", "gate_fn"),
        initializer("initializer='glorot'"): ("kernel_initializer", "kernel_init", "weight_init", "init"),
        "recurrent_initializer='orthogonal'": ("recurrent_kernel_init",),
        PENALTY: ("kernel_regularizer", "recurrent_regularizer", "weight_decay"),
        NO_BIAS_PENALTY: ("bias_regularizer",),
        CONSTRAINT: ("kernel_constraint", "recurrent_constraint"),
        NO_BIAS_CONSTRAINT: ("bias_constraint",),
        besides("Masking(), in front of this layer", None, False): (
            *("mask", "mask_zero", "seq_lengths", "lengths"),
        ),
        steps_order(False): ("batch_first",),
        steps_order(True): ("time_major",),
        "nothing: how it is computed does not change what": ("unroll", "implementation", "use_cudnn"),
    }
)
_PROJECTION = ("proj_size", "num_proj", "projection_size", "projection_units")
_PEEPHOLES = ("use_peepholes", "use_peephole", "peephole")
_UNPROJECTED = by_name(
    {
        besides("no projection of the state: an LSTM(64, projection=32) has one", 0, None): (
            *("projection", *_PROJECTION),
        ),
        besides("no peephole: an LSTM(64, peepholes=True) has them", False): ("peepholes", *_PEEPHOLES),
    }
)
_RNN = by_name({"activation='relu', 'tanh', 'sigmoid' or 'identity'": ("nonlinearity", "activation_fn")})
_GATED = by_name({besides("no activation but tanh", "tanh"): ("activation", "nonlinearity", "activation_fn")})
_GRU = by_name(
    {
        by_value(
            "reset_after=True, behind U, as it is without it",
            {"reset_after=False, in front of U": (False,)},
        ): ("linear_before_reset",),
        "no initializer of the bias": ("unit_forget_bias",),
    }
)
_BIDIRECTIONAL = by_name(
    {
        by_value(
            "join='concat' or 'sum'",
            {
                "join='concat', as it is without it": ("concat",),
                "join='sum'": ("sum",),
                "no product of both ways": ("mul",),
                "no mean of both ways: join='sum' is twice of it": ("ave",),
                "no two outputs: a layer in front of this one and a Parallel around both": (None,),
            },
        ): ("merge_mode",),
        "backward=LSTM(10, reverse=True), with the layer you want": ("backward_layer", "backward_rnn"),
        "Bidirectional(LSTM(10)), with the layer you want": ("forward_rnn", "units", "hidden_size"),
        "nothing: its layer says outputs='all' or 'last'": ("return_sequences",),
    }
)
_LSTM = by_name(
    {
        besides("projection=32", 0, None): _PROJECTION,
        by_value("peepholes=True", {"peepholes=False, as it is without it": (False,)}): _PEEPHOLES,
        besides("no gate f that is 1 - i: f has weights of its own", False): (
            *("input_forget", "coupled", "couple_gates"),
        ),
        besides("no clipping within: clip_norm=1.0 in fit holds gradients", 0, None): (
            *("clip", "cell_clip", "proj_clip"),
        ),
        by_value(
            "no initializer of the bias: that of the forget gate starts at 1",
            {"nothing: the bias of the forget gate starts at 1": (True,)},
        ): ("unit_forget_bias",),
    }
)
_OF_ATTENTION = by_name(
    {
        "heads=4": ("num_heads", "n_heads", "nhead", "n_head"),
        "nothing: it finds out the features": ("embed_dim", "d_model", "qkv_features", "features", "units"),
        besides("no size of a head but features / heads", None): ("key_dim", "head_dim", "value_dim"),
        besides("nothing: a Graph reads them, (MultiHeadAttention(4), 'queries', 'keys_and_values')", None): (
            *("kdim", "vdim", "key", "value", "query", "context"),
        ),
        "key_value_heads=1": (
            *("num_kv_heads", "num_key_value_heads", "n_kv_heads", "n_kv_head", "kv_heads"),
            *("num_query_groups", "enable_gqa"),
        ),
        by_value("rotary=True", {"rotary=False, as it is without it": (False,)}): (
            *("rope", "use_rope", "rotary_embedding", "use_rotary"),
        ),
        "rotary_base=10000.0": ("rope_theta", "rotary_embedding_base"),
        besides("no other number of outputs than of inputs", None): ("output_shape", "out_features"),
        by_value("causal=True", {"causal=False, as it is without it": (False,)}): (
            *("is_causal", "use_causal_mask"),
        ),
        "seen=, True where a query sees a key (of PyTorch's attn_mask the opposite); causal=True hides later "
        "steps, Masking() in front hides padding": (*("attn_mask", "attention_mask", "mask"),),
        "Embedding(..., padding=0) or Masking(), in front of this layer": ("key_padding_mask",),
        besides("no dropout of the weights A", 0): ("dropout", "dropout_rate"),
        besides("no second output: network.formulas() shows what A is", False): (
            *("need_weights", "average_attn_weights", "return_attention_scores"),
        ),
        by_value("key_value_bias=True", {"key_value_bias=False, as it is without it": (False,)}): (
            *("add_bias_kv", "bias_kv", "bias_k"),
        ),
        by_value("zero_key_value=True", {"zero_key_value=False, as it is without it": (False,)}): (
            *("add_zero_attn", "zero_attn"),
        ),
        by_value("relative_positions='alibi'", {"relative_positions=None, as it is without it": (False,)}): (
            *("alibi", "use_alibi", "alibi_slopes"),
        ),
        "relative_positions='t5', or 'learned' of a number for every distance": (
            *("relative_attention", "relative_bias", "position_bias", "attn_bias", "relative_position_bias"),
            *("use_relative_position_bias", "has_relative_attention_bias", "relative_position"),
        ),
        "relative_positions='t5', buckets=32": ("relative_attention_num_buckets", "num_buckets"),
        "relative_positions='t5', max_distance=128": ("relative_attention_max_distance",),
        "relative_positions='learned', max_distance=16": (
            *("max_relative_position", "max_relative_positions", "max_relative_distance"),
        ),
        "relative_positions='learned', grid=(7, 7)": ("window_size", "window"),
        besides("no other axis than the steps", None, 1, (1,)): ("attention_axes",),
        steps_order(False): ("batch_first",),
        "nothing: how it is computed does not change what": ("flash_attention",),
    }
)
_DECODER = by_name(
    {
        "heads=4": ("num_heads", "n_heads", "nhead", "n_head"),
        "hidden=128": ("dim_feedforward", "intermediate_dim", "ff_dim", "mlp_dim", "d_ff"),
        "nothing: it finds out the features": ("d_model", "embed_dim", "features"),
        "dropout=0.1": ("dropout_rate", "p", "rate"),
        by_value("norm_first=True", {"norm_first=False, as it is without it": (False,)}): (
            *("normalize_first", "pre_norm"),
        ),
        "a node of a Graph for each: 'second': (TransformerDecoder(4, 128), 'first', 'memory')": (
            *("num_layers", "n_layers", "layers"),
        ),
        by_value("causal=False or True, as it is without it", {"causal=False": (False,)}): (
            *("is_causal", "tgt_is_causal", "use_causal_mask"),
        ),
        besides("no other ε than 1e-5", 1e-5): ("layer_norm_eps", "layer_norm_epsilon", "epsilon"),
        steps_order(False): ("batch_first",),
    }
)
_NO_BIAS_START = by_name(
    {
        by_value("no initializer of the biases", {"nothing: biases start at 0": ("zeros", 0)}): (
            *("bias_initializer", "bias_init"),
        )
    }
)
_EMBEDDING = by_name(
    {
        "vocabulary=1000": (
            *("num_embeddings", "input_dim", "vocab_size", "vocab", "n_vocab", "vocabulary_size"),
        ),
        "features=64": ("embedding_dim", "output_dim", "dim", "d_model", "units", "size", "embed_dim"),
        besides("padding=0, the id that is padding; its row stays zeros", None): (
            *("padding_idx", "pad", "pad_id"),
        ),
        besides("padding=0: the id 0 is passed over, and its row is zeros", False): ("mask_zero",),
        initializer("initializer='normal'"): (
            *("embeddings_initializer", "embedding_init", "weight_init", "init"),
        ),
        PENALTY: ("embeddings_regularizer", "weight_decay"),
        besides("constraint=MaxNorm(3.0) in fit, which holds for all weights, after every step", None): (
            *("max_norm", "embeddings_constraint"),
        ),
        besides("no norm but the Euclidean one", 2): ("norm_type",),
        besides("no scaling of gradients by how often an id occurs", False): ("scale_grad_by_freq",),
        besides("no sparse gradient", False): ("sparse",),
        "network.set_parameters({'embedding1.E': table})": ("_weight", "weights"),
        besides("fit(..., freeze=['embedding1']): what is held fixed is said there", False): (
            *("_freeze", "freeze"),
        ),
        "nothing: the length is that of input_shape in Network": ("input_length",),
    }
)

_POSITIONS = by_name(
    {
        "nothing: it finds out the steps and the features": (
            *("sequence_length", "max_len", "length", "num_embeddings", "embedding_dim", "d_model"),
        ),
        besides("no wavelength but 10000", 10000): ("max_wavelength", "base"),
    }
)
_MASKING = by_name({"value=0.0": ("mask_value", "padding", "padding_value", "pad_value", "ignore_value")})

ATTENTION = {**_OF_ATTENTION, **_NO_BIAS_START}
SEQUENCES: dict[str, dict[str, Advice]] = {
    "RNN": {**_RECURRENT, **_UNPROJECTED, **_RNN, "unit_forget_bias": "no forget gate"},
    "LSTM": {**_RECURRENT, **_GATED, **_LSTM},
    "GRU": {**_RECURRENT, **_UNPROJECTED, **_GATED, **_GRU},
    "Bidirectional": _BIDIRECTIONAL,
    "Embedding": _EMBEDDING,
    "LearnedPositions": {
        **_POSITIONS,
        **by_name({initializer("initializer='normal'"): ("embeddings_initializer", "init")}),
    },
    "PositionalEncoding": _POSITIONS,
    "Masking": _MASKING,
    "TransformerDecoder": _DECODER,
}
