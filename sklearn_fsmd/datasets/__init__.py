"""Data sets with several targets: two public ones, and a simulated funnel."""

from sklearn_fsmd.datasets._census import fetch_census_income
from sklearn_fsmd.datasets._funnel import make_funnel
from sklearn_fsmd.datasets._kuairand import fetch_kuairand_pure

__all__ = ["fetch_census_income", "fetch_kuairand_pure", "make_funnel"]
