"""Claims of the second half, PLMs are big: one module each, with a `CLAIM`."""
