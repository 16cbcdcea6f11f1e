"""Configuration of the site (``make docs``). `docs/tools` writes the generated pages when the build starts."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import tools
import tools.gallery

from sklearn_fsmd import __version__

project = "sklearn-fsmd"
author = "The sklearn-fsmd developers"
copyright = author  # noqa: A001 (Sphinx's name)
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "tools",
]

# ----------------------------------------------------------------------------------------------------------- sources
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_generated", "tools", "**/README.md", "gallery/*.ipynb", "gallery/*.py"]
nitpicky = True
nitpick_ignore_regex = tools.NOT_OURS
default_role = None

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

# ---------------------------------------------------------------------------------------------------------- the API
autosummary_generate = False  # tools.api writes these pages, from `__all__`
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections have the types
numpydoc_show_class_members = False  # the pages list the methods themselves
numpydoc_xref_param_type = False

# ------------------------------------------------------------------------------------------------------ the examples
os.environ["SKLEARN_FSMD_DOCS"] = ".."  # path from a gallery page to the root of the site
sphinx_gallery_conf = tools.gallery.CONFIGURATION
warnings.filterwarnings("ignore", message=".*no_silent_downcasting.*")  # category_encoders on pandas 3

# ------------------------------------------------------------------------------------------------------------- theme
html_theme = "pydata_sphinx_theme"
html_title = "sklearn-fsmd"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "sklearn-fsmd"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_prev_next": True,
}
html_sidebars = {"index": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
