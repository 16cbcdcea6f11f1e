"""Links to the documentation in scikit-learn's HTML diagrams of estimators."""

from __future__ import annotations

import os
from typing import Any


class Documented:
    """Mixin that links the HTML diagram of an estimator to its page; list it before the base classes of scikit-learn.

    The environment variable `SKLEARN_FSMD_DOCS` is the address of the site. If it is not set, there is no link.
    """

    _doc_link_module = "sklearn_fsmd"

    @property
    def _doc_link_template(self) -> str:
        site = os.environ.get("SKLEARN_FSMD_DOCS", "").rstrip("/")
        return f"{site}/api/generated/{{path}}.html" if site else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """Name the page as the class is imported: without private modules, and without the file of a model."""
        cls: Any = type(self)
        package, part, *_ = cls.__module__.split(".")
        return {"path": f"{package}.{cls.__name__}" if part == "estimators" else f"{package}.{part}.{cls.__name__}"}
