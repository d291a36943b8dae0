"""Settings of Sphinx; `make docs` runs it after `generate.py`, without any network."""

from __future__ import annotations

import importlib.metadata

project = "grandrounds"
author = "The grandrounds authors"
copyright = "The grandrounds authors, Apache-2.0"
version = release = importlib.metadata.version("grandrounds")

extensions = ["myst_parser"]
myst_heading_anchors = 3
# Generated parts are included by the pages around them.
exclude_patterns = ["_build", "reference/generated"]

html_theme = "furo"
html_title = "grandrounds"
html_show_sphinx = False
html_last_updated_fmt = None
html_static_path = ["_static"]
html_css_files = ["numbers.css"]
