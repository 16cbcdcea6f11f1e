"""The data set KuaiRand-Pure: impressions of short videos."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_fsmd.datasets._files import data_home, ensure_files, read_whole, tar_members
from sklearn_fsmd.datasets._result import as_result, check_choice

URL = "https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz"
ARCHIVE_HASH = "md5:0820331067a3784d9691136f772b35a7"
LOGS = {
    "standard": {
        "log_standard_4_08_to_4_21_pure.csv": ("2022-04-08", "2022-04-21"),
        "log_standard_4_22_to_5_08_pure.csv": ("2022-04-22", "2022-05-08"),
    },
    "random": {"log_random_4_22_to_5_08_pure.csv": ("2022-04-22", "2022-05-08")},
}
"""The files of each log, with their first and last days."""
FIRST_DAY, LAST_DAY = "2022-04-22", "2022-05-08"
"""The days that are loaded if `start` and `end` are None."""
USERS = "user_features_pure.csv"
VIDEOS = "video_features_basic_pure.csv"

LOG_COLUMNS = """
    user_id video_id hourmin time_ms date is_click long_view play_time_ms duration_ms tab
""".split()
NO_FEATURES = """
    hourmin time_ms date is_click long_view play_time_ms upload_dt video_duration visible_status
""".split()
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
    log: str = "standard",
    start: str | None = None,
    end: str | None = None,
    watch_time: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load KuaiRand-Pure, a funnel of short videos: click, then long view.

    Each row is an impression. The targets are `click`, and `conversion`, which is a click with a long view. X contains
    the ids, the hour, the tab, the duration, and attributes of user and video that are known before the impression; ids
    and codes are categories. Other feedback (likes, play time, …) and the monthly statistics of the videos are only
    known after the impression, so they are not in X. Split this data by time, never at random.

    Parameters
    ----------
    log : {"standard", "random"}, default="standard"
        "standard" is the log of what the recommender showed, 8 April to 8 May 2022. "random" is the log of videos that
        were drawn at random and inserted into the feed, 22 April to 8 May 2022.
    start, end : str, default=None
        First and last day, such as "2022-04-25". None means 22 April and the last day. Earlier days are in a separate
        file, which is read only if `start` is before 22 April.
    watch_time : bool, default=False
        Whether the targets have a third column `watch_seconds`, float64: for how many seconds a clicked video was
        played. It is NaN in rows without a click.
    data_home : str or path, default=None
        Folder that contains the folder ``kuairand-pure``, or in which it is created. None means the folder that the
        environment variable SKLEARN_FSMD_DATA names, or else the cache folder of the platform.
    download_if_missing : bool, default=True
        Whether to download missing files from the publisher (47 MB).
    return_X_y : bool, default=False
        Whether to return only ``(X, Y)``.
    as_frame : bool, default=True
        Whether to return DataFrames. Otherwise X is an array of objects and Y an array of numbers.

    Returns
    -------
    data : Bunch, or tuple (X, Y)
        Bunch with `data`, `target`, `time` (time of the impression, UTC), `feature_names`, `target_names` and `DESCR`;
        or only data and target if ``return_X_y=True``.

    Raises
    ------
    OSError
        If files are missing and cannot be downloaded.
    ValueError
        If `log`, `start` or `end` is not valid, there are no impressions from `start` to `end`, or a file is damaged.

    References
    ----------
    C. Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos", CIKM 2022,
    CC BY-SA 4.0.

    Examples
    --------
    >>> from sklearn_fsmd.datasets import fetch_kuairand_pure
    >>> X, Y = fetch_kuairand_pure(end="2022-04-22", return_X_y=True)  # doctest: +SKIP
    """
    check_choice("log", log, LOGS)
    _check_day("start", start)
    _check_day("end", end)
    *log_paths, users_path, videos_path = ensure_files(
        _folder(data_home),
        [*_files_of(log, start or FIRST_DAY, end or LAST_DAY), USERS, VIDEOS],
        url=URL,
        archive_hash=ARCHIVE_HASH,
        members=tar_members,
        download=download_if_missing,
    )
    logs = [pd.read_csv(read_whole(path), usecols=LOG_COLUMNS) for path in log_paths]
    frame = _between(pd.concat(logs, ignore_index=True), start, end)
    frame = frame.merge(pd.read_csv(read_whole(users_path)), on="user_id", how="left", validate="many_to_one")
    frame = frame.merge(pd.read_csv(read_whole(videos_path)), on="video_id", how="left", validate="many_to_one")
    return as_result(
        _features(frame),
        _targets(frame, watch_time),
        return_X_y=return_X_y,
        as_frame=as_frame,
        time=pd.to_datetime(frame["time_ms"], unit="ms").rename("time"),
        DESCR=fetch_kuairand_pure.__doc__ or "",
    )


def _folder(home: str | os.PathLike[str] | None) -> Path:
    return data_home(home) / "kuairand-pure"


def _check_day(parameter: str, value: Any) -> None:
    """Raise if the value of a parameter is neither a day nor None."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d?-\d\d?|\d{8}", value):
            raise ValueError  # pandas would parse "8 May" as a day of the year 1
        day = None if value is None else pd.Timestamp(value)
        is_day = day is None or (
            not isinstance(value, (int, float)) and day is not pd.NaT and day.tz is None and day == day.normalize()
        )
    except (TypeError, ValueError):
        is_day = False
    if not is_day:
        raise ValueError(f'The {parameter!r} parameter must be a day such as "{FIRST_DAY}". Got {value!r} instead.')


def _files_of(log: str, start: str, end: str) -> list[str]:
    """The files of a log that contain days from `start` to `end`."""
    days = {name: pd.to_datetime(first_and_last) for name, first_and_last in LOGS[log].items()}
    names = [name for name, (a, b) in days.items() if a <= pd.Timestamp(end) and pd.Timestamp(start) <= b]
    if not names:
        raise _no_impressions(start, end, [day for span in days.values() for day in span])
    return names


def _between(log: pd.DataFrame, start: str | None, end: str | None) -> pd.DataFrame:
    """The rows of the days from `start` to `end`, by the column `date` of the log."""
    log["date"] = pd.to_datetime(log["date"].astype(str), format="%Y%m%d")
    in_range = log["date"].between(pd.Timestamp(start or "1900-01-01"), pd.Timestamp(end or "2200-01-01"))
    if not in_range.any():
        raise _no_impressions(start, end, log["date"].tolist())
    return log[in_range].reset_index(drop=True)


def _no_impressions(start: str | None, end: str | None, days: list[pd.Timestamp]) -> ValueError:
    """The error if a log, which has the given days, has no rows from `start` to `end`."""
    log_range = f"{min(days):%Y-%m-%d} to {max(days):%Y-%m-%d}"
    return ValueError(f"There are no impressions from {start=} to {end=}; the log holds {log_range}.")


def _targets(frame: pd.DataFrame, watch_time: bool) -> pd.DataFrame:
    """The targets of each impression; the watch time is NaN without a click."""
    target = pd.DataFrame({"click": frame["is_click"], "conversion": frame["is_click"] & frame["long_view"]})
    if watch_time:
        target["watch_seconds"] = (frame["play_time_ms"] / 1000).where(frame["is_click"] == 1)
    return target


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that are known before the impression; those that are not numbers are categories."""
    upload = pd.to_datetime(frame["upload_dt"])
    data = frame.assign(hour=frame["hourmin"] // 100, video_age_days=(frame["date"] - upload).dt.days)
    data = data.drop(columns=NO_FEATURES)
    return data.astype({name: "category" for name in data.columns if name not in NUMERIC})
