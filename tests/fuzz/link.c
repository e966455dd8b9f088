/* SPDX-License-Identifier: MIT
 *
 * A bus conversation of any bytes: frames of every type from known and unknown nodes, torn and
 * spoiled ones, links that come and go, time that passes, operators that interfere. The opinion
 * must survive it, send only frames that decode, answer operators with whole replies, and at any
 * moment be able to load what it would save.
 *
 * The input is a program: one byte says what happens, the bytes behind it say how. Frames are made
 * of a few names, epochs and slots, so that what happens often concerns what happened before.
 */
#include "fuzz/driver/cluster.h"

/* Steps of one program; chosen so that an input takes milliseconds. */
#define STEPS_MAX 200

/* The program, and where it stands. */
typedef struct program {
    fuzz_cluster *f;
    shoal_slice rest;
} program;

static uint8_t take(program *p)
{
    return fuzz_choice(&p->rest);
}

/* One of eight names; 0 is the opinion's own. */
static void take_name(program *p, char name[SHOAL_NODE_NAME_LEN])
{
    uint8_t choice = take(p) % 8;
    if (choice == 0) {
        memcpy(name, shoal_cluster_name(p->f->cluster), SHOAL_NODE_NAME_LEN);
        return;
    }
    memset(name, "0123456789abcdef"[choice * 2], SHOAL_NODE_NAME_LEN);
}

/* Epochs are small, so that they meet, or near the end of their range. */
static uint64_t take_epoch(program *p)
{
    uint8_t choice = take(p);
    return choice < 250 ? choice % 16 : UINT64_MAX - (255 - choice);
}

/* A range of slots at a border of 64 slots. */
static shoal_slotmap take_slots(program *p)
{
    shoal_slotmap map = {0};
    uint32_t first = take(p) * 64u, count = take(p) % 4 * 700u;
    for (uint32_t slot = first; slot < first + count && slot < SHOAL_SLOTS; slot++)
        shoal_slotmap_put(&map, slot, true);
    return map;
}

static void take_ip(program *p, char ip[46])
{
    static const char *const ips[] = {"", "10.0.0.1", "10.0.0.2", "::1"};
    memset(ip, 0, 46);
    strcpy(ip, ips[take(p) % 4]);
}

static uint16_t take_flags(program *p)
{
    uint8_t low = take(p), high = take(p);
    return (uint16_t)(low | (high & 3) << 8);
}

static shoal_gossip take_gossip(program *p)
{
    shoal_gossip gossip;
    memset(&gossip, 0, sizeof(gossip));
    take_name(p, gossip.name);
    take_ip(p, gossip.ip);
    gossip.flags = take_flags(p);
    gossip.port = 7000 + take(p) % 8;
    gossip.bus_port = take(p) % 8 ? gossip.port + 10000 : 0;
    gossip.pong_received_s = (uint32_t)(p->f->now.wall_us / 1000000) + take(p) % 4;
    return gossip;
}

/* Tells the event with the present time. */
static void tell(fuzz_cluster *f, shoal_event event)
{
    event.now = f->now;
    shoal_cluster_event(f->cluster, &event);
}

/* Makes a frame and delivers it whole, in two pieces, or with one byte changed. */
static void deliver_frame(program *p, shoal_link link)
{
    fuzz_cluster *f = p->f;
    shoal_gossip gossip[4];
    shoal_slotmap slots = take_slots(p), update_slots;
    char forgotten[SHOAL_NODE_NAME_LEN + 8] = {0};
    shoal_frame frame = {.type = take(p) % SHOAL_FRAME_TYPE_COUNT, .slots = &slots};
    take_name(p, frame.sender);
    frame.flags = take_flags(p);
    if (frame.flags & SHOAL_NODE_REPLICA) take_name(p, frame.replica_of);
    take_ip(p, frame.ip);
    frame.port = 7000 + take(p) % 8;
    frame.bus_port = 17000 + take(p) % 8;
    frame.state = take(p) & 1;
    frame.mflags[0] = take(p) & 3;
    frame.mflags[1] = take(p) & 1;
    frame.current_epoch = take_epoch(p);
    frame.config_epoch = take_epoch(p);
    frame.offset = take(p);
    uint8_t how = take(p);
    if (frame.type <= SHOAL_FRAME_MEET) {
        frame.count = how % 5;
        for (uint32_t i = 0; i < frame.count; i++) gossip[i] = take_gossip(p);
        frame.gossip = gossip;
        frame.extension_count = how >> 3 & 1;
        frame.extensions[0].data = shoal_text(how & 16 ? "host.example" : "");
        if (how & 32) {
            take_name(p, forgotten);
            frame.extensions[0].type = SHOAL_EXT_FORGOTTEN_NODE;
            frame.extensions[0].data = (shoal_slice){forgotten, sizeof(forgotten)};
        }
    } else if (frame.type == SHOAL_FRAME_FAIL) {
        take_name(p, frame.failed_name);
    } else if (frame.type == SHOAL_FRAME_UPDATE) {
        take_name(p, frame.update_name);
        frame.update_epoch = take_epoch(p);
        update_slots = take_slots(p);
        frame.update_slots = &update_slots;
    } else if (frame.type == SHOAL_FRAME_MODULE) {
        frame.module_bytes = (shoal_slice){"12345678\0\0\0\0t", 13};
    }
    test_heap heap = {0};
    shoal_allocator allocator = test_allocator(&heap);
    shoal_buffer out = shoal_buffer_make(&allocator);
    shoal_frame_encode(&frame, &out);
    shoal_slice bytes = shoal_buffer_slice(&out);
    if (how & 64) out.data[(take(p) | take(p) << 8) % bytes.size] = (char)take(p);
    size_t cut = how & 128 ? (size_t)(take(p) * 16) % bytes.size : bytes.size;
    shoal_slice pieces[2] = {{bytes.data, cut}, {bytes.data + cut, bytes.size - cut}};
    for (int i = 0; i < 2; i++) {
        if (pieces[i].size && f->links[link] == FUZZ_LINK_UP)
            tell(f, (shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .link = link, .data = pieces[i]});
    }
    shoal_buffer_free(&out);
}

/* Delivers some of the program's own bytes as they are. */
static void deliver_bytes(program *p, shoal_link link)
{
    size_t size = take(p);
    if (size > p->rest.size) size = p->rest.size;
    shoal_slice bytes = {p->rest.data, size};
    p->rest.data += size;
    p->rest.size -= size;
    if (size) tell(p->f, (shoal_event){.kind = SHOAL_EVENT_LINK_DATA, .link = link, .data = bytes});
}

/* A link that is up or on its way, counted from the newest; 0 when there is none. */
static shoal_link take_link(program *p)
{
    uint32_t back = take(p) % 16;
    for (shoal_link link = p->f->link_count; link > 0; link--) {
        if (p->f->links[link] && back-- == 0) return link;
    }
    return 0;
}

/* What the network does to one link. */
static void change_link(program *p, shoal_link link, uint8_t how)
{
    fuzz_cluster *f = p->f;
    if (f->links[link] == FUZZ_LINK_OPENING && how % 4) {
        f->links[link] = FUZZ_LINK_UP;
        tell(f, (shoal_event){.kind = SHOAL_EVENT_LINK_UP,
                              .link = link,
                              .peer = {"10.0.0.1", 17001},
                              .local = {"10.0.0.9", 30000}});
    } else if (f->links[link] == FUZZ_LINK_UP && how % 8) {
        tell(f, (shoal_event){.kind = how & 16 ? SHOAL_EVENT_LINK_FULL : SHOAL_EVENT_LINK_ROOM,
                              .link = link});
    } else {
        shoal_err error = f->links[link] == FUZZ_LINK_CLOSED ? SHOAL_ERR_CLOSED : SHOAL_ERR_RESET;
        f->links[link] = 0;
        tell(f, (shoal_event){.kind = SHOAL_EVENT_LINK_DOWN, .link = link, .error = error});
    }
}

/* A peer connects. */
static void accept_link(program *p)
{
    shoal_link link = fuzz_link_add(p->f, FUZZ_LINK_UP);
    tell(p->f, (shoal_event){.kind = SHOAL_EVENT_LINK_UP,
                             .link = link,
                             .accepted = true,
                             .peer = {"10.0.0.2", 40000},
                             .local = {"10.0.0.9", 17000}});
}

/* The next file operation ends. */
static void finish_file(program *p, uint8_t how)
{
    fuzz_cluster *f = p->f;
    if (f->file_first == f->file_end) return;
    shoal_event event = f->files[f->file_first++ % FUZZ_FILES_MAX];
    if (how >= 250) event.error = SHOAL_ERR_IO;
    tell(f, event);
}

/* Time passes, and with it what was due. */
static void pass_time(fuzz_cluster *f, int64_t duration_us)
{
    f->now.mono_us += duration_us;
    f->now.wall_us += duration_us;
    if (shoal_cluster_deadline(f->cluster) <= f->now.mono_us)
        shoal_cluster_tick(f->cluster, f->now);
}

/* An operator says something. */
static void command(program *p)
{
    static const char *const lines[] = {
        "CLUSTER INFO",
        "CLUSTER NODES",
        "CLUSTER SLOTS",
        "CLUSTER SHARDS",
        "CLUSTER MYID",
        "CLUSTER MEET 10.0.0.1 %u",
        "CLUSTER ADDSLOTS %u",
        "CLUSTER DELSLOTS %u",
        "CLUSTER ADDSLOTSRANGE 0 %u",
        "CLUSTER FLUSHSLOTS",
        "CLUSTER BUMPEPOCH",
        "CLUSTER SET-CONFIG-EPOCH %u",
        "CLUSTER FORGET %n",
        "CLUSTER REPLICATE %n",
        "CLUSTER REPLICAS %n",
        "CLUSTER RESET",
        "CLUSTER RESET HARD",
        "CLUSTER SETSLOT %u NODE %n",
        "CLUSTER SETSLOT %u MIGRATING %n",
        "CLUSTER SETSLOT %u IMPORTING %n",
        "CLUSTER SETSLOT %u STABLE",
        "CLUSTER LINKS",
        "CLUSTER COUNT-FAILURE-REPORTS %n",
        "CLUSTER SAVECONFIG",
        "CLUSTER FAILOVER",
        "CLUSTER FAILOVER FORCE",
        "CLUSTER FAILOVER TAKEOVER",
        "CLUSTER WHY",
        "CLUSTER WHY 3",
        "CLUSTER DELSLOTSRANGE %u 16383",
    };
    fuzz_cluster *f = p->f;
    shoal_buffer text = shoal_buffer_make(&f->allocator), store = text, out = text;
    const char *line = lines[take(p) % (sizeof(lines) / sizeof(lines[0]))];
    for (; *line; line++) {
        char name[SHOAL_NODE_NAME_LEN];
        if (line[0] == '%' && line[1] == 'u') {
            shoal_text_appendf(&text, "%u", take(p) * 64u);
            line++;
        } else if (line[0] == '%') {
            take_name(p, name);
            shoal_buffer_append(&text, (shoal_slice){name, sizeof(name)});
            line++;
        } else {
            shoal_buffer_append(&text, (shoal_slice){line, 1});
        }
    }
    shoal_slice argv[8];
    int argc = shoal_line_split(shoal_buffer_slice(&text), &store, argv, 8);
    SHOAL_ASSERT(argc >= 2);
    shoal_cluster_call call = {.argc = (uint32_t)argc,
                               .argv = argv,
                               .local = {"10.0.0.9", 7000},
                               .keys = take(p) & 1,
                               .now = f->now,
                               .reply = {&out, 2 + (take(p) & 1)}};
    shoal_cluster_command(f->cluster, &call);
    size_t size = 0;
    SHOAL_ASSERT(shoal_answer_size(shoal_buffer_slice(&out), &size) == SHOAL_ERR_OK);
    SHOAL_ASSERT(size == shoal_buffer_size(&out));
    shoal_buffer_free(&text);
    shoal_buffer_free(&store);
    shoal_buffer_free(&out);
}

/* Replication says how far it is; core asks what it should know; a client publishes. */
static void carry_facts(program *p)
{
    fuzz_cluster *f = p->f;
    uint8_t what = take(p);
    shoal_cluster_role role;
    shoal_slotmap lost;
    shoal_cluster_replication facts = {.offset = take(p) % 4,
                                       .link_up = what & 1,
                                       .heard_us = what & 2 ? f->now.mono_us : 0,
                                       .loading = (what & 12) == 12,
                                       .paused = what & 16};
    switch (what >> 5) {
    case 0: shoal_cluster_handover_begin(f->cluster, f->now); break;
    case 1: shoal_cluster_publish(f->cluster, what & 1, shoal_text("c"), shoal_text("m")); break;
    case 2: shoal_cluster_take_lost(f->cluster, &lost); break;
    default: shoal_cluster_set_replication(f->cluster, &facts, f->now);
    }
    SHOAL_ASSERT(shoal_cluster_pause(f->cluster) >= 0);
    shoal_cluster_role_get(f->cluster, &role);
    SHOAL_ASSERT(role.is_replica || !role.master_name[0]);
}

static void step(program *p)
{
    uint8_t what = take(p);
    shoal_link link;
    if (what >= 248) {
        carry_facts(p);
        return;
    }
    switch (what % 8) {
    case 0: pass_time(p->f, take(p) * INT64_C(20000)); break;
    case 1: accept_link(p); break;
    case 2: finish_file(p, take(p)); break;
    case 3: command(p); break;
    case 4:
        link = take_link(p);
        if (link) change_link(p, link, take(p));
        break;
    case 5:
        link = take_link(p);
        if (link && p->f->links[link] == FUZZ_LINK_UP) deliver_bytes(p, link);
        break;
    default:
        link = take_link(p);
        if (link && p->f->links[link] == FUZZ_LINK_UP) deliver_frame(p, link);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    program p = {fuzz_cluster_open(1), {(const char *)data, size}};
    shoal_cluster_init_new(p.f->cluster, p.f->now);
    for (int i = 0; i < STEPS_MAX && p.rest.size; i++) step(&p);
    fuzz_cluster_saves_what_it_can_load(p.f);
    fuzz_cluster_close(p.f);
    return 0;
}
