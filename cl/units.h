// How work is dealt out: a loop over `units` equal pieces of work.
//
// A CPU's group of one work-item takes a stretch of neighbouring units; a GPU's work-items take turns, so that
// neighbours work side by side. LOCAL, the work-items of a group, is defined by the including file.
#ifndef NEEDLE_UNITS_H
#define NEEDLE_UNITS_H

#if LOCAL == 1
#define FOR_UNITS(unit, units)                                                                    \
    for (long unit = (units) * get_group_id(0) / get_num_groups(0),                               \
              last_##unit = (units) * (get_group_id(0) + 1) / get_num_groups(0);                  \
         unit < last_##unit; unit++)
#else
#define FOR_UNITS(unit, units) for (long unit = get_global_id(0); unit < (units); unit += get_global_size(0))
#endif

#endif
