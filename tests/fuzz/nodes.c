/* SPDX-License-Identifier: MIT
 *
 * nodes.conf of any bytes: it is refused with a complaint and leaves nothing behind, or taken, and
 * what was taken is saved as a file that is taken again and says the same.
 */
#include "fuzz/driver/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_cluster *f = fuzz_cluster_open(1);
    shoal_buffer complaint = shoal_buffer_make(&f->allocator);
    shoal_slice text = {(const char *)data, size};
    shoal_err error = shoal_cluster_load(f->cluster, text, &complaint);
    if (error == SHOAL_ERR_OK) {
        SHOAL_ASSERT(shoal_buffer_size(&complaint) == 0);
        SHOAL_ASSERT(strlen(shoal_cluster_name(f->cluster)) == SHOAL_NODE_NAME_LEN);
        fuzz_cluster_saves_what_it_can_load(f);
    } else {
        SHOAL_ASSERT(error == SHOAL_ERR_MALFORMED || error == SHOAL_ERR_UNSUPPORTED ||
                     error == SHOAL_ERR_NOT_FOUND);
        SHOAL_ASSERT(error == SHOAL_ERR_NOT_FOUND || shoal_buffer_size(&complaint) > 0);
        SHOAL_ASSERT(shoal_cluster_name(f->cluster)[0] == '\0');
        shoal_cluster_init_new(f->cluster, f->now);
        fuzz_cluster_saves_what_it_can_load(f);
    }
    shoal_buffer_free(&complaint);
    fuzz_cluster_close(f);
    return 0;
}
