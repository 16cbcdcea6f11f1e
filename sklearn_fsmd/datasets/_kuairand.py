"""KuaiRand-Pure: impressions of short videos."""

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
"""The days whose files are read if `start` and `end` are None."""
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
    """Load KuaiRand-Pure: a funnel of short videos, click and then long view.

    Each row is an impression. The targets are `click` and `conversion`, a click with a long view. X holds the ids, the
    hour, the tab, the duration and what is known of user and video beforehand; ids and codes are categories. Other
    feedback (likes, play time, …) and the monthly statistics of the videos come after the impression and are no inputs.
    Split this data by time, never at random.

    Parameters
    ----------
    log : {"standard", "random"}, default="standard"
        The log of what the recommender showed, 8 April to 8 May 2022, or that of videos which were drawn at random and
        inserted into the feed, 22 April to 8 May 2022.
    start, end : str, default=None
        First and last day, e.g. "2022-04-25". By default 22 April and the last day. The days before 22 April are in a
        file of their own, which is read only for a `start` before that day.
    watch_time : bool, default=False
        Whether the targets have a third column, `watch_seconds`: for how long a clicked video was played, in seconds,
        as float64. It is NaN in rows without a click.
    data_home : path, default=None
        The folder that holds, or will hold, the folder ``kuairand-pure``. By default the one that the environment
        variable SKLEARN_FSMD_DATA names, else the platform's cache folder.
    download_if_missing : bool, default=True
        Whether to fetch from the publisher what is not there (47 MB).
    return_X_y : bool, default=False
        Whether to return ``(X, Y)`` alone.
    as_frame : bool, default=True
        DataFrames, or else an array of objects and one of numbers.

    Returns
    -------
    data : Bunch, or (X, Y)
        With `data`, `target`, `time` (of the impression, UTC), `feature_names`, `target_names` and `DESCR`.

    Raises
    ------
    OSError
        If the files are not there and cannot be downloaded.
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
            raise ValueError  # "8 May" would be a day of the year 1
        day = None if value is None else pd.Timestamp(value)
        is_day = day is None or (
            not isinstance(value, (int, float)) and day is not pd.NaT and day.tz is None and day == day.normalize()
        )
    except (TypeError, ValueError):
        is_day = False
    if not is_day:
        raise ValueError(f'The {parameter!r} parameter must be a day such as "{FIRST_DAY}". Got {value!r} instead.')


def _files_of(log: str, start: str, end: str) -> list[str]:
    """The files of a log that hold days from `start` to `end`."""
    days = {name: pd.to_datetime(first_and_last) for name, first_and_last in LOGS[log].items()}
    names = [name for name, (a, b) in days.items() if a <= pd.Timestamp(end) and pd.Timestamp(start) <= b]
    if not names:
        raise _nothing_between(start, end, [day for span in days.values() for day in span])
    return names


def _between(log: pd.DataFrame, start: str | None, end: str | None) -> pd.DataFrame:
    """The rows of the days from `start` to `end`, by the log's own dates."""
    log["date"] = pd.to_datetime(log["date"].astype(str), format="%Y%m%d")
    kept = log["date"].between(pd.Timestamp(start or "1900-01-01"), pd.Timestamp(end or "2200-01-01"))
    if not kept.any():
        raise _nothing_between(start, end, log["date"].tolist())
    return log[kept].reset_index(drop=True)


def _nothing_between(start: str | None, end: str | None, days: list[pd.Timestamp]) -> ValueError:
    """What to raise where a log, of these days, has no rows."""
    held = f"{min(days):%Y-%m-%d} to {max(days):%Y-%m-%d}"
    return ValueError(f"There are no impressions from {start=} to {end=}; the log holds {held}.")


def _targets(frame: pd.DataFrame, watch_time: bool) -> pd.DataFrame:
    """What came of each impression, the watch time only after a click."""
    target = pd.DataFrame({"click": frame["is_click"], "conversion": frame["is_click"] & frame["long_view"]})
    if watch_time:
        target["watch_seconds"] = (frame["play_time_ms"] / 1000).where(frame["is_click"] == 1)
    return target


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """What is known before the impression; whatever is not a number is a category."""
    upload = pd.to_datetime(frame["upload_dt"])
    data = frame.assign(hour=frame["hourmin"] // 100, video_age_days=(frame["date"] - upload).dt.days)
    data = data.drop(columns=NO_FEATURES)
    return data.astype({name: "category" for name in data.columns if name not in NUMERIC})
