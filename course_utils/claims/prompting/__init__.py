"""Claims of the first half, labels are scarce: one module each, with a `CLAIM`."""
