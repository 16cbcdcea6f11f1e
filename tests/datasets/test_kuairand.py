"""fetch_kuairand_pure on small files that the tests write: which files are read, and the result."""

import lzma

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd.datasets import fetch_kuairand_pure

EARLY = "log_standard_4_08_to_4_21_pure.csv"
LATE = "log_standard_4_22_to_5_08_pure.csv"
RANDOM = "log_random_4_22_to_5_08_pure.csv"


def log_of(days, *, click, play_time_ms, video=7):
    """A log with one row per day and the publisher's columns."""
    n = len(days)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) % 2,
            "video_id": video,
            "date": days,
            "hourmin": 1330,
            "time_ms": [pd.Timestamp(str(day)).value // 10**6 for day in days],
            "is_click": click,
            "is_like": 0,
            "long_view": click,
            "play_time_ms": play_time_ms,
            "duration_ms": 9000,
            "is_rand": 0,
            "tab": 1,
        }
    )


@pytest.fixture
def home(tmp_path):
    """A folder with the side tables and the later standard log, 22 to 24 April."""
    folder = tmp_path / "kuairand-pure"
    folder.mkdir()
    pd.DataFrame({"user_id": [0, 1], "register_days": [10, 20]}).to_csv(folder / "user_features_pure.csv", index=False)
    videos = {"video_id": [7, 8], "upload_dt": "2022-04-01", "video_duration": 9000.0, "visible_status": 1}
    pd.DataFrame(videos).to_csv(folder / "video_features_basic_pure.csv", index=False)
    late = log_of([20220422, 20220423, 20220424], click=[1, 0, 1], play_time_ms=[61802, 1184, 0])
    (folder / f"{LATE}.xz").write_bytes(lzma.compress(late.to_csv(index=False).encode()))
    return tmp_path


def put(home, name, log):
    log.to_csv(home / "kuairand-pure" / name, index=False)


def fetch(home, **params):
    return fetch_kuairand_pure(data_home=home, download_if_missing=False, **params)


def test_watch_time_is_a_target_of_clicked_rows(home):
    data = fetch(home, watch_time=True)
    assert data.target_names == ["click", "conversion", "watch_seconds"]
    assert data.target["watch_seconds"].dtype == "float64"
    np.testing.assert_array_equal(data.target["watch_seconds"], [61.802, np.nan, 0.0])
    without = fetch(home)
    pd.testing.assert_frame_equal(without.target, data.target[["click", "conversion"]])
    pd.testing.assert_frame_equal(without.data, data.data)
    assert not [name for name in data.data if "play" in name or "watch" in name]
    Y = fetch(home, watch_time=True, as_frame=False, return_X_y=True)[1]
    np.testing.assert_array_equal(Y, [[1, 1, 61.802], [0, 0, np.nan], [1, 1, 0]])


def test_days_before_22_april_are_read_from_a_separate_file(home):
    put(home, EARLY, log_of([20220408, 20220421], click=[1, 1], play_time_ms=[1, 2], video=8))
    assert len(fetch(home).data) == 3  # the same as without this file
    both = fetch(home, start="2022-04-08", watch_time=True)
    assert both.data["video_id"].tolist() == [8, 8, 7, 7, 7]
    assert both.data["video_age_days"].tolist() == [7, 20, 21, 22, 23]
    assert both.target["watch_seconds"][:2].tolist() == [0.001, 0.002]
    assert both.time.is_monotonic_increasing
    (home / "kuairand-pure" / f"{LATE}.xz").unlink()  # not needed for these days
    assert len(fetch(home, start="2022-04-21", end="2022-04-21").data) == 1


def test_the_random_log_is_read_from_its_file(home):
    put(home, RANDOM, log_of([20220422, 20220508], click=[0, 1], play_time_ms=[5, 1500], video=8))
    data = fetch(home, log="random", watch_time=True)
    assert data.data["video_id"].tolist() == [8, 8]
    np.testing.assert_array_equal(data.target["watch_seconds"], [np.nan, 1.5])
    assert list(data.data.columns) == list(fetch(home).data.columns)


@pytest.mark.parametrize(("params", "name"), [({"start": "2022-04-20"}, EARLY), ({"log": "random"}, RANDOM)])
def test_the_error_of_a_missing_log_names_file_and_folder(home, params, name):
    message = (
        rf"Data not found, and download_if_missing=False. Put {name} \(as they are or compressed with xz\) into "
        rf"{home / 'kuairand-pure'}; the publisher's archive is https://zenodo.org/records/10439422/.*"
    )
    with pytest.raises(OSError, match=message):
        fetch(home, **params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"log": "both"}, r"The 'log' parameter must be one of \['standard', 'random'\]. Got 'both' instead."),
        ({"start": "soon"}, "The 'start' parameter must be a day such as \"2022-04-22\". Got 'soon' instead."),
        ({"start": "2022-04-22 12:00"}, "must be a day such as \"2022-04-22\". Got '2022-04-22 12:00' instead."),
        ({"end": "2022-04-25T00:00Z"}, "The 'end' parameter must be a day"),
        ({"start": "8 May"}, "The 'start' parameter must be a day such as \"2022-04-22\". Got '8 May' instead."),
        ({"end": "6/5/2022"}, "The 'end' parameter must be a day such as"),
        ({"end": 20220425}, "The 'end' parameter must be a day such as \"2022-04-22\". Got 20220425 instead."),
        (
            {"start": "2021-01-01", "end": "2021-01-02"},
            "no impressions from start='2021-01-01' to end='2021-01-02'; the log holds 2022-04-08 to 2022-05-08.",
        ),
        (
            {"log": "random", "start": "2022-04-08", "end": "2022-04-21"},
            "no impressions from start='2022-04-08' to end='2022-04-21'; the log holds 2022-04-22 to 2022-05-08.",
        ),
        ({"start": "2022-05-08"}, "no impressions from .*; the log holds 2022-04-22 to 2022-04-24."),
    ],
)
def test_invalid_parameters_are_refused(home, params, message):
    with pytest.raises(ValueError, match=message):
        fetch(home, **params)
