"""The report as one HTML file that needs nothing else: no network, no server, and for reading it no JavaScript."""

from conformance.report.html.beside import performance_beside, performance_of
from conformance.report.html.rendering import MAX_RESULTS, page

__all__ = ["MAX_RESULTS", "page", "performance_beside", "performance_of"]
