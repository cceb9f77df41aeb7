"""Searching the launch shape that suits a device: what `python -m needle tune` does."""

from needle.tuning.search import *
from needle.tuning.tuner import *
from needle.tuning.workloads import *
