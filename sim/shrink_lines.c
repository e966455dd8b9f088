/* SPDX-License-Identifier: MIT
 *
 * What lines are for shrinking: faults, what ends faults, and what can go with what. And the pass
 * that takes nodes away, which gives the others new numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "sim/memory.h"
#include "sim/shrink.h"

#define NONE UINT32_MAX

/* ---- what a line is ---- */

static bool same_selector(const shoal_selector *a, const shoal_selector *b)
{
    return a->count == b->count && memcmp(a->atoms, b->atoms, a->count * sizeof(a->atoms[0])) == 0;
}

static bool is_all(const shoal_selector *selector)
{
    return selector->count == 1 && selector->atoms[0].kind == SHOAL_ATOM_ALL;
}

/* Does a net line behind the start change back what another one before it has changed? */
static bool changes_back(const shoal_draft *draft, uint32_t index)
{
    const shoal_line *line = &draft->lines[index];
    for (uint32_t i = 0; i < index; i++) {
        const shoal_line *before = &draft->lines[i];
        if (before->kind == SHOAL_LINE_NET && before->at_us > 0 &&
            same_selector(&before->left, &line->left) &&
            same_selector(&before->right, &line->right))
            return true;
    }
    return false;
}

/* Does an operator do this behind a `heal *`? Then it mends what is left. */
static bool comes_behind_healing(const shoal_draft *draft, uint32_t index)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        const shoal_line *line = &draft->lines[i];
        if (line->kind == SHOAL_LINE_HEAL && line->relation == SHOAL_RELATION_NONE &&
            is_all(&line->left) && line->at_us < draft->lines[index].at_us)
            return true;
    }
    return false;
}

bool shoal_shrink__is_repair(const shoal_draft *draft, uint32_t index)
{
    const shoal_line *line = &draft->lines[index];
    switch (line->kind) {
    case SHOAL_LINE_HEAL:
    case SHOAL_LINE_RESTART:
    case SHOAL_LINE_RESUME: return true;
    case SHOAL_LINE_CLOCK: return line->choice == SHOAL_CLOCK_RUN;
    case SHOAL_LINE_DISK: return line->choice == SHOAL_DISK_OK;
    case SHOAL_LINE_SLOW: return line->amount == 0;
    case SHOAL_LINE_OPERATE: return comes_behind_healing(draft, index);
    case SHOAL_LINE_NET: return line->at_us > 0 && changes_back(draft, index);
    default: return false;
    }
}

bool shoal_shrink__is_fault(const shoal_draft *draft, uint32_t index)
{
    const shoal_line *line = &draft->lines[index];
    switch (line->kind) {
    case SHOAL_LINE_CUT:
    case SHOAL_LINE_STALL:
    case SHOAL_LINE_RESET:
    case SHOAL_LINE_CRASH:
    case SHOAL_LINE_PAUSE:
    case SHOAL_LINE_REFUSE:
    case SHOAL_LINE_STRAND:
    case SHOAL_LINE_DROP:
    case SHOAL_LINE_SWIZZLE:
    case SHOAL_LINE_BUSY:
    case SHOAL_LINE_READDRESS: return true;
    case SHOAL_LINE_SLOW: return line->amount > 0;
    case SHOAL_LINE_OPERATE:
    case SHOAL_LINE_CLOCK:
    case SHOAL_LINE_DISK: return !shoal_shrink__is_repair(draft, index);
    case SHOAL_LINE_NET: return line->at_us > 0 && !shoal_shrink__is_repair(draft, index);
    default: return false;
    }
}

/* Does a line of this kind end what the fault has done? */
static bool ends(const shoal_line *repair, const shoal_line *fault)
{
    switch (repair->kind) {
    case SHOAL_LINE_HEAL:
        return fault->kind == SHOAL_LINE_CUT || fault->kind == SHOAL_LINE_STALL ||
               fault->kind == SHOAL_LINE_REFUSE || fault->kind == SHOAL_LINE_DROP ||
               fault->trigger != SHOAL_TRIGGER_NONE;
    case SHOAL_LINE_SLOW: return fault->kind == SHOAL_LINE_SLOW && fault->amount > 0;
    case SHOAL_LINE_OPERATE:
        return fault->kind == SHOAL_LINE_OPERATE || fault->kind == SHOAL_LINE_READDRESS ||
               (fault->kind == SHOAL_LINE_RESTART && fault->wiped);
    case SHOAL_LINE_RESTART:
        return fault->kind == SHOAL_LINE_CRASH || fault->kind == SHOAL_LINE_OPERATE ||
               (fault->kind == SHOAL_LINE_DISK && fault->choice != SHOAL_DISK_OK);
    case SHOAL_LINE_RESUME: return fault->kind == SHOAL_LINE_PAUSE;
    case SHOAL_LINE_CLOCK:
        return fault->kind == SHOAL_LINE_CLOCK && fault->choice == SHOAL_CLOCK_FREEZE;
    case SHOAL_LINE_DISK: return fault->kind == SHOAL_LINE_DISK && fault->choice != SHOAL_DISK_OK;
    default: return false;
    }
}

bool shoal_shrink__is_idle(const shoal_draft *draft, uint32_t index)
{
    const shoal_line *line = &draft->lines[index];
    bool wanted = line->kind == SHOAL_LINE_NET;
    for (uint32_t i = 0; i < index && !wanted; i++) wanted = ends(line, &draft->lines[i]);
    if (!wanted) return true;
    if (line->kind == SHOAL_LINE_OPERATE) return false;
    for (uint32_t i = index + 1; i < draft->count; i++) {
        const shoal_line *later = &draft->lines[i];
        if (later->kind != line->kind || !shoal_shrink__is_repair(draft, i)) continue;
        bool net = line->kind == SHOAL_LINE_NET;
        if (same_selector(&later->left, &line->left) && same_selector(&later->right, &line->right))
            return true;
        if (!net && is_all(&later->left) && later->relation == SHOAL_RELATION_NONE) return true;
    }
    return false;
}

/* ---- taking lines away ---- */

static void remove_line(shoal_draft *draft, uint32_t index)
{
    shoal_line_free(&draft->lines[index]);
    memmove(draft->lines + index, draft->lines + index + 1,
            (draft->count - index - 1) * sizeof(*draft->lines));
    draft->count--;
}

static bool starts(const shoal_draft *draft, uint32_t client)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        const shoal_line *line = &draft->lines[i];
        if (line->kind == SHOAL_LINE_CLIENT && line->left.atoms[0].first == client) return true;
    }
    return false;
}

/* Takes clients that never start out of a selector. Ranges go whole when one of them is missing. */
static void forget_clients(const shoal_draft *draft, shoal_selector *selector)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < selector->count; i++) {
        shoal_atom atom = selector->atoms[i];
        bool there = true;
        if (atom.kind == SHOAL_ATOM_CLIENTS) {
            for (uint32_t c = atom.first; c <= atom.last; c++) there = there && starts(draft, c);
        }
        if (there) selector->atoms[kept++] = atom;
    }
    selector->count = kept;
}

void shoal_shrink__drop(shoal_draft *draft, const bool *flags)
{
    for (uint32_t i = draft->count; i > 0; i--) {
        if (flags[i - 1]) remove_line(draft, i - 1);
    }
    for (uint32_t i = draft->count; i > 0; i--) {
        shoal_line *line = &draft->lines[i - 1];
        bool left = line->left.count > 0, right = line->right.count > 0;
        if (line->kind == SHOAL_LINE_CLIENT) continue;
        forget_clients(draft, &line->left);
        forget_clients(draft, &line->right);
        if ((left && line->left.count == 0) || (right && line->right.count == 0)) {
            remove_line(draft, i - 1);
        }
    }
}

/* ---- fewer nodes ---- */

/* The nodes that stay and what they are called then. */
typedef struct renaming {
    uint32_t *to; /* per node, from 0: the new one, or NONE */
    uint32_t nodes;
} renaming;

static void add_node(shoal_selector *out, uint32_t number)
{
    shoal_atom *last = out->count > 0 ? &out->atoms[out->count - 1] : NULL;
    if (last && last->kind == SHOAL_ATOM_NODES && last->last + 1 == number)
        last->last = number;
    else if (out->count < SHOAL_SELECTOR_ATOMS_MAX)
        out->atoms[out->count++] = (shoal_atom){SHOAL_ATOM_NODES, number, number};
}

static void rename_selector(const renaming *names, shoal_selector *selector)
{
    shoal_selector out = {.count = 0};
    for (uint32_t i = 0; i < selector->count; i++) {
        const shoal_atom *atom = &selector->atoms[i];
        if (atom->kind != SHOAL_ATOM_NODES) {
            if (out.count < SHOAL_SELECTOR_ATOMS_MAX) out.atoms[out.count++] = *atom;
            continue;
        }
        for (uint32_t n = atom->first; n <= atom->last && n <= names->nodes; n++) {
            if (names->to[n - 1] != NONE) add_node(&out, names->to[n - 1] + 1);
        }
    }
    *selector = out;
}

/* Gives the nodes in `id(n2)` and `ip(n2)` their new numbers. False when one is gone. */
static bool rename_text(const renaming *names, shoal_line *line)
{
    shoal_allocator memory = shoal_allocator_default();
    shoal_buffer text = shoal_buffer_make(&memory);
    bool all = true;
    const char *at = line->text;
    while (*at) {
        bool name = strncmp(at, "id(n", 4) == 0 || strncmp(at, "ip(n", 4) == 0;
        if (!name) {
            shoal_buffer_append(&text, (shoal_slice){at++, 1});
            continue;
        }
        char *end;
        unsigned long number = strtoul(at + 4, &end, 10);
        bool there = number > 0 && number <= names->nodes && names->to[number - 1] != NONE;
        all = all && there;
        shoal_buffer_append(&text, (shoal_slice){at, 4});
        shoal_text_append_u64(&text, there ? names->to[number - 1] + 1 : 1);
        at = end;
    }
    char *copy = shoal_sim__allocate(shoal_buffer_size(&text) + 1);
    memcpy(copy, shoal_buffer_slice(&text).data, shoal_buffer_size(&text));
    shoal_sim__free(line->text);
    line->text = copy;
    shoal_buffer_free(&text);
    return all;
}

/* Renames in all lines; those that are about nobody any more go. */
static void rename_all(const renaming *names, shoal_draft *draft)
{
    for (uint32_t i = draft->count; i > 0; i--) {
        shoal_line *line = &draft->lines[i - 1];
        bool left = line->left.count > 0, right = line->right.count > 0, good = true;
        rename_selector(names, &line->left);
        rename_selector(names, &line->right);
        if (line->text && line->text[0] && line->kind == SHOAL_LINE_OPERATE) {
            good = rename_text(names, line);
        }
        if (!good || (left && line->left.count == 0) || (right && line->right.count == 0)) {
            remove_line(draft, i - 1);
        }
    }
}

static shoal_line *cluster_of(const shoal_draft *draft)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        if (draft->lines[i].kind == SHOAL_LINE_CLUSTER) return &draft->lines[i];
    }
    return NULL;
}

/* The columns and rows that stay: masters `masters` without number `column`, so many replicas. */
typedef struct less {
    uint32_t column; /* NONE: all stay */
    uint32_t replicas;
    uint32_t spares;
} less;

/* Tries the cluster without some nodes. */
static bool try_less(shoal_shrinking *shrinking, const less *what)
{
    shoal_draft candidate = shoal_shrink__copy(shrinking);
    shoal_line *cluster = cluster_of(&candidate);
    uint32_t masters = cluster->masters, placed = masters * (1 + cluster->replicas), next = 0;
    renaming names = {shoal_sim__allocate(cluster->nodes * sizeof(uint32_t)), cluster->nodes};
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        bool stays = i < placed ? i % masters != what->column && i / masters <= what->replicas
                                : i - placed < what->spares;
        names.to[i] = stays ? next++ : NONE;
    }
    cluster->masters = what->column == NONE ? masters : masters - 1;
    cluster->replicas = what->replicas;
    cluster->nodes = next;
    rename_all(&names, &candidate);
    shoal_sim__free(names.to);
    return shoal_shrink__try(shrinking, &candidate);
}

/* Leaves out replicas, then spares, as long as it works. */
static bool fewer_rows(shoal_shrinking *shrinking)
{
    bool any = false;
    while (!shoal_shrink__spent(shrinking)) {
        const shoal_line *cluster = cluster_of(&shrinking->best);
        uint32_t spares = cluster->nodes - cluster->masters * (1 + cluster->replicas);
        less what = {NONE, cluster->replicas, spares};
        if (spares > 0) {
            what.spares = 0;
            if (try_less(shrinking, &what)) {
                any = true;
                continue;
            }
            what.spares = spares;
        }
        if (what.replicas == 0) return any;
        what.replicas--;
        if (!try_less(shrinking, &what)) return any;
        any = true;
    }
    return any;
}

bool shoal_shrink__fewer_nodes(shoal_shrinking *shrinking)
{
    const shoal_line *cluster = cluster_of(&shrinking->best);
    if (cluster == NULL || cluster->masters == 0) return false;
    bool any = fewer_rows(shrinking);
    for (uint32_t column = cluster_of(&shrinking->best)->masters; column > 0; column--) {
        cluster = cluster_of(&shrinking->best);
        if (cluster->masters < 2 || shoal_shrink__spent(shrinking)) break;
        less what = {column - 1, cluster->replicas,
                     cluster->nodes - cluster->masters * (1 + cluster->replicas)};
        any = try_less(shrinking, &what) || any;
    }
    return fewer_rows(shrinking) || any;
}
