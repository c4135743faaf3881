"""The report as a page for a browser, and as a fragment for a notebook."""

from initadvisor.report.html.notebook import as_fragment
from initadvisor.report.html.page import as_html

__all__ = ["as_fragment", "as_html"]
