"""Searching the profile that suits a device: what `python -m needle tune` does."""

from needle.tuning._search import Change as Change
from needle.tuning._search import Outcome as Outcome
from needle.tuning._tuner import TuningResult as TuningResult
from needle.tuning._tuner import tune as tune
from needle.tuning._workloads import FAMILIES as FAMILIES
