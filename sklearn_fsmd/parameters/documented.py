"""Where the documentation is, for the links in scikit-learn's HTML diagrams of estimators."""

from __future__ import annotations

import os
from typing import Any


class Documented:
    """An estimator whose HTML diagram links to its page. It stands before scikit-learn's classes among the parents.

    The environment variable `SKLEARN_FSMD_DOCS` says where the site is. Without it there is no link.
    """

    _doc_link_module = "sklearn_fsmd"

    @property
    def _doc_link_template(self) -> str:
        site = os.environ.get("SKLEARN_FSMD_DOCS", "").rstrip("/")
        return f"{site}/api/generated/{{path}}.html" if site else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """The page has the name under which a class is public: without the private modules, and the file of a model."""
        cls: Any = type(self)
        package, part, *_ = cls.__module__.split(".")
        return {"path": f"{package}.{cls.__name__}" if part == "estimators" else f"{package}.{part}.{cls.__name__}"}
