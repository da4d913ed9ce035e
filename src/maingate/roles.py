"""Roles: the rights of a caller of the HTTP interface, each with those of the ones before it."""

from enum import StrEnum


class Role(StrEnum):
    """A set of rights. Roles are ordered; each has the rights of those that stand before it."""

    VIEWER = "viewer"
    """Reads everything."""
    SUBMITTER = "submitter"
    """Submits plans, and cancels and resumes runs."""
    OPERATOR = "operator"
    """Decides by hand: patches, overrides, breakers, rollbacks."""
    ADMIN = "admin"
    """Has every right."""

    def includes(self, other: "Role") -> bool:
        """Return whether this role has all rights of another one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
