"""What was measured on: the machine, the software, the day."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path

import needle as ndl


def describe(device: ndl.Device) -> dict[str, str]:
    """Facts about this machine and this copy of needle, by name."""
    facts = {
        "date": dt.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "device": f"{device.name} ({device.info.description}; {device.info.driver})",
        "needle": f"{ndl.__version__}{_commit()}",
    }
    return {name: text for name, text in facts.items() if text}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return ""


def _commit() -> str:
    """The commit that is checked out, with a + where files differ from it; nothing outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return ", commit " + subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
