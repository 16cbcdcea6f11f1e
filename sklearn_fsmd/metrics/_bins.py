"""The distance between predictions and observations, bin by bin."""

from __future__ import annotations

import numpy as np
import pandas as pd


def distance_in_bins(y: np.ndarray, p: np.ndarray, weights: np.ndarray, n_bins: int) -> float:
    """Mean distance between the mean prediction and the mean observation, over bins of equally many rows.

    Parameters
    ----------
    y, p, weights : ``(n,)``, observations, predictions and weights; no weight is 0.
    n_bins : number of quantile bins of the predictions.
    """
    frame = pd.DataFrame({"p": p, "y": y, "w": weights}).sort_values(["p", "w"], ignore_index=True)
    # Rows with equal predictions can fall into two bins. Each gets the mean observation of all of them, and they are
    # sorted by weight, so that the result does not depend on the order of the rows.
    sums = frame.assign(y=frame["y"] * frame["w"]).groupby("p")[["y", "w"]].transform("sum")
    distance = frame["w"] * (frame["p"] - sums["y"] / sums["w"])
    bins = np.array_split(distance.to_numpy(), min(n_bins, len(frame)))
    return float(sum(abs(part.sum()) for part in bins) / frame["w"].sum())
