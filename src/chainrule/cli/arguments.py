"""The arguments of every command. A command's code is imported when it runs."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from chainrule.cli.values import (
    column_names,
    ensemble_size,
    fraction,
    image_size,
    named_value,
    non_negative_float,
    non_negative_int,
    plain_value,
    positive_float,
    positive_int,
    rhythm,
    shard_count,
    share,
    thread_count,
    usual_shards,
)

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

headers = ("auto", "yes", "no")
tasks = ("auto", "classify", "regress")
kinds_of_inputs = ("auto", "table", "images", "sequences", "ids")
optimizers = ("sgd", "adam", "adamw", "rmsprop")
schedules = ("constant", "cosine")
run_help = "a run folder, or a model file (.safetensors or .npz)"


class Parser(argparse.ArgumentParser):
    """argparse with one line, not the whole usage, on a wrong argument; exit code 2."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """On standard output as everything else, so that an error of it is told."""
        from chainrule.cli.output import say

        if file is None:
            say(self.format_help().removesuffix("\n"))
        else:
            super().print_help(file)

    def error(self, message: str) -> NoReturn:
        from chainrule.cli.output import complain

        if message.startswith("unrecognized arguments: "):
            message += self.meant(message.removeprefix("unrecognized arguments: ").split()[0])
        complain(f"{message} ('{self.prog} --help' lists the arguments)", self.prog)
        raise SystemExit(2)

    def meant(self, word: str) -> str:
        """"; did you mean --rate" for an argument that there is not."""
        from difflib import get_close_matches

        name = word.partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        for command in self._subparsers._group_actions if self._subparsers is not None else ():
            for parser in dict(command.choices or {}).values():
                known += [option for action in parser._actions for option in action.option_strings]
        if not name.startswith("-"):
            return "; the column to learn is told by --target" if "--target" in known else ""
        close = [WORDS[name]] if name in WORDS else get_close_matches(name, set(known) - {name}, 1, 0.6)
        return f"; did you mean {close[0]}" if close else ""


# What other libraries call an argument.
WORDS = {
    "--dtype": "--precision",
    "--lr": "--rate", "--learning-rate": "--rate", "--learning_rate": "--rate", "--label": "--target",
    "--y": "--target", "--batch": "--batch-size", "--sep": "--delimiter", "--output-dir": "--out",
    "--weight-decay": "--penalty", "--l2": "--penalty", "--val": "--validation", "--features": "--columns",
    "--na-values": "--missing", "--proba": "--probabilities", "--lang": "--language", "--output_dir": "--out",
}  # fmt: skip


class Command:
    """Names a command's module, which is imported when the command runs: `--help` stays quick."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __call__(self, arguments: argparse.Namespace) -> int:
        code: int = import_module(f"chainrule.cli.commands.{self.module}").run(arguments)
        return code


class ShowVersion(argparse.Action):
    """--version, read from the package only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from chainrule.cli.output import say
        from chainrule.version import __version__

        say(f"chainrule {__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run`, a function from the arguments to the exit code."""
    parser = Parser(
        prog="chainrule",
        description="Neural networks whose every gradient is a formula: train, predict, check.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action=ShowVersion,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="print the version and leave",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        *(add_train, add_predict, add_data_command, add_check, add_explain, add_doctor),
        *(add_verify, add_oracles, add_bench, add_info, add_launch),
    ):
        add(commands)
    return parser


def command(commands: argparse._SubParsersAction[Parser], name: str, help: str) -> Parser:
    parser: Parser = commands.add_parser(name, help=help, description=f"{help}.", allow_abbrev=False)
    parser.set_defaults(run=Command(name))
    return parser


def add_train(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "train", "train a network and write a run folder")
    parser.add_argument(
        "source",
        metavar="digits|mnist|TABLE|FILE.npz|IDX|FOLDER",
        help="what to learn from: a table (.csv, .tsv, .txt, .parquet, also compressed), arrays, IDX files, "
        "or a folder of images by class; with --resume, a run folder",
    )
    add_data(parser)
    add_table_options(parser)
    network = parser.add_argument_group("network and training (the defaults depend on the data)")
    add_steps(network)
    add_conditions(network)
    add_output(parser)


def add_steps(network: argparse._ArgumentGroup) -> None:
    """The network, and the steps that train it."""
    network.add_argument(
        "--network",
        metavar="dense|realmlp|conv|lstm|FILE.toml",
        help="default: conv for images, lstm for sequences, else dense; realmlp is for tables",
    )
    network.add_argument(
        "--recipe", metavar="NAME|list", help="for mnist: one of Nielsen's experiments; list shows them"
    )
    network.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="for a table, where neither --epochs nor --penalty is given, both are chosen by inner splits",
    )
    network.add_argument("--batch-size", type=positive_int, metavar="N")
    network.add_argument("--rate", type=positive_float, metavar="R", help="learning rate at the start")
    network.add_argument("--schedule", choices=schedules, help="default: cosine")
    network.add_argument("--optimizer", choices=optimizers)
    network.add_argument("--momentum", type=fraction, metavar="M", help="for sgd and rmsprop")
    network.add_argument(
        "--penalty", type=non_negative_float, metavar="LAMBDA", help="L2: adds LAMBDA/2 * sum of W^2"
    )
    network.add_argument(
        "--shift", type=non_negative_int, metavar="N", help="also train on images shifted by N"
    )
    network.add_argument(
        "--clip", type=positive_float, metavar="NORM", help="scale longer gradients down to this norm"
    )


def add_conditions(network: argparse._ArgumentGroup) -> None:
    """What training is watched by, what it counts, how often it is done, from which seed and on what."""
    network.add_argument(
        "--validation", type=fraction, default=0.0, metavar="F", help="watch this part of the training data"
    )
    network.add_argument(
        "--patience", type=positive_int, metavar="N", help="stop after N epochs without improvement"
    )
    network.add_argument(
        "--class-weights",
        metavar="balanced|NAME=W,...",
        help="how much samples of a class count in training",
    )
    network.add_argument(
        "--ensemble",
        type=ensemble_size,
        default=1,
        metavar="N",
        help="train N networks with the seeds from --seed on; their mean predicts",
    )
    network.add_argument("--seed", type=non_negative_int, default=0, metavar="N", help="default: %(default)s")
    network.add_argument(
        "--precision",
        choices=("float32", "float64", "bfloat16"),
        default="float32",
        help="bfloat16: products of dense layers and convolutions, all else float32 (default: %(default)s)",
    )
    network.add_argument(
        "--threads", type=thread_count, metavar="N", help="default: the cores this process may use"
    )
    network.add_argument(
        "--shards",
        type=shard_count,
        metavar="N",
        help="parts of a batch that ranks share, a power of two; it fixes the model, the number of ranks "
        f"does not (default: {usual_shards} where several ranks were started)",
    )


def add_output(parser: Parser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", help="run folder (default: runs/NAME-DATE-TIME)")
    output.add_argument("--overwrite", action="store_true", help="write into a run folder that is not empty")
    output.add_argument(
        "--checkpoint",
        type=rhythm,
        default="5m",
        metavar="WHEN",
        help="how often is written what --resume goes on from: 500 (steps), 10m (minutes), epoch, or never; "
        "also where a signal ends training (default: %(default)s)",
    )
    output.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training in --out, if there is one; or name its run folder as the source",
    )
    output.add_argument(
        "--allow-changes",
        action="store_true",
        help="with --resume: go on although the data are others, or options that are given here; the rest "
        "is as it was",
    )
    output.add_argument("--no-check", action="store_true", help="skip the gradient check before training")
    output.add_argument("--no-report", action="store_true", help="do not write report.html at the end")
    output.add_argument("--quiet", action="store_true", help="no progress line")


def add_data(parser: Parser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="DIR", help="where the MNIST files are, or are downloaded to")
    data.add_argument("--no-download", action="store_true", help="never fetch MNIST from the network")
    data.add_argument("--url", metavar="URL", help="where MNIST is fetched from")
    data.add_argument(
        "--target", metavar="COL", help="column of the table (name or index), array of the NPZ file"
    )
    data.add_argument(
        "--x", metavar="NAME", default="X", help="array of the NPZ file to learn from (default: %(default)s)"
    )
    data.add_argument(
        "--task", choices=tasks, default="auto", help="what the target is (default: by its values)"
    )
    data.add_argument(
        "--inputs",
        choices=kinds_of_inputs,
        default="auto",
        help="what an array holds, where its shape leaves it open",
    )
    data.add_argument(
        "--size",
        type=image_size,
        metavar="HxW",
        help="bring the images of a folder to one size, such as 32x32",
    )
    data.add_argument(
        "--kind",
        action="append",
        metavar="COL=KIND",
        help="read a column as number, levels, date, or drop it; may be given several times",
    )
    data.add_argument(
        "--levels",
        action="append",
        metavar="COL=A<B<C",
        help="the levels of a column from the lowest to the highest; may be given several times",
    )
    data.add_argument(
        "--test",
        type=fraction,
        default=0.2,
        metavar="F",
        help="part held out for the test (default: a fifth)",
    )


def add_predict(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "predict", "predict with a trained model")
    parser.add_argument("model", metavar="RUN|MODEL", help=run_help)
    parser.add_argument("file", metavar="FILE", help="a table, NPZ, NPY or IDX file, images, or digits")
    parser.add_argument("-o", "--output", metavar="FILE.csv", help="default: standard output")
    parser.add_argument("--probabilities", action="store_true", help="one column per class")
    parser.add_argument(
        "--keep",
        type=column_names,
        action="extend",
        metavar="COL,...|all",
        help="columns of the file, or all, before the predictions (of images their names are there already)",
    )
    parser.add_argument(
        "--x", metavar="NAME", help="array of an NPZ file (default: as in training, else X)"
    )
    add_table_options(parser, choose=False)
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="write NaN and infinity too, instead of refusing them"
    )


def add_data_command(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "data", "show what is understood of a file of data")
    parser.add_argument(
        "file", metavar="FILE", help="a table (CSV and its kin, packed or not, Parquet), an NPZ or NPY file"
    )
    add_table_options(parser)


def add_table_options(parser: Parser, *, choose: bool = True) -> None:
    """How a table is read, where it is not to be recognised; choose: and which of its columns."""
    table = parser.add_argument_group("how a table is read (what is not said is recognised)")
    table.add_argument(
        "--delimiter", metavar="SIGN", help="between the cells: a character, tab, blanks (any run) or none"
    )
    table.add_argument(
        "--decimal", choices=(".", ","), help="the decimal sign; the other one groups thousands"
    )
    table.add_argument("--encoding", metavar="NAME", help="of the text, such as utf-8, cp1252 or gb18030")
    table.add_argument(
        "--header", choices=headers, default="auto", help="whether the first line holds the names"
    )
    table.add_argument(
        "--missing",
        metavar="MARKS",
        help="of missing cells: '?,NA', '' for empty cells alone, --missing=-999 where one begins with -",
    )
    if not choose:
        return
    table.add_argument(
        "--columns", type=column_names, metavar="NAMES", help="read these alone: names, or numbers from 0"
    )
    table.add_argument("--drop", type=column_names, metavar="NAMES", help="read all but these")


# A table of which nothing is said.
table_defaults = {"header": "auto", **dict.fromkeys(("delimiter", "decimal", "encoding", "missing"))}


def add_check(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "check", "compare every gradient with finite differences")
    parser.add_argument(
        "model", metavar="RUN|MODEL|FILE.toml|digits", help=f"{run_help}, a network file, or digits"
    )
    parser.add_argument("--samples", type=positive_int, default=8, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="N", help="default: %(default)s")


def add_explain(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(
        commands, "explain", "print or write the derivation of a trained network, with its numbers"
    )
    parser.add_argument("model", metavar="RUN|MODEL", help=run_help)
    parser.add_argument(
        "--data", metavar="digits|FILE", help="labelled samples (default: those the run held out)"
    )
    add_download(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".html, .md, .tex, .txt or .json (default: print it)"
    )
    parser.add_argument(
        "--sample", type=non_negative_int, metavar="ROW", help="in focus (default: the hardest of the data)"
    )
    parser.add_argument(
        "--samples",
        type=positive_int,
        default=8,
        metavar="N",
        help="size of the batch (default: %(default)s)",
    )
    parser.add_argument(
        "--language", choices=("en", "zh", "en+zh"), default="en+zh", help="default: %(default)s"
    )
    parser.add_argument(
        "--notation",
        type=lambda name: {"seed000": "tutorial"}.get(name, name),  # its former name
        choices=("tutorial", "ufldl", "ng", "matrix", "nielsen"),
        default="tutorial",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--form", choices=("article", "beamer", "fragment"), help="of a .tex file (default: article)"
    )
    parser.add_argument(
        "--worksheet", action="store_true", help="leave results blank, with an answer key at the end"
    )
    parser.add_argument(
        "--blanks", type=share, metavar="SHARE", help="of a worksheet's results, up to 1 (default: 0.3)"
    )
    parser.add_argument(
        "--seed", type=non_negative_int, metavar="N", help="which results are left blank (default: 0)"
    )
    parser.add_argument("--step", action="store_true", help="in the terminal: one step per key")
    parser.add_argument(
        "--errata", action="store_true", help="what the cited texts print wrong, and how it is read"
    )
    parser.add_argument("--full-check", action="store_true", help="compare every entry of every gradient")
    parser.add_argument(
        "--rate",
        type=positive_float,
        default=0.1,
        metavar="R",
        help="of the step shown (default: %(default)s)",
    )


def add_doctor(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "doctor", "say what stands in the way of learning, by the gradient flow")
    parser.add_argument("model", metavar="RUN|MODEL", help=run_help)
    parser.add_argument(
        "--data", metavar="digits|FILE", help="labelled samples (default: those the run was trained on)"
    )
    add_download(parser)
    parser.add_argument(
        "--samples", type=positive_int, default=1000, metavar="N", help="at most (default: %(default)s)"
    )
    parser.add_argument(
        "--language", choices=("en", "zh", "en+zh"), default="en", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="findings and flow as JSON")


# The options of layers, losses and penalties, which `chainrule verify --like` takes as they are written in
# Python, and what they are called elsewhere; a test compares them with the classes.
layer_options = (
    *("units", "filters", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "bias"),
    *("multiplier", "window", "count_padding", "mean", "momentum", "epsilon", "rate", "slope", "alpha"),
    *("initial", "value", "vocabulary", "features", "activation", "outputs", "reverse", "truncate", "heads"),
    *("causal", "delta", "mean_outputs", "label_smoothing", "squared", "log_input", "margin", "lam", "l1"),
    *("l2", "per_sample", "kernel", "pool_size", "size", "pad", "eps", "p", "drop", "num_heads", "n_heads"),
    *("num_groups", "hidden_size", "num_embeddings", "embedding_dim", "negative_slope", "strides"),
    *("dilation_rate", "is_causal", "G", "reg", "ntk", "start", "stop", "hidden", "sigma", "low", "high"),
    *("weight", "weights", "class_weight", "ignore_index", "gamma", "logs", "padding_idx"),
    *("approximate", "beta", "ceil_mode", "gate", "mean_steps", "output_weight", "pos_weight", "scale"),
    *("shared", "shift", "threshold", "layers", "bidirectional", "reset_after", "padding_mode", "mode"),
    *("cropping", "block", "order", "axis", "shape", "axes", "k", "key_value_heads", "rotary"),
    *("rotary_base", "seen", "sources", "ends", "tied", "return_indices", "toward_zero", "projection"),
    *("key_value_bias", "zero_key_value", "relative_positions", "buckets", "max_distance", "grid"),
    *("tracked", "peepholes", "proj_size", "output_size", "divisor", "divisor_override"),
)


def add_verify(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "verify", "say whether a backward pass is right, or which mistake it has")
    parser.description = (
        "Say whether a backward pass that somebody wrote is right, and if not, which mistake it is. Runs the "
        "code it is given, with your rights: what you do not trust belongs into a container of its own, "
        "docker run --network none (the guide has the whole line). Exit code 0: right, 1: wrong, 4: cannot "
        "tell, 2: could not be run."
    )
    parser.add_argument(
        "code",
        nargs="?",
        metavar="FILE.py:NAME",
        help="a function, class or object; FILE.py:forward,backward a pair; FILE.py alone takes what is "
        "there; module.path:NAME",
    )
    parser.add_argument("--like", metavar="LAYER", help="what it is meant to be: dense, conv2d, softmax, ...")
    parser.add_argument(
        "--option",
        action="append",
        type=named_value,
        default=[],
        metavar="NAME=VALUE",
        help="of that layer; also as it is, --stride 2 --padding 1: a number, 2,3, true, false, or a word",
    )
    for name in layer_options:
        words = [f"--{name}", *([f"--{name.replace('_', '-')}"] if "_" in name else [])]
        parser.add_argument(
            *words, dest=f"layer_{name}", type=plain_value, metavar="VALUE", help=argparse.SUPPRESS
        )
    arrays = parser.add_argument_group("what it is run on (default: args in the file; with --like: drawn)")
    arrays.add_argument(
        "--args",
        metavar="FILE.npz",
        help="arrays by the names of the function's arguments, else in the file's order",
    )
    arrays.add_argument(
        "--shapes",
        metavar="SHAPES",
        help="draw them: 'x=3,4 w=4,5 b=5'; y=3:0..9 are whole numbers from 0 to 9, v=5:positive positive",
    )
    arrays.add_argument("--names", type=column_names, metavar="NAMES", help="of the arguments, in messages")
    arrays.add_argument("--seed", type=non_negative_int, default=0, metavar="N", help="default: %(default)s")
    arrays.add_argument(
        "--dtype", choices=("float64", "float32", "float16"), help="of these arrays (default: as they are)"
    )
    said = parser.add_argument_group("what is said")
    said.add_argument(
        "--hint-level",
        type=int,
        choices=(0, 1, 2, 3),
        default=3,
        help="0: that it is wrong, 1: and where, 2: and why, 3: and what to write (default)",
    )
    said.add_argument("--language", choices=("en", "zh"), default="en", help="default: %(default)s")
    said.add_argument("--json", action="store_true", help="one JSON object on standard output")
    said.add_argument("-o", "--output", metavar="FILE", help="write it: .txt, .json or .html")
    parser.add_argument(
        "--timeout",
        type=positive_float,
        metavar="SECONDS",
        help="run it in a process of its own, which is ended after so long (default: no limit)",
    )
    parser.add_argument(
        "--mutants",
        nargs="*",
        metavar="LAYER",
        help="instead: every wrong neighbour of every formula of these layers, or of all, and its name",
    )


def add_download(parser: Parser) -> None:
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch MNIST where the run was trained on it and it is missing",
    )


def add_oracles(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "oracles", "compare numbers from the literature with ours")
    parser.add_argument(
        "--ex4",
        metavar="DIR",
        help="also Ng's exercise 4, from the ex4data1.mat and ex4weights.mat in DIR (needs SciPy)",
    )


def add_bench(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(commands, "bench", "measure the kernels and training steps on this machine")
    parser.add_argument(
        "what",
        nargs="?",
        metavar="steps|per-sample|reuse|FILE.toml|RUN|MODEL|digits",
        default="steps",
        help="steps (default): kernels and training steps; per-sample: a loop over samples, full matrix; "
        "reuse: the recursion of backpropagation, every layer anew, every parameter from the front; "
        f"a network file, {run_help}: a step of that network, and its predictions",
    )
    parser.add_argument("--batch-size", type=positive_int, metavar="N", help="of a network's (default: 32)")
    parser.add_argument("--quick", action="store_true", help="few repetitions, for a first look")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="every operation of a training step: time, share of the peak, and what lies in the lanes",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures as JSON")


def add_info(commands: argparse._SubParsersAction[Parser]) -> None:
    command(commands, "info", "show version, instruction set, threads and cores")


def add_launch(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = command(
        commands, "launch", "start a training on several ranks by mpiexec, and again if one is lost"
    )
    parser.add_argument("-n", "--ranks", type=positive_int, required=True, metavar="N", help="processes")
    parser.add_argument(
        "--max-restarts",
        type=non_negative_int,
        default=3,
        metavar="N",
        help="how often it goes on from its last checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--at-least",
        type=positive_int,
        metavar="N",
        help="every restart takes one rank less, down to N (default: as many as before)",
    )
    parser.add_argument(
        "--mpiexec",
        metavar="COMMAND",
        help="what starts the ranks, with its options (default: the mpiexec beside this Python)",
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="-- train ... | FILE.py ...",
        help="a command of chainrule, or a program of yours",
    )
