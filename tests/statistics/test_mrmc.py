"""Readers and cases: against published results, and against the method that is the same by theory."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.evaluate import delong, mrmc

# Van Dyke et al., Radiology 186:111 (1993): spin-echo against cine MRI for thoracic aortic dissection, 5 radiologists,
# 69 patients without and 45 with it. What follows is what OR-DBM MRMC 2.51 (Schartz, Hillis, Pesce, Berbaum, University
# of Iowa) printed for these data; the output is kept in github.com/dpc10ster/RJafroc, inst/IowaResults/VanDyke.txt.
AREAS = np.array([
    [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
    [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
])  # fmt: skip
VARIANCE, COV1, COV2, COV3 = (0.00101410, 0.00059047), 0.00034661, (0.00048396, 0.00020419), 0.00023903


def covariance(variance, cov1, cov2, cov3):
    """Return the (2, 5, 2, 5) covariance that has the printed means."""
    found = np.full((2, 5, 2, 5), cov3)
    for i in range(2):
        found[i, :, 1 - i, :] += (cov1 - cov3) * np.eye(5)
        found[i, :, i, :] = cov2[i] + (variance[i] - cov2[i]) * np.eye(5)
    return found


VAN_DYKE = covariance(VARIANCE, COV1, COV2, COV3)


def test_components_are_those_of_van_dyke():
    """Mean squares, covariances and variance components to every printed digit."""
    found = mrmc.components(AREAS, VAN_DYKE)

    assert found.ms_modality == pytest.approx(0.00479617, abs=5e-9)
    assert found.ms_reader == pytest.approx(0.00383620, abs=5e-9)
    assert found.ms_interaction == pytest.approx(0.00055103, abs=5e-9)
    assert (found.variance, found.cov2) == pytest.approx((0.00080229, 0.00034407), abs=1e-8)
    assert (found.var_reader, found.var_interaction) == pytest.approx((0.00153500, 0.00020040), abs=2e-8)


def test_random_readers_and_cases_are_as_published():
    """F(1, 15.26) = 4.46, p = 0.0517, and the interval of the difference."""
    f, df, p = mrmc.modalities_differ(mrmc.components(AREAS, VAN_DYKE))
    found = mrmc.difference(AREAS, VAN_DYKE)

    assert (f, df, p) == pytest.approx((4.46, 15.26, 0.0517), abs=5e-3)
    assert (found.estimate, found.error) == pytest.approx((-0.04380, 0.02075), abs=5e-6)
    assert (found.low, found.high) == pytest.approx((-0.08796, 0.00036), abs=5e-6)
    assert (found.p, found.df) == pytest.approx((0.0517, 15.26), abs=5e-3)


def test_fixed_readers_are_as_published():
    """For these five readers alone the difference is there: p = 0.0193."""
    found = mrmc.difference(AREAS, VAN_DYKE, readers_random=False)

    assert (found.error, found.p) == pytest.approx((0.01872, 0.0193), abs=5e-5)
    assert (found.low, found.high) == pytest.approx((-0.08049, -0.00711), abs=5e-6)


@pytest.mark.parametrize(
    ("modality", "error", "df", "low", "high", "fixed_error"),
    [
        (0, 0.03317360, 12.74, 0.82522360, 0.96885048, 0.02428971),
        (1, 0.02156637, 12.71, 0.89413783, 0.98753689, 0.01677632),
    ],
)
def test_each_modality_alone_is_as_published(modality, error, df, low, high, fixed_error):
    """The means of one modality, for other readers and for these."""
    own = VAN_DYKE[modality, :, modality, :]
    found = mrmc.mean_figure(AREAS[modality], own)
    fixed = mrmc.mean_figure(AREAS[modality], own, readers_random=False)

    assert (found.error, found.low, found.high) == pytest.approx((error, low, high), abs=1e-6)
    assert found.df == pytest.approx(df, abs=5e-3)
    assert fixed.error == pytest.approx(fixed_error, abs=1e-6)


def test_stand_alone_model_is_as_published():
    """Nine radiologists against a stand-alone detector, as Chakraborty's book tables it (0.0317, p = 0.32).

    The table gives the interval with cases fixed, (0.009, 0.055), which holds the mean square of readers, and F = 0.99
    with cases random, which holds their covariance; degrees of freedom, interval and p must follow.
    """
    n, psi, f = 9, 0.0317, 0.99
    ms_reader = n * ((0.055 - 0.009) / 2 / 2.306) ** 2  # 2.306: t with 8 degrees of freedom
    cov2 = psi**2 / f - ms_reader / n
    spread = np.linspace(-1, 1, n)
    readers = psi + spread * np.sqrt(ms_reader * (n - 1) / (spread**2).sum())
    figures = np.append(readers, 0.0)
    errors = np.zeros((n + 1, n + 1))
    errors[:n, :n] = cov2 + 0.0003 * np.eye(n)

    found = mrmc.readers_minus_model(figures, errors)

    assert (found.low, found.high) == pytest.approx((-0.031, 0.094), abs=1e-3)
    assert found.p == pytest.approx(0.32, abs=5e-3)
    assert found.df == pytest.approx(878, rel=0.1)  # the table's three digits of the interval allow no more


@pytest.fixture(scope="module")
def ratings():
    """Simulated ratings from 1 to 5: (2 modalities, 4 readers, 60 cases), and who is diseased."""
    draw = np.random.default_rng(5)
    positive = np.arange(60) < 25
    case = draw.normal(size=60) + 1.2 * positive
    reader = draw.normal(scale=0.3, size=(1, 4, 1)) * positive
    latent = case + reader + draw.normal(size=(2, 4, 60)) + np.array([0.0, 0.4])[:, None, None] * positive
    return np.digitize(latent, [-0.5, 0.5, 1.2, 2.0]) + 1.0, positive


def areas_of(scores, positive):
    return delong.areas(scores.reshape(-1, scores.shape[-1]), positive).auc.reshape(scores.shape[:-1])


def jackknifed(scores, positive):
    """Return the AUCs without each case in turn, (t, r, cases)."""
    kept = [np.arange(len(positive)) != k for k in range(len(positive))]
    return np.stack([areas_of(scores[..., keep], positive[keep]) for keep in kept], axis=-1)


def test_it_is_the_analysis_of_variance_of_pseudovalues(ratings):
    """With the jackknife's covariance, F and its degrees of freedom are those of Dorfman, Berbaum and Metz."""
    scores, positive = ratings
    theta, without = areas_of(scores, positive), jackknifed(scores, positive)
    t, r, c = without.shape
    centred = (without - without.mean(axis=-1, keepdims=True)).reshape(t * r, c)
    covariance_ = ((c - 1) / c * centred @ centred.T).reshape(t, r, t, r)
    f, df, _ = mrmc.modalities_differ(mrmc.components(theta, covariance_))

    pseudo = c * theta[..., None] - (c - 1) * without
    pseudo += theta[..., None] - pseudo.mean(axis=-1, keepdims=True)  # normalised, as Hillis et al. (2005) have it
    by_t, by_tr, by_tc = pseudo.mean((1, 2)), pseudo.mean(2), pseudo.mean(1)
    tr = by_tr - by_t[:, None] - pseudo.mean((0, 2)) + pseudo.mean()
    tc = by_tc - by_t[:, None] - pseudo.mean((0, 1)) + pseudo.mean()
    rc = pseudo.mean(0)
    trc = pseudo - by_tr[..., None] - by_tc[:, None] - rc[None] + by_t[:, None, None]
    trc += pseudo.mean((0, 2))[None, :, None] + pseudo.mean((0, 1)) - pseudo.mean()
    ms_t = r * c * ((by_t - pseudo.mean()) ** 2).sum() / (t - 1)
    ms_tr = c * (tr**2).sum() / ((t - 1) * (r - 1))
    ms_tc = r * (tc**2).sum() / ((t - 1) * (c - 1))
    ms_trc = (trc**2).sum() / ((t - 1) * (r - 1) * (c - 1))
    denominator = ms_tr + max(ms_tc - ms_trc, 0)

    assert f == pytest.approx(ms_t / denominator, rel=1e-9)
    assert df == pytest.approx(denominator**2 / (ms_tr**2 / ((t - 1) * (r - 1))), rel=1e-9)


def test_a_model_is_a_modality_in_which_it_stands_for_each_reader(ratings):
    """Readers minus a model give what two modalities give where the model is every reader of the second."""
    scores, positive = ratings
    model = scores[1, 0]
    found = delong.areas(np.vstack([scores[0], model]), positive)
    replicated = np.vstack([scores[0], np.repeat(model[None], 4, axis=0)])
    both = delong.areas(replicated, positive)

    one = mrmc.readers_minus_model(found.auc, found.covariance)
    two = mrmc.difference(both.auc.reshape(2, 4), both.covariance.reshape(2, 4, 2, 4))

    assert (one.estimate, one.error, one.p) == pytest.approx((two.estimate, two.error, two.p), rel=1e-9)


def test_one_reader_speaks_for_no_other(ratings):
    """From one reader nothing can be said of readers; for this one there is DeLong's interval."""
    scores, positive = ratings
    found = delong.areas(scores[:, 0], positive)
    pair = found.covariance.reshape(2, 1, 2, 1)

    assert np.isnan(mrmc.difference(found.auc.reshape(2, 1), pair).p)
    fixed = mrmc.difference(found.auc.reshape(2, 1), pair, readers_random=False)
    assert fixed.p == pytest.approx(delong.difference(found, 0, 1).p)


def equal_ways(draw, per_patient, n_patients=40):
    """Simulated scores of five readers in two equally good ways, and whose each image is; images of a patient agree."""
    sick = np.repeat(np.arange(n_patients) % 2 == 0, per_patient)
    who = np.repeat(np.arange(n_patients), per_patient)
    case = 0.8 * draw.normal(size=n_patients)[who] + 0.6 * draw.normal(size=len(who)) + 1.5 * sick
    reader = 0.2 * (draw.normal(size=(1, 5, 1)) + draw.normal(size=(2, 5, 1))) * sick
    way = 0.4 * draw.normal(size=(2, 1, n_patients))[..., who]
    return (case + reader + way + draw.normal(size=(2, 5, len(who)))).reshape(10, -1), sick, who


def rejects(scores, positive, patient=None):
    found = delong.areas(scores, positive, patient)
    return mrmc.difference(found.auc.reshape(2, 5), found.covariance.reshape(2, 5, 2, 5)).p < 0.05


@pytest.mark.parametrize("per_patient", [1, 3])
def test_equal_ways_are_called_different_about_one_time_in_twenty(per_patient):
    """In 1,000 simulated studies, 3 to 7 %; images taken for patients would do so more often where each has three."""
    draw = np.random.default_rng(0)
    by_patient, by_image = [], []
    for _ in range(1000):
        scores, positive, patient = equal_ways(draw, per_patient)
        by_patient.append(rejects(scores, positive, patient))
        by_image.append(rejects(scores, positive))

    print(f"{per_patient} images a patient: {np.mean(by_patient):.1%} by patient, {np.mean(by_image):.1%} by image")
    assert 0.03 <= np.mean(by_patient) <= 0.07
    assert np.mean(by_image) > 0.09 or per_patient == 1
