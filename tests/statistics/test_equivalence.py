"""Nobody calls families equivalent for want of errors: not the deciding method, and no second opinion."""

from __future__ import annotations

BENCHMARK = "equivalence"


def test_few_ill_without_a_miss_do_not_make_families_equivalent(simulation):
    """Ten of 200 patients ill, families 0.03 apart, 200 studies: what is published errs, and what is shown does not."""
    found = simulation.wrong(200, (200, 10))

    for method in (simulation.DECIDING, simulation.DELONG, simulation.rope.METHOD):
        called, held = found[method]
        assert called <= 0.03
        assert held >= 0.9
    for method in (simulation.PUBLISHED, simulation.ALONE):
        called, held = found[method]
        assert called >= 0.05
        assert held <= 0.85
