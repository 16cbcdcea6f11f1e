"""The data set UCI Census-Income (KDD)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_fsmd.datasets._files import data_home, ensure_files, read_whole, zipped_tar_members
from sklearn_fsmd.datasets._result import as_result, check_choice

URL = "https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip"
SHA256 = {
    "census-income.data": "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86",
    "census-income.test": "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c",
}
COLUMNS = """
    age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code
    major_occ_code race hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses
    stock_dividends tax_filer_stat region_prev_res state_prev_res det_hh_fam_stat det_hh_summ instance_weight
    mig_chg_msa mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18 country_father country_mother
    country_self citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k
""".split()
NUMERIC = "age wage_per_hour capital_gains capital_losses stock_dividends instance_weight num_emp weeks_worked".split()
SUBSETS = {
    "train": ("census-income.data",),
    "validation": ("census-income.test",),
    "test": ("census-income.test",),
    "all": ("census-income.data", "census-income.test"),
}


def fetch_census_income(
    *,
    subset: str = "train",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load UCI Census-Income (KDD), which has two related targets that are not a funnel.

    The targets are `income` (over 50,000 dollars) and `never_married`. Marriage is not a step after income, so the
    model needs a link other than a chain. X has 39 columns, 7 of numbers and 32 of categories; the two label columns
    and the survey weight are not among them. The value "?" becomes a missing value.

    Parameters
    ----------
    subset : {"train", "validation", "test", "all"}, default="train"
        Rows to load. "train" is the published training file (199,523 rows), "validation" and "test" are the two halves
        of the published test file (49,881 rows each), "all" is everything.
    data_home : str or path, default=None
        Folder that contains the folder ``census-income``, or in which it is created. None means the folder that the
        environment variable SKLEARN_FSMD_DATA names, or else the cache folder of the platform.
    download_if_missing : bool, default=True
        Whether to download missing files from the publisher.
    return_X_y : bool, default=False
        Whether to return only ``(X, Y)``.
    as_frame : bool, default=True
        Whether to return DataFrames. Otherwise X is an array of objects and Y an array of 0 and 1.

    Returns
    -------
    data : Bunch, or tuple (X, Y)
        Bunch with `data`, `target`, `weight` (the survey weight), `feature_names`, `target_names` and `DESCR`; or only
        data and target if ``return_X_y=True``.

    Raises
    ------
    OSError
        If files are missing and cannot be downloaded.
    ValueError
        If `subset` is not valid, or a file is damaged or differs from that of the publisher.

    References
    ----------
    Census-Income (KDD), UCI Machine Learning Repository, https://doi.org/10.24432/C5N30T, CC BY 4.0.

    Examples
    --------
    >>> from sklearn_fsmd.datasets import fetch_census_income
    >>> X, Y = fetch_census_income(subset="test", return_X_y=True)  # doctest: +SKIP
    """
    check_choice("subset", subset, SUBSETS)
    paths = ensure_files(
        _folder(data_home),
        SUBSETS[subset],
        url=URL,
        archive_hash=None,
        members=zipped_tar_members,
        file_hashes=SHA256,
        download=download_if_missing,
    )
    frame = pd.concat([_read(path) for path in paths], ignore_index=True)
    if subset in ("validation", "test"):  # the same halves as in published comparisons of multi-task models
        validation = frame.sample(frac=0.5, random_state=1).index
        frame = frame.loc[validation] if subset == "validation" else frame.drop(validation)
    target = pd.DataFrame(
        {
            "income": (frame["income_50k"] == "50000+.").astype("int64"),
            "never_married": (frame["marital_stat"] == "Never married").astype("int64"),
        }
    )
    data = frame.drop(columns=["income_50k", "marital_stat", "instance_weight"])
    categories = {name: "category" for name in data.columns if name not in NUMERIC}
    return as_result(
        data.astype(categories),
        target,
        return_X_y=return_X_y,
        as_frame=as_frame,
        weight=frame["instance_weight"],
        DESCR=(fetch_census_income.__doc__ or ""),
    )


def _folder(home: str | os.PathLike[str] | None) -> Path:
    return data_home(home) / "census-income"


def _read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(
        read_whole(path, SHA256[path.name.removesuffix(".xz")]),
        header=None,
        names=COLUMNS,
        sep=",",
        skipinitialspace=True,
        dtype={name: str for name in COLUMNS if name not in NUMERIC},
        keep_default_na=False,  # "NA" is a category of hisp_origin
        na_values={name: ["?"] for name in COLUMNS},
    )
    categories = frame.columns.difference(NUMERIC)
    frame[categories] = frame[categories].apply(lambda column: column.str.strip())
    return frame
