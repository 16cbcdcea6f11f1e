"""Names of columns of ids."""

from __future__ import annotations

import re

HAS_AN_ID = (
    "user|customer|client|visitor|member|account|viewer|listener|reader|learner|student|patient|driver|passenger|guest|"
    "item|product|article|video|movie|film|song|artist|album|podcast|book|course|recipe|hotel|restaurant|listing|"
    "ad|campaign|advertiser|publisher|creative|session|device|author|creator|channel|seller|merchant|vendor|shop|store|"
    "brand|category|doc"
)
NAME = re.compile(
    r"(^|[^a-zA-Z])([iI][dD]s?|[nN][oOrR]|(?i:uu?id|key|code|sku|zip))$|[a-z](I[dD]s?|No|Nr|Key|Code)$"
    rf"|({HAS_AN_ID})ids?$|^(?i:{HAS_AN_ID})$"
)
"""Names that end in the word "id", or in "no", "key" and the like, but not "bid", "paid" or "piano"; and names of
things that have ids."""


def is_name_of_ids(name: str) -> bool:
    """Whether a column with this name holds ids."""
    return NAME.search(name) is not None
