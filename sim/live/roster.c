/* SPDX-License-Identifier: MIT
 *
 * sim/live/roster.h.
 */
#include "sim/live/roster.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/memory.h"

void shoal_roster__make(shoal_roster *roster, const shoal_schedule *schedule)
{
    *roster = (shoal_roster){.nodes = schedule->nodes, .clients = schedule->clients};
    roster->members = shoal_sim__allocate(roster->nodes * sizeof(*roster->members));
}

void shoal_roster__free(shoal_roster *roster)
{
    shoal_sim__free(roster->members);
    *roster = (shoal_roster){0};
}

uint32_t shoal_roster__named(const shoal_roster *roster, shoal_slice name)
{
    if (name.size < SHOAL_NODE_NAME_LEN) return UINT32_MAX;
    for (uint32_t i = 0; i < roster->nodes; i++) {
        if (memcmp(roster->members[i].name, name.data, SHOAL_NODE_NAME_LEN) == 0) return i;
    }
    return UINT32_MAX;
}

uint32_t shoal_roster__owner(const shoal_roster *roster, uint32_t slot)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < roster->nodes; i++) {
        const shoal_member *member = &roster->members[i];
        if (!member->running || member->replica || !shoal_slotmap_has(&member->own, slot)) continue;
        if (best == UINT32_MAX || member->epoch > roster->members[best].epoch) best = i;
    }
    return best;
}

void shoal_member__forget(shoal_member *member)
{
    shoal_member gone = {0};
    memcpy(gone.name, member->name, sizeof(gone.name));
    *member = gone;
}

/* One range, "5" or "5-9". */
static void claim_range(shoal_member *member, shoal_slice word)
{
    uint64_t first = 0, last = 0;
    size_t dash = shoal_text_find(word, shoal_text("-"));
    shoal_slice left = word, right = word;
    if (dash != SHOAL_TEXT_NONE) {
        left.size = dash;
        right = (shoal_slice){word.data + dash + 1, word.size - dash - 1};
    }
    if (!shoal_text_to_u64(left, &first) || !shoal_text_to_u64(right, &last)) return;
    for (uint64_t slot = first; slot <= last && slot < SHOAL_SLOTS; slot++) {
        member->slot_count += !shoal_slotmap_has(&member->own, (uint32_t)slot);
        shoal_slotmap_put(&member->own, (uint32_t)slot, true);
    }
}

void shoal_member__claim(shoal_member *member, shoal_slice ranges)
{
    memset(&member->own, 0, sizeof(member->own));
    member->slot_count = 0;
    while (ranges.size > 0) {
        size_t size = 0;
        while (size < ranges.size && ranges.data[size] != ' ') size++;
        if (size > 0 && ranges.data[0] != '[')
            claim_range(member, (shoal_slice){ranges.data, size});
        size += size < ranges.size;
        ranges = (shoal_slice){ranges.data + size, ranges.size - size};
    }
}

/* ---- selectors ---- */

/* Hosts that were picked, each once. */
typedef struct picked {
    bool seen[2048 + 1024];
    uint32_t *out;
    uint32_t count;
} picked;

static void pick(picked *some, uint32_t host)
{
    SHOAL_ASSERT(host < sizeof(some->seen));
    if (some->seen[host]) return;
    some->seen[host] = true;
    some->out[some->count++] = host;
}

/* Does a node that runs play this part? */
static bool plays(const shoal_roster *roster, uint32_t node, const shoal_atom *atom)
{
    const shoal_member *member = &roster->members[node];
    if (!member->running || member->name[0] == 0) return false;
    if (atom->kind == SHOAL_ATOM_MASTERS) return !member->replica;
    if (atom->kind == SHOAL_ATOM_REPLICAS) return member->replica;
    uint32_t owner = shoal_roster__owner(roster, atom->first);
    return owner != UINT32_MAX && member->replica &&
           strcmp(member->master, roster->members[owner].name) == 0;
}

static void pick_range(const shoal_roster *roster, const shoal_atom *atom, bool hosts, picked *some)
{
    bool node = atom->kind == SHOAL_ATOM_NODES;
    uint32_t most = node ? roster->nodes : roster->clients;
    if (!node && !hosts) return;
    for (uint32_t i = atom->first; i <= atom->last && i <= most; i++)
        pick(some, node ? i - 1 : roster->nodes + i - 1);
}

static void pick_atom(const shoal_roster *roster, const shoal_atom *atom, bool hosts, picked *some)
{
    uint32_t all = roster->nodes + (hosts ? roster->clients : 0);
    switch (atom->kind) {
    case SHOAL_ATOM_ALL:
        for (uint32_t i = 0; i < all; i++) pick(some, i);
        return;
    case SHOAL_ATOM_NODES:
    case SHOAL_ATOM_CLIENTS: pick_range(roster, atom, hosts, some); return;
    case SHOAL_ATOM_OWNER: {
        uint32_t owner = shoal_roster__owner(roster, atom->first);
        if (owner != UINT32_MAX) pick(some, owner);
        return;
    }
    default:
        for (uint32_t i = 0; i < roster->nodes; i++) {
            if (plays(roster, i, atom)) pick(some, i);
        }
    }
}

uint32_t shoal_roster__select(const shoal_roster *roster, const shoal_selector *selector,
                              bool hosts, uint32_t *out)
{
    picked some = {.out = out};
    for (uint32_t i = 0; i < selector->count; i++)
        pick_atom(roster, &selector->atoms[i], hosts, &some);
    return some.count;
}

static bool among(const uint32_t *hosts, uint32_t count, uint32_t host)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hosts[i] == host) return true;
    }
    return false;
}

void shoal_roster__ways(const shoal_roster *roster, const shoal_line *line,
                        void (*act)(void *context, uint32_t from, uint32_t to), void *context)
{
    static const shoal_selector everybody = {.count = 1, .atoms = {{SHOAL_ATOM_ALL, 0, 0}}};
    uint32_t hosts = roster->nodes + roster->clients;
    uint32_t *left = shoal_sim__allocate(hosts * 2 * sizeof(*left)), *right = left + hosts;
    bool one_side = line->relation == SHOAL_RELATION_NONE;
    bool both = line->relation != SHOAL_RELATION_FORWARD;
    uint32_t left_count = shoal_roster__select(roster, &line->left, true, left);
    uint32_t right_count =
        shoal_roster__select(roster, one_side ? &everybody : &line->right, true, right);
    for (uint32_t i = 0; i < left_count; i++) {
        for (uint32_t j = 0; j < right_count; j++) {
            uint32_t a = left[i], b = right[j];
            if (a == b) continue;
            act(context, a, b);
            bool again = among(left, left_count, b) && among(right, right_count, a);
            if (both && !again) act(context, b, a);
        }
    }
    shoal_sim__free(left);
}
