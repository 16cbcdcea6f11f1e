"""How many rows are in memory at a time."""

BLOCK_ROWS = 65_536
"""So many are read together in a pass from the first row to the last."""
POOL_ROWS = 131_072
"""So many are shuffled together."""
OPEN_GROUPS = 64
"""From so many row groups at a time, in equal parts,"""
OPEN_BYTES = 2**27
"""or from fewer that have so many bytes together,"""
OPEN_BYTES_BY_LABEL = 2**29
"""or so many if the rows are sorted by label,"""
FEWEST_OPEN = 8
"""but not from fewer than these."""
FEW_GROUPS = 64
"""Fewer row groups, of which one is larger than a pool, are warned of."""
SAMPLE_ROWS = 200_000
"""So many rows of training say which statistics there are, how these are scaled, and what the level is."""
VALID_ROWS = 200_000
"""So many held-out rows, at the most, are kept to validate on."""
SAMPLE_NUMBERS = 250_000
"""Of so many numbers of a column bins and ranks are taken."""
