"""The audits that grandrounds knows, numbered like lint rules."""

from __future__ import annotations

from grandrounds.audits.protocol import AuditEntry
from grandrounds.registry import Registry

AUDITS: Registry[AuditEntry] = Registry(
    "audit",
    (
        AuditEntry(
            name="A000",
            title="Patients unknown",
            summary="whether the data say which images show the same patient",
            run="grandrounds.audits.a000_patients_unknown:audit",
            docs="reference/audits/a000.md",
        ),
        AuditEntry(
            name="A001",
            title="Patient on two sides",
            summary="whether a patient stands in two roles of one fold",
            run="grandrounds.audits.a001_patient_overlap:audit",
            docs="reference/audits/a001.md",
        ),
        AuditEntry(
            name="A002",
            title="Same pixels twice",
            summary="whether identical images have two labels, two patients or two roles",
            run="grandrounds.audits.a002_duplicate_pixels:audit",
            docs="reference/audits/a002.md",
        ),
    ),
    group="grandrounds.audits",
)
