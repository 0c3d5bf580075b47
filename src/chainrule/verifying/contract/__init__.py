"""The contract: what every backward pass owes whatever it computes, and the cheats that break it.

In: a subject and probes.  Out: findings on what does not hold, and notes on what was noticed.
Knows: differences, precision, probes, subjects, texts and verdict of verifying.
"""
