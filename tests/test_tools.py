"""The scripts of `tools/`: that they notice what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PYTHON = """\
#!/bin/sh
# Stands for Python: makes an environment that consists of itself, and fails at the module that FAILING names.
if [ "$2" = venv ]; then
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/pip"
fi
[ "$2" != "$FAILING" ]
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="a script of bash")
@pytest.mark.parametrize("failing", ["", "needle", "pytest", "benchmarks"])
def test_the_check_of_a_gpu_fails_where_one_of_its_parts_does(tmp_path: Path, failing: str) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / "gpu_check.sh"), "numpy"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": str(python), "TMPDIR": str(tmp_path), "FAILING": failing},
    )  # fmt: skip
    assert "The summary is" in done.stdout, done.stderr
    assert done.returncode == (1 if failing else 0)
