from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from grandrounds.errors import BadData
from grandrounds.evaluate import delong


def _rows(seed=0, n_patients=40, n_each=4, n_families=3):
    """Return scores with ties, labels that vary within patients, and patients."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_each)
    truth = rng.normal(size=n_patients)[patient] + rng.normal(size=len(patient)) > 0
    shared = rng.normal(size=n_patients)[patient]
    scores = np.round(truth + shared + rng.normal(size=(n_families, len(patient))), 1)
    return scores, truth, patient


def _naive(scores, truth, patient):
    """Return AUCs and Obuchowski's covariance with every pair compared and every formula written out."""
    yes, no = scores[:, truth], scores[:, ~truth]
    wins = (yes[:, :, None] > no[:, None]) + 0.5 * (yes[:, :, None] == no[:, None])  # (F, n_yes, n_no)
    auc, of_yes, of_no = wins.mean(axis=(1, 2)), wins.mean(axis=2), wins.mean(axis=1)
    m, n = yes.shape[1], no.shape[1]
    everyone = np.unique(patient)
    with_yes, with_no = np.unique(patient[truth]), np.unique(patient[~truth])
    covariance = np.zeros((len(auc), len(auc)))
    for r, s in np.ndindex(covariance.shape):

        def pull(family, values, side, one):
            inside = patient[side] == one
            return values[family][inside].sum() - inside.sum() * auc[family]

        s10 = sum(pull(r, of_yes, truth, i) * pull(s, of_yes, truth, i) for i in with_yes)
        s01 = sum(pull(r, of_no, ~truth, i) * pull(s, of_no, ~truth, i) for i in with_no)
        s11 = sum(pull(r, of_yes, truth, i) * pull(s, of_no, ~truth, i) for i in everyone)
        s11 += sum(pull(s, of_yes, truth, i) * pull(r, of_no, ~truth, i) for i in everyone)
        covariance[r, s] = (
            len(with_yes) / (len(with_yes) - 1) * s10 / m**2
            + len(with_no) / (len(with_no) - 1) * s01 / n**2
            + len(everyone) / (len(everyone) - 1) * s11 / (m * n)
        )
    return auc, covariance


def test_ranks_equal_comparing_every_pair():
    """AUC and clustered covariance equal the definitions, ties included; the AUC is scikit-learn's."""
    scores, truth, patient = _rows()
    found = delong.areas(scores, truth, patient)
    auc, covariance = _naive(scores, truth, patient)
    np.testing.assert_allclose(found.auc, auc, atol=1e-12)
    np.testing.assert_allclose(found.auc, [roc_auc_score(truth, row) for row in scores], atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)


def test_a_row_a_patient_is_delong():
    """With clusters of one row it is DeLong's: the covariances of the placements of each side by their number."""
    scores, truth, _ = _rows()
    found = delong.areas(scores, truth)
    wins = np.stack([np.heaviside(row[truth][:, None] - row[~truth], 0.5) for row in scores])
    expected = np.cov(wins.mean(axis=2)) / truth.sum() + np.cov(wins.mean(axis=1)) / (~truth).sum()
    np.testing.assert_allclose(found.covariance, expected, atol=1e-14)
    np.testing.assert_allclose(delong.areas(scores, truth, np.arange(len(truth))[::-1]).covariance, expected)


def test_copied_patients_do_not_pretend_to_know_more():
    """Each row written k times leaves the clustered variance as it was, and shrinks the one by row."""
    scores, truth, _ = _rows(n_families=2)
    once = delong.areas(scores, truth)
    copied, patient = np.repeat(scores, 5, axis=1), np.repeat(np.arange(len(truth)), 5)
    clustered = delong.areas(copied, np.repeat(truth, 5), patient)
    np.testing.assert_allclose(clustered.covariance, once.covariance, atol=1e-14)
    assert delong.areas(copied, np.repeat(truth, 5)).covariance[0, 0] < once.covariance[0, 0] / 4


def test_a_difference_is_paired_and_turns_its_sign():
    """Turning the pair round turns the sign; the error is that of the difference."""
    scores, truth, patient = _rows()
    found = delong.areas(scores, truth, patient)
    one, other = delong.difference(found, 0, 1), delong.difference(found, 1, 0)
    assert one.estimate == -other.estimate
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p == other.p
    assert (one.low > 0 or one.high < 0) == (one.p < 0.05)


def test_what_cannot_be_estimated_is_nan():
    """One side only, one positive patient, no error at all, or the same family twice: no interval."""
    scores, truth, patient = _rows(n_families=2)
    assert np.isnan(delong.areas(scores, np.ones_like(truth)).auc).all()
    assert np.isnan(delong.areas(scores, patient == 0, patient).covariance).all()
    assert np.isnan(delong.interval(delong.areas(1.0 * truth, truth), 0)).all()
    assert np.isnan(delong.difference(delong.areas(np.stack([scores[0]] * 2), truth), 0, 1).p)


def test_an_interval_lies_within_0_and_1():
    """Normal in the log odds: a good family's interval is longer below than above, and ends before 1."""
    scores, truth, patient = _rows(n_families=1)
    found = delong.areas(scores + 2.5 * truth, truth, patient)
    low, high = delong.interval(found, 0)
    auc, error = found.auc[0], np.sqrt(found.covariance[0, 0])
    half = stats.norm.ppf(0.975) * error / (auc * (1 - auc))
    assert (low, high) == pytest.approx(tuple(special.expit(special.logit(auc) + np.array([-half, half]))))
    assert auc - low > high - auc
    assert high < 1


def test_rows_that_do_not_go_together_are_refused():
    """Other lengths and scores that are not numbers get a message."""
    with pytest.raises(BadData, match="not the same rows"):
        delong.areas(np.zeros((1, 3)), np.array([True, False]))
    with pytest.raises(BadData, match="not a number"):
        delong.areas(np.array([[0.1, np.nan]]), np.array([True, False]))


def _has_proc():
    r = shutil.which("Rscript")
    return (
        r is not None and subprocess.run([r, "-e", "library(pROC)"], capture_output=True, check=False).returncode == 0
    )


def test_equals_proc(tmp_path):
    """AUC, variance and the paired test equal those of R's pROC."""
    if not _has_proc():
        pytest.skip("R with the package pROC is not installed")
    scores, truth, _ = _rows(n_families=2)
    np.savetxt(tmp_path / "rows.csv", np.vstack([truth, scores]).T, delimiter=",", header="y,a,b", comments="")
    code = """suppressMessages(library(pROC)); d <- read.csv("rows.csv")
    a <- roc(d$y, d$a, direction="<", quiet=TRUE); b <- roc(d$y, d$b, direction="<", quiet=TRUE)
    t <- roc.test(a, b, method="delong", paired=TRUE)
    cat(format(c(auc(a), var(a, method="delong"), cov(a, b, method="delong"), t$p.value), digits=15))"""
    done = subprocess.run(
        ["Rscript", "-e", code], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    found = delong.areas(scores, truth)
    ours = found.auc[0], found.covariance[0, 0], found.covariance[0, 1], delong.difference(found, 0, 1).p
    assert [float(one) for one in done.stdout.split()] == pytest.approx(ours, rel=1e-9)
