"""Where the time goes: `needle.profile()` and what it returns."""

from needle.profiling._profiler import Profiler as Profiler
from needle.profiling._profiler import profile as profile
from needle.profiling._rows import ProfileRow as ProfileRow
