"""Where the documentation is, for the links in scikit-learn's HTML diagrams of estimators."""

from __future__ import annotations

import os
from typing import Any

DOCS_URL = "http://127.0.0.1:8090/"
"""Where ``make docs-serve`` shows the site. The environment variable `SKLEARN_FSMD_DOCS` names another place."""


class Documented:
    """An estimator whose HTML diagram links to its page. It stands before scikit-learn's classes among the parents."""

    _doc_link_module = "sklearn_fsmd"

    @property
    def _doc_link_template(self) -> str:
        return os.environ.get("SKLEARN_FSMD_DOCS", DOCS_URL).rstrip("/") + "/api/generated/{path}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """The page has the name under which a class is public: without the private modules, and the file of a model."""
        cls: Any = type(self)
        package, part, *_ = cls.__module__.split(".")
        return {"path": f"{package}.{cls.__name__}" if part == "estimators" else f"{package}.{part}.{cls.__name__}"}
