"""Running a device: its memory, transfers, the submission of launches, and what a driver's errors mean."""
