"""The next step after a refusal, by the code of its reason, and in words."""

from typing import Final

_FAULTS: Final = {
    "conflict": "rebase",
    "base_red": "fix_base",
    "prepare_failed": "fix_base",
    "gate_failed": "fix_gate",
    "gate_timeout": "fix_gate",
}

ADVICE: Final = {
    "rebase": "rebase it on the target, and land it again",
    "fix_gate": "make the gate pass, commit, and land it again",
    "fix_base": "the gate fails on the target itself: that must be fixed first",
    "fix_patch": "correct it, commit, and land it again",
}
"""The steps after a refusal in words, about work that `maingate land` lands."""


def step_after(code: str) -> str:
    """Return the next step after a refusal, by the code of its reason."""
    return _FAULTS.get(code, "fix_patch")
