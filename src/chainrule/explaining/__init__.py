"""From a network and a batch to the report of its own derivation, in every form it can be read in."""
