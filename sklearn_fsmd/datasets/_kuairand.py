"""KuaiRand-Pure: impressions of short videos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_fsmd.datasets._files import data_home, ensure_files, read_whole, tar_members
from sklearn_fsmd.datasets._result import as_result

URL = "https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz"
ARCHIVE_HASH = "md5:0820331067a3784d9691136f772b35a7"
LOG = "log_standard_4_22_to_5_08_pure.csv"
USERS = "user_features_pure.csv"
VIDEOS = "video_features_basic_pure.csv"

LOG_COLUMNS = ["user_id", "video_id", "hourmin", "time_ms", "date", "is_click", "long_view", "duration_ms", "tab"]
NUMERIC = [
    "duration_ms",
    "follow_user_num",
    "fans_user_num",
    "friend_user_num",
    "register_days",
    "server_width",
    "server_height",
    "video_age_days",
]


def fetch_kuairand_pure(
    *,
    start: str | None = None,
    end: str | None = None,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load KuaiRand-Pure: a funnel of short videos, click and then long view.

    One row an impression of the standard log of 22 April to 8 May 2022. The targets are `click` and `conversion`, a
    click with a long view. X holds the ids, the hour, the tab, the duration and what is known of user and video
    beforehand; ids and codes are categories. Other feedback (likes, play time, …) and the monthly statistics of the
    videos come after the impression and are no inputs. Split this data by time, never at random.

    Parameters
    ----------
    start, end : str, default=None
        First and last day, e.g. "2022-04-25"; None for no limit.
    data_home : path, default=None
        The folder that holds, or will hold, the folder ``kuairand-pure``. By default the one that the environment
        variable SKLEARN_FSMD_DATA names, else the platform's cache folder.
    download_if_missing : bool, default=True
        Whether to fetch from the publisher what is not there (47 MB).
    return_X_y : bool, default=False
        Whether to return ``(X, Y)`` alone.
    as_frame : bool, default=True
        DataFrames, or else an array of objects and one of 0 and 1.

    Returns
    -------
    data : Bunch, or (X, Y)
        With `data`, `target`, `time` (of the impression, UTC), `feature_names`, `target_names` and `DESCR`.

    Raises
    ------
    OSError
        If the files are not there and cannot be downloaded.
    ValueError
        If there are no impressions from `start` to `end`, or a file is damaged.

    References
    ----------
    C. Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos", CIKM 2022,
    CC BY-SA 4.0.
    """
    log_path, users_path, videos_path = ensure_files(
        _folder(data_home),
        [LOG, USERS, VIDEOS],
        url=URL,
        archive_hash=ARCHIVE_HASH,
        members=tar_members,
        download=download_if_missing,
    )
    log = _between(pd.read_csv(read_whole(log_path), usecols=LOG_COLUMNS), start, end)
    frame = log.merge(pd.read_csv(read_whole(users_path)), on="user_id", how="left", validate="many_to_one")
    frame = frame.merge(pd.read_csv(read_whole(videos_path)), on="video_id", how="left", validate="many_to_one")
    return as_result(
        _features(frame),
        pd.DataFrame({"click": frame["is_click"], "conversion": frame["is_click"] & frame["long_view"]}),
        return_X_y=return_X_y,
        as_frame=as_frame,
        time=pd.to_datetime(frame["time_ms"], unit="ms").rename("time"),
        DESCR=fetch_kuairand_pure.__doc__ or "",
    )


def _folder(home: str | os.PathLike[str] | None) -> Path:
    return data_home(home) / "kuairand-pure"


def _between(log: pd.DataFrame, start: str | None, end: str | None) -> pd.DataFrame:
    """The rows of the days from `start` to `end`, by the log's own dates."""
    log["date"] = pd.to_datetime(log["date"].astype(str), format="%Y%m%d")
    kept = log["date"].between(pd.Timestamp(start or "1900-01-01"), pd.Timestamp(end or "2200-01-01"))
    if not kept.any():
        days = f"{log['date'].min():%Y-%m-%d} to {log['date'].max():%Y-%m-%d}"
        raise ValueError(f"There are no impressions from {start=} to {end=}; the log holds {days}.")
    return log[kept].reset_index(drop=True)


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """What is known before the impression; whatever is not a number is a category."""
    upload = pd.to_datetime(frame["upload_dt"])
    data = frame.assign(hour=frame["hourmin"] // 100, video_age_days=(frame["date"] - upload).dt.days)
    data = data.drop(
        columns=["hourmin", "time_ms", "date", "is_click", "long_view", "upload_dt", "video_duration", "visible_status"]
    )
    return data.astype({name: "category" for name in data.columns if name not in NUMERIC})
