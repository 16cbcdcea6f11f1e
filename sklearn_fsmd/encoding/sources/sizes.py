"""Numbers of rows and bytes that are in memory at a time."""

BLOCK_ROWS = 65_536
"""Number of rows of a block in a sequential pass."""
POOL_ROWS = 131_072
"""Number of rows that are shuffled together; they come from all open row groups, in equal parts."""
OPEN_GROUPS = 64
"""Largest number of row groups that are open at a time."""
OPEN_BYTES = 2**27
"""Largest total size of the open row groups, in bytes."""
OPEN_BYTES_BY_LABEL = 2**29
"""The same if the rows are sorted by label."""
FEWEST_OPEN = 8
"""Smallest number of open row groups, however large they are."""
FEW_GROUPS = 64
"""With fewer row groups, one of which is larger than a pool, a warning is raised."""
SAMPLE_ROWS = 200_000
"""Number of training rows that are used to choose and scale the statistics, and to set the level."""
VALID_ROWS = 200_000
"""Largest number of held-out rows that are kept for validation."""
SAMPLE_NUMBERS = 250_000
"""Number of values of a column from which bins and ranks are computed."""
