"""What the rank monitor client is told and tells, as plain data: timeouts, and requests about the workload as a whole."""

from __future__ import annotations

import dataclasses
import enum
from typing import Mapping, Optional, Set


@dataclasses.dataclass
class HeartbeatTimeouts:
    """Seconds up to the first heartbeat, and between two. None: not used."""

    initial: Optional[float] = None
    subsequent: Optional[float] = None
    were_calculated: Optional[bool] = None

    @property
    def are_valid(self) -> bool:
        return self.initial is not None and self.subsequent is not None


@dataclasses.dataclass
class SectionTimeouts:
    """Seconds that a section may be open, and that none may be. None: not used."""

    section: Mapping[str, Optional[float]] = dataclasses.field(default_factory=dict)
    out_of_section: Optional[float] = None
    calculated_sections: Set[str] = dataclasses.field(default_factory=set)
    is_out_of_section_calculated: bool = False

    def __post_init__(self) -> None:
        # A state that went through JSON has a list.
        self.calculated_sections = set(self.calculated_sections)

    @property
    def were_calculated(self) -> bool:
        return self.calculated_sections == set(self.section) and self.is_out_of_section_calculated

    @property
    def are_valid(self) -> bool:
        return self.out_of_section is not None and None not in self.section.values()


class WorkloadAction(enum.Enum):
    """What a rank may ask of whoever starts ranks."""

    Continue = 0
    """Go on, as if nothing had been asked."""
    ExcludeThisNode = 1
    """Start no rank on this machine any more."""
    ShutdownWorkload = 2
    """Start no rank any more."""


class WorkloadControlRequest:
    """An action, and why."""

    def __init__(self, action: WorkloadAction, description: str = "<not set>") -> None:
        self.action = action
        self.description = description

    def __str__(self) -> str:
        return f"{type(self).__name__}(action={self.action}, description={self.description})"
