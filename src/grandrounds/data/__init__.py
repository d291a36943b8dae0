"""Labelled images from any source as one `Dataset` of tables."""

from grandrounds.data.dataset import Dataset, Published
from grandrounds.data.draft import Draft
from grandrounds.data.opening import open_dataset, open_tasks, tasks_of, unread_tables
from grandrounds.data.options import SourceOptions

__all__ = ["Dataset", "Draft", "Published", "SourceOptions", "open_dataset", "open_tasks", "tasks_of", "unread_tables"]
