"""How many rows are in memory at a time."""

BLOCK_ROWS = 65_536
"""So many are read together in a pass from the first row to the last."""
POOL_ROWS = 131_072
"""So many are shuffled together."""
OPEN_GROUPS = 8
"""From so many row groups, in equal parts."""
FEW_GROUPS = 8 * OPEN_GROUPS
"""Fewer row groups, of which one is larger than a pool, are warned of."""
SAMPLE_ROWS = 200_000
"""So many rows of training say which statistics there are, how these are scaled, and what the level is."""
VALID_ROWS = 200_000
"""So many held-out rows, at the most, are kept to validate on."""
SAMPLE_NUMBERS = 250_000
"""Of so many numbers of a column bins and ranks are taken."""
