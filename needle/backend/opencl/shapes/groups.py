"""How many work-groups a launch gets: one formula, to which each kernel family brings its own grain.

A further work-group pays only if it has enough to do: handing it to a core takes time, and on a CPU so does waking
the core. A family says how much is enough (`Grain`). The launch shape sets the upper bound, and no launch has more
work-groups than it has pieces to hand out.
"""

from __future__ import annotations

from dataclasses import dataclass

from needle.backend.opencl.shapes.launch_shape import LaunchShape


@dataclass(frozen=True)
class Grain:
    """The least amount of work for which a further work-group pays. The family chooses the unit: elements, vectors."""

    group: int  # the amount for a CPU's work-group, which is one work-item
    item: int = 1  # the amount for each work-item of a GPU's work-group
    alone: int = 0  # a CPU takes a smaller total on one core: to wake the others would take as long
    rounded_up: bool = False  # whether a remainder, less than the grain, gets a work-group of its own

    def worth(self, launch_shape: LaunchShape, amount: int) -> int:
        """The number of work-groups for which `amount` suffices; at least 1."""
        if launch_shape.on_cpu and amount < self.alone:
            return 1
        each = self.group if launch_shape.on_cpu else self.item * launch_shape.local_size
        return max(1, -(-amount // each) if self.rounded_up else amount // each)


#: The grain of fused programs, elementwise or folded, in vectors of the device's width.
VECTORS = Grain(group=256, item=256, alone=4096)


def groups_for(launch_shape: LaunchShape, *limits: int) -> int:
    """The number of work-groups: the launch shape's, or the least of `limits` if that is smaller; at least 1.

    The limits are the number of pieces to hand out, what a grain says of the work (`Grain.worth`), or both.
    """
    return max(1, min(launch_shape.groups, *limits))


def parts_for(launch_shape: LaunchShape, tasks: int, most: int) -> int:
    """The number of parts, at least 1 and at most `most`, into which to cut each of `tasks` to fill all work-groups."""
    return max(1, min(most, launch_shape.groups // tasks if tasks else 1))
