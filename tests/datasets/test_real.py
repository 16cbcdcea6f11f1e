"""The two public data sets agree with the descriptions of their publishers."""

import pandas as pd
import pytest

from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure

pytestmark = pytest.mark.usefixtures("real_data")


def test_census_counts_and_columns():
    train = fetch_census_income()
    assert train.data.shape == (199_523, 39)
    assert train.target.sum().to_dict() == {"income": 12_382, "never_married": 86_485}
    assert not {"income_50k", "marital_stat", "instance_weight"} & set(train.data.columns)
    assert len(train.weight) == 199_523
    kinds = train.data.dtypes.astype(str).value_counts().to_dict()
    assert kinds == {"category": 32, "int64": 7}
    assert "NA" in train.data["hisp_origin"].cat.categories
    assert train.data["mig_chg_msa"].isna().any()


def test_census_test_file_is_split_into_two_halves():
    parts = {subset: fetch_census_income(subset=subset, return_X_y=True) for subset in ("validation", "test")}
    assert [len(X) for X, _ in parts.values()] == [49_881, 49_881]
    assert not set(parts["test"][0].index) & set(parts["validation"][0].index)
    assert sum(Y["income"].sum() for _, Y in parts.values()) == 6_186
    with pytest.raises(ValueError, match="The 'subset' parameter must be one of"):
        fetch_census_income(subset="dev")


def test_kuairand_columns_and_rates():
    data = fetch_kuairand_pure(start="2022-04-25", end="2022-05-06")
    rates = data.target.mean()
    assert rates["click"] == pytest.approx(0.44, abs=0.01)
    assert rates["conversion"] == pytest.approx(0.31, abs=0.01)
    assert (data.target["conversion"] <= data.target["click"]).all()
    outcomes = {
        "play_time_ms",
        "profile_stay_time",
        "comment_stay_time",
        "is_like",
        "is_click",
        "long_view",
        "date",
        "time_ms",
    }
    assert not outcomes & set(data.data.columns)
    assert data.data["user_id"].dtype == "category"
    assert data.time.between("2022-04-24", "2022-05-07").all()


def test_kuairand_watch_time():
    data = fetch_kuairand_pure(start="2022-04-25", end="2022-05-06", watch_time=True)
    watched = data.target["watch_seconds"]
    assert watched.notna().equals(data.target["click"] == 1)
    assert watched.median() == pytest.approx(25.911)
    assert watched.mean() == pytest.approx(45.686, abs=1e-3)
    assert (watched == 0).sum() == 453


def test_kuairand_can_be_selected_by_days():
    days = pd.date_range("2022-04-30", "2022-05-02").strftime("%Y-%m-%d")
    lengths = [len(fetch_kuairand_pure(start=day, end=day).data) for day in days]
    whole = fetch_kuairand_pure(start=days[0], end=days[-1], return_X_y=True)[0]
    assert len(whole) == sum(lengths)
    with pytest.raises(ValueError, match="There are no impressions from start='2021-01-01'"):
        fetch_kuairand_pure(start="2021-01-01", end="2021-01-02")
