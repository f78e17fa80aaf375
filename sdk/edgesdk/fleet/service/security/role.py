"""What a person or a token may do, from least to most: viewer ⊂ operator ⊂ admin."""

from __future__ import annotations

from enum import Enum


class Role(str, Enum):
    """What a person or a token may do: look; tell devices what to do; manage people and read the audit log."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Tell whether who has this role may do what needs the other."""
        return _ORDER[self] >= _ORDER[other]


_ORDER = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
