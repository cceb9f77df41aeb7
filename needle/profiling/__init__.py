"""Where the time goes: `needle.profile()` and what it returns."""

from needle.profiling.profiler import *
from needle.profiling.rows import *
