"""From tables and words to one HTML page and one table for the terminal; computes nothing."""

from grandrounds.report.content import PublishedResult, ReportContent
from grandrounds.report.page import write

__all__ = ["PublishedResult", "ReportContent", "write"]
