"""Searching the launch shape that suits a device: what `python -m needle tune` does."""

from needle.tuning.search import Change as Change
from needle.tuning.search import Outcome as Outcome
from needle.tuning.tuner import TuningResult as TuningResult
from needle.tuning.tuner import tune as tune
from needle.tuning.workloads import FAMILIES as FAMILIES
