"""Layers for the columns of a table: some of them, a factor for each, waves of a number, a range."""
