/* SPDX-License-Identifier: MIT
 *
 * value/types.c - the table of types: here a new one joins.
 */
#include "base/assert.h"
#include "value/edited.h"
#include "value/list.h"
#include "value/members.h"
#include "value/zset.h"

const shoal_value_ops *shoal_value_ops_of(shoal_value_type type)
{
    SHOAL_ASSERT((unsigned)type < SHOAL_TYPE_COUNT);
    static const shoal_value_ops *const table[SHOAL_TYPE_COUNT] = {
        [SHOAL_TYPE_STRING] = &shoal_edited__ops, [SHOAL_TYPE_LIST] = &shoal_list__ops,
        [SHOAL_TYPE_SET] = &shoal_set__ops,       [SHOAL_TYPE_ZSET] = &shoal_zset_ops,
        [SHOAL_TYPE_HASH] = &shoal_hash__ops,
    };
    return table[type];
}

const char *shoal_value_type_name(shoal_value_type type)
{
    SHOAL_ASSERT((unsigned)type < SHOAL_TYPE_COUNT);
    static const char *const names[SHOAL_TYPE_COUNT] = {
        [SHOAL_TYPE_NONE] = "none",     [SHOAL_TYPE_STRING] = "string", [SHOAL_TYPE_LIST] = "list",
        [SHOAL_TYPE_SET] = "set",       [SHOAL_TYPE_ZSET] = "zset",     [SHOAL_TYPE_HASH] = "hash",
        [SHOAL_TYPE_STREAM] = "stream",
    };
    return names[type];
}
