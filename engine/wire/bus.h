/* SPDX-License-Identifier: MIT
 *
 * wire/bus.h - frames of the cluster bus, byte for byte as Redis 7.0 sends them: a header of
 * 2256 bytes, then data by type. All integers are big-endian. Encoder and decoder are pure; a
 * decoded frame borrows from the bytes it was read from. Decoding checks every length before
 * it reads, and says in `shoal_frame_error` what was wrong and where.
 */
#ifndef SHOAL_WIRE_BUS_H
#define SHOAL_WIRE_BUS_H

#include <shoal/types.h>

/* Bytes that every frame begins with. */
#define SHOAL_FRAME_HEADER_SIZE 2256u
/* Bytes of an encoded gossip entry. */
#define SHOAL_GOSSIP_SIZE 104u
/* A frame that announces more is refused. Chosen: far above any frame that peers send. */
#define SHOAL_FRAME_SIZE_MAX (64u << 20)

/* Types of frames. */
typedef enum shoal_frame_type {
    SHOAL_FRAME_PING = 0,
    SHOAL_FRAME_PONG = 1,
    SHOAL_FRAME_MEET = 2,
    SHOAL_FRAME_FAIL = 3,
    SHOAL_FRAME_PUBLISH = 4,
    SHOAL_FRAME_AUTH_REQUEST = 5,
    SHOAL_FRAME_AUTH_ACK = 6,
    SHOAL_FRAME_UPDATE = 7,
    SHOAL_FRAME_MFSTART = 8,
    SHOAL_FRAME_MODULE = 9,
    SHOAL_FRAME_PUBLISHSHARD = 10,
    SHOAL_FRAME_TYPE_COUNT = 11
} shoal_frame_type;

/* "ping", "pong", ... as CLUSTER INFO spells them; NULL for an unknown type. */
const char *shoal_frame_type_name(uint32_t type);

/* Node flags of the header and of gossip entries. */
enum {
    SHOAL_NODE_MASTER = 1,
    SHOAL_NODE_REPLICA = 2,
    SHOAL_NODE_PFAIL = 4,
    SHOAL_NODE_FAIL = 8,
    SHOAL_NODE_MYSELF = 16,
    SHOAL_NODE_HANDSHAKE = 32,
    SHOAL_NODE_NOADDR = 64,
    SHOAL_NODE_MEET = 128,
    SHOAL_NODE_MIGRATE_TO = 256,
    SHOAL_NODE_NOFAILOVER = 512
};

/* mflags[0] of the header. */
enum { SHOAL_MFLAG_PAUSED = 1, SHOAL_MFLAG_FORCEACK = 2, SHOAL_MFLAG_EXT_DATA = 4 };

/* Ping extension types. */
enum {
    SHOAL_EXT_HOSTNAME = 0,
    SHOAL_EXT_HUMAN_NODENAME = 1,
    SHOAL_EXT_FORGOTTEN_NODE = 2,
    SHOAL_EXT_SHARDID = 3
};

/* A set of slots: slot s is bit s % 8 of byte s / 8. */
typedef struct shoal_slotmap {
    uint8_t bits[SHOAL_SLOTS / 8];
} shoal_slotmap;

/* Is `slot` (below SHOAL_SLOTS) in the set? */
static inline bool shoal_slotmap_has(const shoal_slotmap *map, uint32_t slot)
{
    return (map->bits[slot >> 3] >> (slot & 7)) & 1;
}

/* Adds `slot` to the set, or takes it out. */
static inline void shoal_slotmap_put(shoal_slotmap *map, uint32_t slot, bool on)
{
    uint8_t bit = (uint8_t)(1u << (slot & 7));
    if (on)
        map->bits[slot >> 3] |= bit;
    else
        map->bits[slot >> 3] &= (uint8_t)~bit;
}

/* What a sender says of a third node. */
typedef struct shoal_gossip {
    char name[SHOAL_NODE_NAME_LEN];
    uint32_t ping_sent_s, pong_received_s; /* seconds of the sender's wall clock */
    char ip[46];                           /* zero padded */
    uint16_t port, bus_port, flags, tls_port;
} shoal_gossip;

/* What most readers want of an entry, without a copy of the rest. */
typedef struct shoal_gossip_brief {
    const char *name; /* SHOAL_NODE_NAME_LEN characters, borrowed from the frame */
    uint32_t pong_received_s;
    uint16_t flags;
} shoal_gossip_brief;

/* One frame. For encoding: fill it, with `gossip` and the other variable parts pointing to the
 * caller's memory. For decoding: variable parts stay encoded and are read by index. Names and
 * addresses of a decoded frame are checked: a name is 40 characters of 0-9 a-z, an address is
 * zero padded printable text without blanks, commas, '@' and quotes, flags never have MASTER and
 * REPLICA both. */
typedef struct shoal_frame {
    uint16_t type, port, bus_port, tls_port, flags;
    uint8_t state; /* 0 ok, 1 fail */
    uint8_t mflags[3];
    uint64_t current_epoch, config_epoch, offset;
    char sender[SHOAL_NODE_NAME_LEN];
    char replica_of[SHOAL_NODE_NAME_LEN]; /* all zero bytes for a master */
    char ip[46];                          /* announced; empty: use the link's */
    const shoal_slotmap *slots;           /* the sender's, or its master's */
    uint16_t count;                       /* gossip entries of PING PONG MEET, else 0 */
    const shoal_gossip *gossip;           /* encode only */
    shoal_slice gossip_bytes;             /* decode only: count * 104 bytes */
    uint16_t extension_count;             /* at most 8; decoding leaves out what is beyond */
    struct {
        uint16_t type;
        shoal_slice data;
    } extensions[8];                       /* texts without their zero */
    char failed_name[SHOAL_NODE_NAME_LEN]; /* FAIL */
    uint64_t update_epoch;                 /* UPDATE */
    char update_name[SHOAL_NODE_NAME_LEN]; /* UPDATE */
    const shoal_slotmap *update_slots;     /* UPDATE */
    shoal_slice channel, message;          /* PUBLISH, PUBLISHSHARD */
    shoal_slice module_bytes;              /* MODULE: what follows the header */
} shoal_frame;

/* Why a frame was refused, for logs and counters. */
typedef struct shoal_frame_error {
    const char *what; /* static text: what was expected */
    uint32_t offset;  /* byte of the frame */
    uint64_t found;   /* the offending number */
} shoal_frame_error;

/* Appends the encoded frame. Every byte is set; the EXT_DATA flag too when there are extensions. */
void shoal_frame_encode(const shoal_frame *frame, shoal_buffer *out);

/* Length of the frame at the start of `bytes`, from its first 8: 0 and *size, or
 * SHOAL_ERR_TRUNCATED (give more bytes), or SHOAL_ERR_MALFORMED: these bytes are no frame, and
 * the link cannot be read any further. */
SHOAL_MUST_USE shoal_err shoal_frame_size(shoal_slice bytes, size_t *size,
                                          shoal_frame_error *error);

/* Reads one whole frame of exactly `bytes.size` bytes: 0; SHOAL_ERR_UNSUPPORTED for another
 * version or an unknown type; SHOAL_ERR_MALFORMED. As in Redis, only this frame is lost then: the
 * link may go on behind it. */
SHOAL_MUST_USE shoal_err shoal_frame_decode(shoal_slice bytes, shoal_frame *frame,
                                            shoal_frame_error *error);

/* Entry `index` (< count) of a decoded frame. */
void shoal_frame_gossip(const shoal_frame *frame, uint32_t index, shoal_gossip *out);
void shoal_frame_gossip_brief(const shoal_frame *frame, uint32_t index, shoal_gossip_brief *out);

#endif
