"""Tools of the developers, which the package does not need."""
