"""The pages for users of other libraries are programs, and name each method of theirs that is left out."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.guides import DOCS, blocks

import needle as ndl

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")


@pytest.mark.parametrize("page", ["coming-from-pytorch.md", "coming-from-numpy.md"])
def test_the_page_runs(page: str) -> None:
    with ndl.device("numpy"):
        exec(compile("\n".join(blocks(page, "python")), page, "exec"), {"__name__": "page"})


#: What other branches of the library bring, or a word of the page stands for.
ELSEWHERE = {
    "argsort", "conj", "conjugate", "cumprod", "cumsum", "device", "diagonal", "flat", "imag", "nonzero", "real",
    "searchsorted", "setfield", "sort", "strides", "take",
}  # fmt: skip


def test_numpys_methods_are_there_or_named() -> None:
    named = set(re.findall(r"`?(\w+)`?", (DOCS / "coming-from-numpy.md").read_text()))
    missing = {name for name in dir(np.ndarray) if not name.startswith("_") and not hasattr(ndl.Tensor, name)}
    assert missing <= named | ELSEWHERE
