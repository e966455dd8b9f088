/* SPDX-License-Identifier: MIT
 *
 * The heap of deadlines of base/heap.h, against a look at all nodes.
 */
#include "base/heap.h"
#include "base/prng.h"
#include "support/test.h"

#define NODES 500

static void an_empty_heap_has_no_first(void **state)
{
    (void)state;
    shoal_heap heap = {NULL};
    shoal_heap_node node = {.key = 5};
    assert_null(heap.first);
    shoal_heap_push(&heap, &node);
    assert_ptr_equal(heap.first, &node);
    shoal_heap_remove(&heap, &node);
    assert_null(heap.first);
    assert_false(node.inside);
}

static void nodes_come_out_in_the_order_of_their_keys(void **state)
{
    (void)state;
    static shoal_heap_node nodes[NODES];
    shoal_heap heap = {NULL};
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (shoal_heap_node){.key = i * 7919 % NODES};
        shoal_heap_push(&heap, &nodes[i]);
    }
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(heap.first->key, i);
        shoal_heap_remove(&heap, heap.first);
    }
    assert_null(heap.first);
}

static void the_first_is_the_least_whatever_is_taken_out(void **state)
{
    (void)state;
    static shoal_heap_node nodes[NODES];
    const uint64_t seed[2] = {11, 1};
    shoal_prng stream = shoal_prng_make(seed, 0, 1);
    shoal_heap heap = {NULL};
    for (int i = 0; i < NODES; i++) nodes[i] = (shoal_heap_node){.key = 0};
    for (int step = 0; step < 20000; step++) {
        shoal_heap_node *node = &nodes[shoal_prng_next(&stream) % NODES];
        if (node->inside) {
            shoal_heap_remove(&heap, node);
        } else {
            node->key = (int64_t)(shoal_prng_next(&stream) % 100) - 50;
            shoal_heap_push(&heap, node);
        }
        if (step % 16 != 0) continue;
        const shoal_heap_node *least = NULL;
        for (int i = 0; i < NODES; i++) {
            if (nodes[i].inside && (least == NULL || nodes[i].key < least->key)) least = &nodes[i];
        }
        assert_int_equal(least == NULL, heap.first == NULL);
        if (least != NULL) assert_int_equal(heap.first->key, least->key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(nodes_come_out_in_the_order_of_their_keys),
        cmocka_unit_test(the_first_is_the_least_whatever_is_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
