"""Where the time goes: `needle.profile()` and what it returns."""

from needle.profiling.profiler import Profiler as Profiler
from needle.profiling.profiler import profile as profile
from needle.profiling.rows import ProfileRow as ProfileRow
