"""The self-test behind `python -m needle doctor`: is what this device computes right?"""

from needle.doctor.examination import *
from needle.doctor.families import *
