"""How many work-groups a launch gets: one formula, to which each kernel family brings its own grain.

A further work-group of a CPU pays only if it has enough to do: handing it to a core takes time, and so does waking the
core. Those of a GPU cost next to nothing, and it hides the latency of memory behind them: it gets as many as give each
of its compute units one, whatever they do, and then lets a work-item do more. A family says how much is enough
(`Grain`). The launch shape sets the upper bound, and no launch has more work-groups than it has pieces to hand out.
"""

from __future__ import annotations

from dataclasses import dataclass

from needle.backend.opencl.shapes.launch_shape import LaunchShape


@dataclass(frozen=True)
class Grain:
    """The amount of work for which a further work-group pays. The family chooses the unit: elements, vectors."""

    group: int  # the amount for a CPU's work-group, which is one work-item
    item: int = 1  # the amount for each work-item of a GPU's work-group, once every compute unit has a group
    alone: int = 0  # a CPU takes a smaller total on one core: to wake the others would take as long
    whole: int = 1  # the least amount for a work-item of a GPU: what it cannot share with others
    rounded_up: bool = False  # whether a CPU's remainder, less than the grain, gets a work-group of its own

    def worth(self, launch_shape: LaunchShape, amount: int, local: int = 0) -> int:
        """The number of work-groups for which `amount` suffices; at least 1.

        `local` is the number of work-items of a group, where it is not the launch shape's.
        """
        if not launch_shape.on_cpu:
            local = local or launch_shape.local_size
            return max(1, -(-amount // (self.share(launch_shape, amount, local) * local)))
        if amount < self.alone:
            return 1
        return max(1, -(-amount // self.group) if self.rounded_up else amount // self.group)

    def share(self, launch_shape: LaunchShape, amount: int, local: int) -> int:
        """The part of `amount` for one of a group's `local` work-items: from `whole` to `item`, to fill every unit."""
        return max(self.whole, min(self.item, amount // (launch_shape.cores * local)))


#: The grain of fused programs, elementwise or folded, in vectors of the device's width. A GPU's work-item reads four
#: before it writes the first, so that the latency of memory is paid once for all of them.
VECTORS = Grain(group=256, item=4, alone=4096)


def groups_for(launch_shape: LaunchShape, *limits: int) -> int:
    """The number of work-groups: the launch shape's, or the least of `limits` if that is smaller; at least 1.

    The limits are the number of pieces to hand out, what a grain says of the work (`Grain.worth`), or both.
    """
    return max(1, min(launch_shape.groups, *limits))


def stretch_for(launch_shape: LaunchShape, pieces: int, groups: int) -> int:
    """The pieces of each of `groups` work-groups: a GPU's are whole rounds of its work-items, which begin alike."""
    local = launch_shape.local_size
    return -(-pieces // (groups * local)) * local


def parts_for(launch_shape: LaunchShape, tasks: int, most: int) -> int:
    """The number of parts, at least 1 and at most `most`, into which to cut each of `tasks` to fill all work-groups."""
    return max(1, min(most, launch_shape.groups // tasks if tasks else 1))
