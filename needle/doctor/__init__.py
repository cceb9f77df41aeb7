"""The self-test behind `python -m needle doctor`: is what this device computes right?"""

from needle.doctor.examination import Report as Report
from needle.doctor.examination import examine as examine
from needle.doctor.families import FAMILIES as FAMILIES

__all__ = ["FAMILIES", "Report", "examine"]
