"""The index that tells later processes in which program a kernel was compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from needle.backend.opencl.building import group_index
from needle.backend.opencl.building.group_index import GroupIndex


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def index_file(folder: Path) -> Path:
    (file,) = folder.glob("needle/programs-*/index")
    return file


def test_what_is_noted_is_found_by_another_process(folder: Path) -> None:
    GroupIndex("driver", "1").add("source", {"a": "f_0", "b": "f_1"})
    GroupIndex("driver", "1").add("other", {"c": "f_0"})
    found = GroupIndex("driver", "1").find(["a", "c", "d"])
    assert found == [("source", {"a": "f_0"}), ("other", {"c": "f_0"})]


def test_each_driver_and_device_has_its_own(folder: Path) -> None:
    GroupIndex("driver", "1").add("source", {"a": "f"})
    assert GroupIndex("driver", "2").find(["a"]) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"a": 1}', '["x"]', '["x", ["a"]]', '["missing", {"a": "f"}]', "\x00"]
)
def test_what_is_damaged_is_passed_over(folder: Path, text: str) -> None:
    GroupIndex("driver").add("source", {"a": "f"})
    index_file(folder).write_text(text + "\n")
    index = GroupIndex("driver")
    assert index.find(["a"]) == []
    index.add("source", {"a": "f"})
    assert GroupIndex("driver").find(["a"]) == [("source", {"a": "f"})]


def test_a_damaged_source_is_not_used(folder: Path) -> None:
    GroupIndex("driver").add("source", {"a": "f"})
    (source,) = folder.glob("needle/programs-*/*.cl")
    source.write_text("sour")
    assert GroupIndex("driver").find(["a"]) == []


def test_an_index_does_not_grow_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_index, "_MOST", 100)
    index = GroupIndex("driver")
    for number in range(9):
        index.add(f"source {number}", {str(number): "f"})
        assert index_file(folder).stat().st_size < 200


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needle").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    index = GroupIndex("driver")
    index.add("source", {"a": "f"})
    assert index.find(["a"]) == []
