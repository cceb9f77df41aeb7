"""Building kernels: types, layouts, generated code, programs, and the caches of what was compiled."""
