"""Layers of policy: a deeper one can only tighten."""

from maingate.settings import PolicyLayer
from maingate.settings.policy_layer import loosenings


def loosened(outer: list[PolicyLayer], inner: PolicyLayer) -> list[str]:
    """Return the fields in which the inner layer asks for too much."""
    return [name for name, _ in loosenings(outer, inner)]


def test_a_limit_may_shrink_but_not_grow() -> None:
    """The smallest limit around counts."""
    outer = [PolicyLayer(max_files=20, max_lines=100), PolicyLayer(max_files=10)]
    assert loosened(outer, PolicyLayer(max_files=10, max_lines=5)) == []
    assert loosened(outer, PolicyLayer(max_files=11, max_lines=101)) == ["max_files", "max_lines"]


def test_what_is_forbidden_stays_forbidden() -> None:
    """A false around makes a true inside a loosening; silence around does not."""
    asked = PolicyLayer(binary=True, submodules=True, mode_changes=True)
    assert loosened([PolicyLayer()], asked) == []
    assert loosened([PolicyLayer(binary=False), PolicyLayer(mode_changes=False)], asked) == [
        "binary",
        "mode_changes",
    ]
    assert loosened([PolicyLayer(binary=True)], PolicyLayer(binary=False)) == []


def test_reviewers_may_become_more() -> None:
    """Fewer approvals than demanded around are a loosening."""
    assert loosened([PolicyLayer(reviewers=2)], PolicyLayer(reviewers=1)) == ["reviewers"]
    assert loosened([PolicyLayer(reviewers=2)], PolicyLayer(reviewers=3)) == []


def test_lists_never_loosen() -> None:
    """Lists add up, so no list can take anything back."""
    outer = [PolicyLayer(allow=("src/**",), forbid=("secrets/**",))]
    assert loosened(outer, PolicyLayer(allow=("**",), forbid=())) == []
