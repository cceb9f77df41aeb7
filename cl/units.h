// How the units of a launch, equal pieces of work, are dealt out to its work-groups and work-items.
#ifndef NEEDLE_UNITS_H
#define NEEDLE_UNITS_H
#include "common.h"

// Work-items of a work-group: 1 on a CPU, whose lanes are those of vectors, and up to 256 on a GPU.
#ifndef LOCAL
#define LOCAL 1
#endif

// A loop over the units of a work-group, which its work-items do together: a stretch of neighbours, which read
// neighbouring memory.
#define FOR_GROUP_UNITS(unit, units)                                                                        \
    for (INDEX unit = (INDEX)((units) * (long)get_group_id(0) / (long)get_num_groups(0)),                   \
               last_##unit = (INDEX)((units) * ((long)get_group_id(0) + 1) / (long)get_num_groups(0));      \
         unit < last_##unit; unit++)

// A loop over the units of a work-item. Where it is not alone in its group it takes turns with the others, so that
// neighbours do neighbouring units side by side.
#if LOCAL == 1
#define FOR_UNITS(unit, units) FOR_GROUP_UNITS(unit, units)
#else
#define FOR_UNITS(unit, units) for (INDEX unit = get_global_id(0); unit < (units); unit += get_global_size(0))
#endif

#endif
