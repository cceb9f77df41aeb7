"""The programs in the guides of docs/."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(guide: str, language: str) -> list[str]:
    """The blocks of `language` in a guide, in their order. Fails if there is none."""
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)
    assert found, f"{guide} has no {language}"
    return found
