"""How far what the instrument tells is from the truth: black holes of known length, planned here and compared here. Pure.

It must not know how they are made: whoever makes them shares no code with what measures them.
"""

from probes.calibration.errors import Errors, compare, staggering_ns
from probes.calibration.holes import GAP_NS, Hole, Planned, plan_holes

__all__ = ["GAP_NS", "Errors", "Hole", "Planned", "compare", "plan_holes", "staggering_ns"]
