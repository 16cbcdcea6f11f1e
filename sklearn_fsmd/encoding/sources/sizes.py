"""How many rows are in memory at a time."""

BLOCK_ROWS = 65_536
"""Rows that are read together in a pass from the first row to the last."""
POOL_ROWS = 131_072
"""Rows that are shuffled together; they are taken from all open row groups, in equal parts."""
OPEN_GROUPS = 64
"""Most row groups that are open at a time."""
OPEN_BYTES = 2**27
"""Most bytes of the open row groups together."""
OPEN_BYTES_BY_LABEL = 2**29
"""The same where rows are sorted by label."""
FEWEST_OPEN = 8
"""Fewest open row groups, however large."""
FEW_GROUPS = 64
"""Fewer row groups, of which one is larger than a pool, are warned of."""
SAMPLE_ROWS = 200_000
"""So many rows of training say which statistics there are, how these are scaled, and what the level is."""
VALID_ROWS = 200_000
"""So many held-out rows, at the most, are kept to validate on."""
SAMPLE_NUMBERS = 250_000
"""Of so many numbers of a column bins and ranks are taken."""
