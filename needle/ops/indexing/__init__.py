"""Indexing: the only door of x[...], and the functions that read and write at indices."""

from needle.ops.indexing.access import *
from needle.ops.indexing.functions import *
from needle.ops.indexing.taking import *
