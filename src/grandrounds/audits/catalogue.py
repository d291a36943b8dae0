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
        AuditEntry(
            name="A003",
            title="Class missing in a fold",
            summary="whether train or test of a fold lacks a class",
            run="grandrounds.audits.a003_class_missing:audit",
            docs="reference/audits/a003.md",
        ),
        AuditEntry(
            name="A004",
            title="Split not stratified",
            summary="whether the roles differ in prevalence by more than chance allows",
            run="grandrounds.audits.a004_not_stratified:audit",
            docs="reference/audits/a004.md",
        ),
        AuditEntry(
            name="A005",
            title="Floor not beaten",
            summary="whether the best contender is shown to be better than every floor",
            run="grandrounds.audits.a005_floor_not_beaten:audit",
            docs="reference/audits/a005.md",
        ),
        AuditEntry(
            name="A006",
            title="Spread larger than the difference",
            summary="whether a claimed difference varies more between folds and seeds than it is large",
            run="grandrounds.audits.a006_spread:audit",
            docs="reference/audits/a006.md",
        ),
        AuditEntry(
            name="A007",
            title="Unequal budgets",
            summary="whether a contender overran its share, was cut short or failed",
            run="grandrounds.audits.a007_unequal_budgets:audit",
            docs="reference/audits/a007.md",
        ),
        AuditEntry(
            name="A008",
            title="Interval wider than the claim",
            summary="whether there are too few patients for the margin that was declared",
            run="grandrounds.audits.a008_too_few_patients:audit",
            docs="reference/audits/a008.md",
        ),
        AuditEntry(
            name="A009",
            title="Tested on what chose it",
            summary="whether test rows also served for early stopping or thresholds",
            run="grandrounds.audits.a009_test_is_valid:audit",
            docs="reference/audits/a009.md",
        ),
        AuditEntry(
            name="A010",
            title="Clinical column gives the label away",
            summary="whether clinical columns tell the label as well as the images do",
            run="grandrounds.audits.a010_metadata:audit",
            docs="reference/audits/a010.md",
        ),
        AuditEntry(
            name="A011",
            title="Test opened before",
            summary="whether other trials than those of this run opened the test role",
            run="grandrounds.audits.a011_opened_before:audit",
            docs="reference/audits/a011.md",
        ),
        AuditEntry(
            name="A012",
            title="Fitted on tested patients",
            summary="whether a model saw patients that it is tested on",
            run="grandrounds.audits.a012_fitted_on_tested:audit",
            docs="reference/audits/a012.md",
        ),
        AuditEntry(
            name="A013",
            title="Technical shortcut",
            summary="whether site, size or grey range tell the class as well as the best family",
            run="grandrounds.audits.a013_technical_shortcut:audit",
            docs="reference/audits/a013.md",
        ),
        AuditEntry(
            name="A014",
            title="Poorly calibrated",
            summary="whether the probabilities of the best family are shown to be off",
            run="grandrounds.audits.a014_poorly_calibrated:audit",
            docs="reference/audits/a014.md",
        ),
        AuditEntry(
            name="A015",
            title="Prevalence unlike the clinic's",
            summary="whether the classes are as frequent in test as the study declares",
            run="grandrounds.audits.a015_prevalence:audit",
            docs="reference/audits/a015.md",
        ),
        AuditEntry(
            name="A016",
            title="No better than random labels",
            summary="whether the best result is more than exchanged labels allow",
            run="grandrounds.audits.a016_random_labels:audit",
            docs="reference/audits/a016.md",
        ),
        AuditEntry(
            name="A017",
            title="Chosen on test",
            summary="whether a rule, a family or what decides was chosen by the role that it is judged on",
            run="grandrounds.audits.a017_chosen_on_test:audit",
            docs="reference/audits/a017.md",
        ),
        AuditEntry(
            name="A018",
            title="In another role in another task",
            summary="whether a patient who is tested for one task is trained or chosen on for another",
            run="grandrounds.audits.a018_role_in_another_task:audit",
            docs="reference/audits/a018.md",
        ),
    ),
    group="grandrounds.audits",
)
