"""The table that all contenders train on, and the network that all of them build."""

import numpy as np

N_CATEGORICAL, N_NUMERIC, N_TASKS = 30, 10, 2
EMBEDDING_DIM, EXPERT_DIMS, TOWER_DIMS = 4, (256, 128), (256, 128)
N_TASK_EXPERTS, N_SHARED_EXPERTS, N_LEVELS, DROPOUT = 2, 2, 2, 0.5
CARDINALITY = 1000


def make(n, *, cardinality=CARDINALITY, n_tasks=N_TASKS, seed=0):
    """Codes (n, 30), numbers (n, 10) in float32, and labels of a funnel (n, K)."""
    random = np.random.default_rng(seed)
    codes = random.integers(cardinality, size=(n, N_CATEGORICAL), dtype=np.int32)
    numbers = random.standard_normal((n, N_NUMERIC), dtype=np.float32)
    logit = numbers[:, 0] + 0.5 * numbers[:, 1] * numbers[:, 2] + (codes[:, 0] % 7 - 3) / 3
    steps = random.random((n, n_tasks)) < 1 / (1 + np.exp(-logit))[:, None]
    return codes, numbers, np.cumprod(steps, axis=1).astype(np.float32)


def as_array(codes, numbers):
    """One numeric array, as a user would pass codes and numbers together."""
    return np.concatenate([codes.astype(np.float64), numbers], axis=1)
