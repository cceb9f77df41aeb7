"""Captured functions: the launches of a call, recorded once and replayed at the device's speed."""

from needle.capturing.captured import *
