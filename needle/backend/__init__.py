"""Backends: where arrays live and operations run."""
