"""Indexing: the only door of x[...], and the functions that read and write at indices."""
