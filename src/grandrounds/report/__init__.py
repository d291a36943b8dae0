"""From tables and words to a page, Markdown, CSV, and one table for the terminal; computes nothing."""

from grandrounds.report.content import PublishedResult, ReportContent
from grandrounds.report.page import write
from grandrounds.report.writing import write_all

__all__ = ["PublishedResult", "ReportContent", "write", "write_all"]
