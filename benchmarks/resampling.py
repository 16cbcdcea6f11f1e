"""How much the difference between two contenders varies over users: users are resampled with replacement."""

import re
from pathlib import Path

import numpy as np

N_SAMPLES = 200


def keep(folder, key, marginals, after):
    """Save the predictions of one contender, seed and part as float32."""
    path = path_of(folder, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = marginals if after is None else np.column_stack((marginals, after))
    np.save(path, columns.astype(np.float32))


def path_of(folder, key):
    return Path(folder) / "predictions" / f"{re.sub('[^a-z0-9]+', '-', ' '.join(map(str, key)).lower())}.npy"


def aucs(labels, scores, counts):
    """The AUC of `scores` ``(n,)`` in each sample b, which contains row i ``counts[b, i]`` times, ``(B,)``."""
    order = np.argsort(scores, kind="stable")
    labels, scores, counts = labels[order], scores[order], counts[:, order].astype(np.float64)
    first = np.flatnonzero(np.r_[True, np.diff(scores) > 0])  # first row of each group of equal scores
    yes = np.add.reduceat(counts * labels, first, axis=1)
    no = np.add.reduceat(counts * (1 - labels), first, axis=1)
    below = np.cumsum(no, axis=1) - no / 2
    return (yes * below).sum(axis=1) / (yes.sum(axis=1) * no.sum(axis=1))


def counts_of(groups, seed=0):
    """How often each sample of groups contains each row, ``(B, n)``."""
    names, codes = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(seed)
    return np.stack(
        [
            np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))[codes]
            for _ in range(N_SAMPLES)
        ]
    ).astype(np.uint8)


def differences(labels, ours, theirs, counts):
    """AUC(ours) − AUC(theirs) in each sample, averaged over the seeds, ``(B,)``."""
    by_seed = [aucs(labels, a, counts) - aucs(labels, b, counts) for a, b in zip(ours, theirs, strict=True)]
    return np.mean(by_seed, axis=0)


def interval(labels, ours, theirs, counts):
    """The 95 % interval of the difference over the samples."""
    return np.quantile(differences(labels, ours, theirs, counts), (0.025, 0.975))
