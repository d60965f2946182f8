"""What the package's README says, for those who hold it to its word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

README = Path(__file__).parents[1] / "README.md"


def section(heading: str) -> str:
    """The text under a heading, up to the next one."""
    parts = re.split(r"^## (.*)\n", README.read_text(), flags=re.MULTILINE)
    return parts[parts.index(heading) + 1]


def blocks(heading: str, language: str) -> List[str]:
    """Its blocks of code."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(heading), flags=re.MULTILINE | re.DOTALL)


def table(heading: str) -> List[List[str]]:
    """The rows of its table, without the heading's."""
    rows = re.findall(r"^\| (.*) \|$", section(heading), flags=re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows[1:] if not row.startswith("---")]
