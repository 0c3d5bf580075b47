"""What the tutorials print and how it is to be read: slips, claims that go too far, and formulas with limits
that are not stated.  The sentences are in slips.toml.

The identifier begins with the number of the tutorial, whose rows are counted as it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule.base.languages import Catalogue, Say, same
from chainrule.explaining.references.sources import TUTORIALS
from chainrule.explaining.words.catalogues import DERIVATIONS

TEXTS = Catalogue("chainrule.explaining.references", "slips")
# "slip": printed wrong.  "limit": right within a limit that is not stated.  "overclaim": says too much.
Kind = Literal["slip", "limit", "overclaim"]


@dataclass(frozen=True)
class Slip:
    """One place.  key: of its sentences.  section: "2.2.3", or "" where words say it.  when: words of
    features_of, any of which makes it concern a network; "a+b": both.
    """

    id: str
    key: str
    section: str
    kind: Kind
    when: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The name of the text."""
        return TUTORIALS[int(self.id[0])].name

    @property
    def where(self) -> Say:
        return same(self.section) if self.section else TEXTS[f"{self.key}.where"]

    @property
    def printed(self) -> Say:
        return TEXTS[f"{self.key}.printed"]

    @property
    def read_as(self) -> Say:
        return TEXTS[f"{self.key}.read_as"].format(at_a_tie=DERIVATIONS["at_a_tie"])


SLIPS: tuple[Slip, ...] = (
    # Tutorial
    Slip("0-04", "bias_gradient_of_one_sample", "FC ②", "limit", ("dense+bias",)),
    Slip("0-05", "hadamard_without_parentheses", "FC ③", "slip", ("hidden",)),
    Slip("0-06", "output_delta_of_any_f", "FC ④", "limit", ("softmax",)),
    Slip("0-07", "delta_of_the_input_layer", "FC 4)", "slip", ("dense",)),
    Slip("0-08", "k_of_three_meanings", "conv", "slip", ("conv",)),
    Slip("0-08b", "stride_one_only", "conv", "limit", ("beyond stride 1",)),
    Slip("0-11", "correlation_called_convolution", "conv", "slip", ("conv",)),
    Slip("0-13", "delta_outside_its_grid", "conv ①", "slip", ("conv",)),
    Slip("0-14", "flip_and_convolve", "conv ①", "limit", ("conv",)),
    Slip("0-15", "kernel_gradient_called_convolution", "conv ②", "slip", ("conv",)),
    Slip("0-18", "windows_over_a_pixel", "pooling", "limit", ("other windows",)),
    Slip("0-18b", "windows_at_the_border", "pooling", "slip", ("pool",)),
    Slip("0-19", "equal_pixels", "pooling", "limit", ("max pool",)),
    Slip("0-20", "delta_of_a_pool", "pooling", "slip", ("pool",)),
    Slip("0-21", "numbers_used_twice", "①②③", "slip", ("conv+dense",)),
    # Ning Yu
    Slip("1-05", "sign_in_words", "", "slip", ("squared+elementwise output",)),
    Slip("1-06", "layer_before_the_last", "", "slip", ("hidden",)),
    Slip("1-07", "forward_without_bias", "", "slip", ("hidden",)),
    Slip("1-08", "two_orders_of_indices", "", "slip", ("dense",)),
    Slip("1-09", "two_names_of_a_size", "", "slip", ("dense",)),
    # Dezeming
    Slip("2-03", "sample_index_of_the_input", "1.1.1", "slip", ("dense",)),
    Slip("2-03b", "theta_of_the_first_product", "2.2.3", "slip", ("dense",)),
    Slip("2-04", "softmax_with_the_binary_cost", "1.1, 1.2.1", "limit", ("softmax output", "cross-entropy")),
    Slip("2-07", "lambda_of_two_meanings", "1.2.4, 1.3.2", "slip", ("penalty",)),
    Slip("2-09", "free_index_of_the_chain_rule", "2.1.7", "slip", ("any",)),
    Slip("2-10", "indices_of_theta", "2.2.5, 2.2.7", "slip", ("dense",)),
    Slip("2-11", "third_term", "2.3.3", "slip", ("hidden",)),
    Slip("2-13", "division_by_a", "2.4.3", "limit", ("cross-entropy+pair",)),
    Slip("2-14", "limit_of_a_sum", "2.5.3", "slip", ("hidden",)),
    Slip("2-15", "penalty_of_the_bias", "2.6.1", "slip", ("penalty",)),
    Slip("2-16", "accumulator_delta", "3.1.1", "limit", ("dense",)),
    Slip("2-17", "where_the_way_back_begins", "3.1.3", "slip", ("dense",)),
    Slip("2-19", "relu_and_vanishing", "3.2", "overclaim", ("relu",)),
    Slip("2-19b", "recurrence_by_the_same_rules", "3.2", "limit", ("recurrent",)),
    # Wang
    Slip("3-01", "missing_formulas", "conv", "limit", ("conv",)),
    Slip("3-03", "pool_as_identity", "pooling", "limit", ("pool",)),
    Slip("3-09", "derivative_upside_down", "", "slip", ("conv+activation",)),
    Slip("3-09b", "two_pairs_of_indices", "", "limit", ("conv+pool",)),
    Slip("3-12", "global_minimum", "", "overclaim", ("any",)),
    # Matrix notes
    Slip("4-04", "samples_apart", "§0, §5", "overclaim", ("batchnorm",)),
    Slip("4-07", "m_of_two_meanings", "§4", "slip", ("any",)),
    Slip("4-09", "layer_asked_for", "§5", "slip", ("hidden",)),
    Slip("4-09b", "dot_for_hadamard", "§4", "slip", ("elementwise output",)),
    Slip("4-12", "any_loss_any_activation", "§4", "limit", ("softmax",)),
    Slip("4-15", "parallel_in_training", "§8", "limit", ("attention", "recurrent")),
)
