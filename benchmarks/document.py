"""Writing what was measured into docs/benchmarks.md, between a section's two marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"


def replaced(page: str, section: str, text: str) -> str:
    """The page with another text in a section. Raises ValueError where the page lacks its marks."""
    begin, end = f"<!-- begin {section} -->\n", f"<!-- end {section} -->\n"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no section {section!r}: it needs the lines {begin.strip()} and {end.strip()}")
    return f"{before}{begin}{text.rstrip()}\n{end}{after}"


def has(section: str) -> bool:
    """Whether docs/benchmarks.md has such a section."""
    return f"<!-- begin {section} -->\n" in PAGE.read_text()


def write(section: str, text: str) -> None:
    """Put a text into a section of docs/benchmarks.md."""
    PAGE.write_text(replaced(PAGE.read_text(), section, text))


def facts(named: Mapping[str, str]) -> str:
    """Facts as a list in Markdown."""
    return "\n".join(f"- {name}: {text}" for name, text in named.items()) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, all columns but the first to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---{'|--:' * (len(head) - 1)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)]) + "\n"
