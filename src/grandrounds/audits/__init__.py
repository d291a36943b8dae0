"""Numbered checks over tables: they report, and never stop a run."""

from grandrounds.audits.catalogue import AUDITS
from grandrounds.audits.protocol import AuditEntry, AuditTables, Finding
from grandrounds.audits.running import run

__all__ = ["AUDITS", "AuditEntry", "AuditTables", "Finding", "run"]
