"""RealMLP of this library beside that of its authors: the same step, and figures on real tables."""
