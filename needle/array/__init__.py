"""Arrays on devices: strided views, and elementwise work recorded until it is needed."""

from needle.array import writing as writing  # defines what assignment to an array does
from needle.array.ndarray import NDArray as NDArray

__all__ = ["NDArray"]
