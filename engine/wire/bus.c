/* SPDX-License-Identifier: MIT
 *
 * wire/bus.c - frames of the cluster bus to bytes and back. Where things stand was read from
 * frames of redis-server 7.0.15, which tests/wire/corpus keeps; the offsets below are all that is
 * known of the layout, and everything between them is zero.
 */
#include "wire/bus.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define VERSION 1

/* Offsets of the header. */
enum {
    AT_SIGNATURE = 0,
    AT_SIZE = 4,
    AT_VERSION = 8,
    AT_PORT = 10,
    AT_TYPE = 12,
    AT_COUNT = 14,
    AT_CURRENT_EPOCH = 16,
    AT_CONFIG_EPOCH = 24,
    AT_OFFSET = 32,
    AT_SENDER = 40,
    AT_SLOTS = 80,
    AT_REPLICA_OF = 2128,
    AT_IP = 2168,
    AT_EXTENSIONS = 2214,
    AT_TLS_PORT = 2246,
    AT_BUS_PORT = 2248,
    AT_FLAGS = 2250,
    AT_STATE = 2252,
    AT_MFLAGS = 2253,
    AT_DATA = 2256
};

/* Offsets inside a gossip entry. */
enum {
    GOSSIP_NAME = 0,
    GOSSIP_PING_SENT = 40,
    GOSSIP_PONG_RECEIVED = 44,
    GOSSIP_IP = 48,
    GOSSIP_PORT = 94,
    GOSSIP_BUS_PORT = 96,
    GOSSIP_FLAGS = 98,
    GOSSIP_TLS_PORT = 100
};

/* Offsets inside the data of FAIL, PUBLISH and UPDATE, and their sizes. */
enum {
    PUBLISH_CHANNEL_SIZE = 0,
    PUBLISH_MESSAGE_SIZE = 4,
    PUBLISH_BYTES = 8,
    UPDATE_EPOCH = 0,
    UPDATE_NAME = 8,
    UPDATE_SLOTS = 48,
    UPDATE_SIZE = 2096,
    MODULE_ID_SIZE = 8,
    MODULE_SIZE_MIN = 13
};

/* An extension: u32 size with this header, u16 type, u16 zero, data, padding. */
#define EXTENSION_HEADER 8u
#define EXTENSION_ALIGN 8u
#define EXTENSIONS_MAX \
    (sizeof(((shoal_frame *)0)->extensions) / sizeof(((shoal_frame *)0)->extensions[0]))

#define IP_SIZE 46u

/* Each field ends where the next begins, but for the two places that are always zero. */
_Static_assert(AT_SIGNATURE + 4 == AT_SIZE, "signature");
_Static_assert(AT_SIZE + 4 == AT_VERSION, "size");
_Static_assert(AT_VERSION + 2 == AT_PORT, "version");
_Static_assert(AT_PORT + 2 == AT_TYPE, "port");
_Static_assert(AT_TYPE + 2 == AT_COUNT, "type");
_Static_assert(AT_COUNT + 2 == AT_CURRENT_EPOCH, "count");
_Static_assert(AT_CURRENT_EPOCH + 8 == AT_CONFIG_EPOCH, "current epoch");
_Static_assert(AT_CONFIG_EPOCH + 8 == AT_OFFSET, "config epoch");
_Static_assert(AT_OFFSET + 8 == AT_SENDER, "offset");
_Static_assert(AT_SENDER + SHOAL_NODE_NAME_LEN == AT_SLOTS, "sender");
_Static_assert(AT_SLOTS + sizeof(shoal_slotmap) == AT_REPLICA_OF, "slots");
_Static_assert(AT_REPLICA_OF + SHOAL_NODE_NAME_LEN == AT_IP, "replica of");
_Static_assert(AT_IP + IP_SIZE == AT_EXTENSIONS, "ip");
_Static_assert(AT_EXTENSIONS + 2 + 30 == AT_TLS_PORT, "extensions and 30 zeros");
_Static_assert(AT_TLS_PORT + 2 == AT_BUS_PORT, "tls port");
_Static_assert(AT_BUS_PORT + 2 == AT_FLAGS, "bus port");
_Static_assert(AT_FLAGS + 2 == AT_STATE, "flags");
_Static_assert(AT_STATE + 1 == AT_MFLAGS, "state");
_Static_assert(AT_MFLAGS + 3 == AT_DATA, "mflags");
_Static_assert(AT_DATA == SHOAL_FRAME_HEADER_SIZE, "the data follows the header");
_Static_assert(GOSSIP_NAME + SHOAL_NODE_NAME_LEN == GOSSIP_PING_SENT, "gossip name");
_Static_assert(GOSSIP_PING_SENT + 4 == GOSSIP_PONG_RECEIVED, "gossip ping");
_Static_assert(GOSSIP_PONG_RECEIVED + 4 == GOSSIP_IP, "gossip pong");
_Static_assert(GOSSIP_IP + IP_SIZE == GOSSIP_PORT, "gossip ip");
_Static_assert(GOSSIP_PORT + 2 == GOSSIP_BUS_PORT, "gossip port");
_Static_assert(GOSSIP_BUS_PORT + 2 == GOSSIP_FLAGS, "gossip bus port");
_Static_assert(GOSSIP_FLAGS + 2 == GOSSIP_TLS_PORT, "gossip flags");
_Static_assert(GOSSIP_TLS_PORT + 2 + 2 == SHOAL_GOSSIP_SIZE, "gossip tls port and two zeros");
_Static_assert(UPDATE_EPOCH + 8 == UPDATE_NAME, "update epoch");
_Static_assert(UPDATE_NAME + SHOAL_NODE_NAME_LEN == UPDATE_SLOTS, "update name");
_Static_assert(UPDATE_SLOTS + sizeof(shoal_slotmap) == UPDATE_SIZE, "update slots");
_Static_assert(PUBLISH_MESSAGE_SIZE + 4 == PUBLISH_BYTES, "publish sizes");
_Static_assert(sizeof(((shoal_frame *)0)->ip) == IP_SIZE, "an address of a frame");
_Static_assert(sizeof(((shoal_gossip *)0)->ip) == IP_SIZE, "an address of gossip");

/* Kinds of data, by type of frame. */
typedef enum data_kind {
    DATA_NONE,
    DATA_GOSSIP,
    DATA_FAIL,
    DATA_PUBLISH,
    DATA_UPDATE,
    DATA_MODULE
} data_kind;

/* What is known of each type. */
typedef struct frame_kind {
    const char *name;
    data_kind data;
} frame_kind;

static const frame_kind kinds[SHOAL_FRAME_TYPE_COUNT] = {
    [SHOAL_FRAME_PING] = {"ping", DATA_GOSSIP},
    [SHOAL_FRAME_PONG] = {"pong", DATA_GOSSIP},
    [SHOAL_FRAME_MEET] = {"meet", DATA_GOSSIP},
    [SHOAL_FRAME_FAIL] = {"fail", DATA_FAIL},
    [SHOAL_FRAME_PUBLISH] = {"publish", DATA_PUBLISH},
    [SHOAL_FRAME_AUTH_REQUEST] = {"auth-req", DATA_NONE},
    [SHOAL_FRAME_AUTH_ACK] = {"auth-ack", DATA_NONE},
    [SHOAL_FRAME_UPDATE] = {"update", DATA_UPDATE},
    [SHOAL_FRAME_MFSTART] = {"mfstart", DATA_NONE},
    [SHOAL_FRAME_MODULE] = {"module", DATA_MODULE},
    [SHOAL_FRAME_PUBLISHSHARD] = {"publishshard", DATA_PUBLISH},
};

const char *shoal_frame_type_name(uint32_t type)
{
    return type < SHOAL_FRAME_TYPE_COUNT ? kinds[type].name : NULL;
}

/* ---- what must hold of names and addresses, before they are sent and when they came ---- */

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

/* Of each byte of `word`, all of them below 128, the high bit: is it at least `least`? */
static inline uint64_t at_least(uint64_t word, uint64_t least)
{
    return (word + EACH_BYTE * (0x80 - least)) & HIGH_BITS;
}

/* True for a name of 40 characters of 0-9 a-z, which are looked at eight at a time. */
static bool is_name(const char *at)
{
    uint64_t odd = 0;
    for (size_t i = 0; i < SHOAL_NODE_NAME_LEN; i += 8) {
        uint64_t word = shoal_bytes_get_le64(at + i), low = word & ~HIGH_BITS;
        uint64_t digits = at_least(low, '0') & ~at_least(low, '9' + 1);
        uint64_t letters = at_least(low, 'a') & ~at_least(low, 'z' + 1);
        odd |= (word & HIGH_BITS) | ((digits | letters) ^ HIGH_BITS);
    }
    return odd == 0;
}

/* True when all `size` bytes, whole words, are zero. */
static bool is_zero(const char *at, size_t size)
{
    uint64_t set = 0;
    SHOAL_ASSERT(size % 8 == 0);
    for (size_t i = 0; i < size; i += 8) set |= shoal_bytes_get_le64(at + i);
    return set == 0;
}

/* True for a terminated text that can stand in nodes.conf and in replies as it is. */
static bool is_address(const char *at)
{
    for (size_t i = 0; i < IP_SIZE; i++) {
        if (at[i] == '\0') return true;
        if (at[i] <= ' ' || at[i] > '~' || at[i] == ',' || at[i] == '@' || at[i] == '"') {
            return false;
        }
    }
    return false;
}

/* ---- encoding ---- */

/* Texts carry a zero behind them on the wire. */
static bool extension_is_text(uint16_t type)
{
    return type == SHOAL_EXT_HOSTNAME || type == SHOAL_EXT_HUMAN_NODENAME;
}

/* Bytes of an extension with its header and padding. */
static size_t extension_size(uint16_t type, size_t data_size)
{
    SHOAL_ASSERT(data_size <= SHOAL_FRAME_SIZE_MAX);
    size_t size = data_size + (extension_is_text(type) ? 1 : 0);
    size = (size + EXTENSION_ALIGN - 1) / EXTENSION_ALIGN * EXTENSION_ALIGN;
    return EXTENSION_HEADER + size;
}

/* Bytes of the data behind the header. */
static size_t data_size(const shoal_frame *frame)
{
    size_t size = 0;
    switch (kinds[frame->type].data) {
    case DATA_GOSSIP:
        size = (size_t)frame->count * SHOAL_GOSSIP_SIZE;
        for (uint16_t i = 0; i < frame->extension_count; i++)
            size += extension_size(frame->extensions[i].type, frame->extensions[i].data.size);
        return size;
    case DATA_FAIL: return SHOAL_NODE_NAME_LEN;
    case DATA_PUBLISH: return PUBLISH_BYTES + frame->channel.size + frame->message.size;
    case DATA_UPDATE: return UPDATE_SIZE;
    case DATA_MODULE: return frame->module_bytes.size;
    case DATA_NONE: break;
    }
    return size;
}

/* Writes the header, every byte of it. */
static void put_header(char *to, const shoal_frame *frame, size_t size)
{
    SHOAL_ASSERT(is_name(frame->sender));
    SHOAL_ASSERT(is_zero(frame->replica_of, SHOAL_NODE_NAME_LEN) || is_name(frame->replica_of));
    SHOAL_ASSERT(is_address(frame->ip));
    memcpy(to + AT_SIGNATURE, "RCmb", 4);
    shoal_bytes_put_be32(to + AT_SIZE, (uint32_t)size);
    shoal_bytes_put_be16(to + AT_VERSION, VERSION);
    shoal_bytes_put_be16(to + AT_PORT, frame->port);
    shoal_bytes_put_be16(to + AT_TYPE, frame->type);
    shoal_bytes_put_be16(to + AT_COUNT, frame->count);
    shoal_bytes_put_be64(to + AT_CURRENT_EPOCH, frame->current_epoch);
    shoal_bytes_put_be64(to + AT_CONFIG_EPOCH, frame->config_epoch);
    shoal_bytes_put_be64(to + AT_OFFSET, frame->offset);
    memcpy(to + AT_SENDER, frame->sender, SHOAL_NODE_NAME_LEN);
    if (frame->slots)
        memcpy(to + AT_SLOTS, frame->slots, sizeof(*frame->slots));
    else
        memset(to + AT_SLOTS, 0, sizeof(*frame->slots));
    memcpy(to + AT_REPLICA_OF, frame->replica_of, SHOAL_NODE_NAME_LEN);
    memcpy(to + AT_IP, frame->ip, IP_SIZE);
    shoal_bytes_put_be16(to + AT_EXTENSIONS, frame->extension_count);
    memset(to + AT_EXTENSIONS + 2, 0, AT_TLS_PORT - AT_EXTENSIONS - 2);
    shoal_bytes_put_be16(to + AT_TLS_PORT, frame->tls_port);
    shoal_bytes_put_be16(to + AT_BUS_PORT, frame->bus_port);
    shoal_bytes_put_be16(to + AT_FLAGS, frame->flags);
    to[AT_STATE] = (char)frame->state;
    memcpy(to + AT_MFLAGS, frame->mflags, sizeof(frame->mflags));
    if (frame->extension_count) to[AT_MFLAGS] |= SHOAL_MFLAG_EXT_DATA;
}

static void put_gossip(char *to, const shoal_gossip *gossip)
{
    SHOAL_ASSERT(is_name(gossip->name));
    SHOAL_ASSERT(is_address(gossip->ip));
    memcpy(to + GOSSIP_NAME, gossip->name, SHOAL_NODE_NAME_LEN);
    shoal_bytes_put_be32(to + GOSSIP_PING_SENT, gossip->ping_sent_s);
    shoal_bytes_put_be32(to + GOSSIP_PONG_RECEIVED, gossip->pong_received_s);
    memcpy(to + GOSSIP_IP, gossip->ip, IP_SIZE);
    shoal_bytes_put_be16(to + GOSSIP_PORT, gossip->port);
    shoal_bytes_put_be16(to + GOSSIP_BUS_PORT, gossip->bus_port);
    shoal_bytes_put_be16(to + GOSSIP_FLAGS, gossip->flags);
    shoal_bytes_put_be16(to + GOSSIP_TLS_PORT, gossip->tls_port);
    shoal_bytes_put_be16(to + GOSSIP_TLS_PORT + 2, 0);
}

/* Gossip entries, then extensions. */
static void put_gossip_data(char *to, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->gossip || frame->gossip_bytes.size == frame->count * SHOAL_GOSSIP_SIZE);
    for (uint32_t i = 0; i < frame->count; i++, to += SHOAL_GOSSIP_SIZE) {
        if (frame->gossip)
            put_gossip(to, &frame->gossip[i]);
        else
            memcpy(to, frame->gossip_bytes.data + i * SHOAL_GOSSIP_SIZE, SHOAL_GOSSIP_SIZE);
    }
    for (uint32_t i = 0; i < frame->extension_count; i++) {
        shoal_slice data = frame->extensions[i].data;
        size_t size = extension_size(frame->extensions[i].type, data.size);
        shoal_bytes_put_be32(to, (uint32_t)size);
        shoal_bytes_put_be16(to + 4, frame->extensions[i].type);
        if (data.size) memcpy(to + EXTENSION_HEADER, data.data, data.size);
        to += size;
    }
}

static void put_publish_data(char *to, const shoal_frame *frame)
{
    shoal_slice channel = frame->channel;
    shoal_slice message = frame->message;
    shoal_bytes_put_be32(to + PUBLISH_CHANNEL_SIZE, (uint32_t)channel.size);
    shoal_bytes_put_be32(to + PUBLISH_MESSAGE_SIZE, (uint32_t)message.size);
    if (channel.size) memcpy(to + PUBLISH_BYTES, channel.data, channel.size);
    if (message.size) memcpy(to + PUBLISH_BYTES + channel.size, message.data, message.size);
}

static void put_update_data(char *to, const shoal_frame *frame)
{
    SHOAL_ASSERT(frame->update_slots != NULL);
    SHOAL_ASSERT(is_name(frame->update_name));
    shoal_bytes_put_be64(to + UPDATE_EPOCH, frame->update_epoch);
    memcpy(to + UPDATE_NAME, frame->update_name, SHOAL_NODE_NAME_LEN);
    memcpy(to + UPDATE_SLOTS, frame->update_slots, sizeof(*frame->update_slots));
}

void shoal_frame_encode(const shoal_frame *frame, shoal_buffer *out)
{
    SHOAL_ASSERT(frame->type < SHOAL_FRAME_TYPE_COUNT);
    SHOAL_ASSERT(frame->extension_count <= EXTENSIONS_MAX);
    SHOAL_ASSERT(frame->count == 0 || kinds[frame->type].data == DATA_GOSSIP);
    size_t size = SHOAL_FRAME_HEADER_SIZE + data_size(frame);
    SHOAL_ASSERT(size <= SHOAL_FRAME_SIZE_MAX);
    char *to = shoal_buffer_reserve(out, size);
    if (!to) return;
    char *data = to + AT_DATA;
    put_header(to, frame, size);
    /* Gossip entries leave no byte out. */
    size_t set = frame->gossip ? (size_t)frame->count * SHOAL_GOSSIP_SIZE : 0;
    memset(data + set, 0, size - AT_DATA - set);
    switch (kinds[frame->type].data) {
    case DATA_GOSSIP: put_gossip_data(data, frame); break;
    case DATA_FAIL:
        SHOAL_ASSERT(is_name(frame->failed_name));
        memcpy(data, frame->failed_name, SHOAL_NODE_NAME_LEN);
        break;
    case DATA_PUBLISH: put_publish_data(data, frame); break;
    case DATA_UPDATE: put_update_data(data, frame); break;
    case DATA_MODULE:
        SHOAL_ASSERT(frame->module_bytes.size >= MODULE_SIZE_MIN);
        memcpy(data, frame->module_bytes.data, frame->module_bytes.size);
        break;
    case DATA_NONE: break;
    }
    shoal_buffer_commit(out, size);
}

/* ---- decoding ---- */

/* Says what was wrong and where. */
static shoal_err refuse(shoal_frame_error *error, const char *what, size_t offset, uint64_t found)
{
    SHOAL_ASSERT(what != NULL);
    SHOAL_ASSERT(offset <= SHOAL_FRAME_SIZE_MAX);
    *error = (shoal_frame_error){.what = what, .offset = (uint32_t)offset, .found = found};
    return SHOAL_ERR_MALFORMED;
}

/* A node is one of the two; nobody can act on a node that is said to be both. */
static bool is_role(uint16_t flags)
{
    return (flags & (SHOAL_NODE_MASTER | SHOAL_NODE_REPLICA)) !=
           (SHOAL_NODE_MASTER | SHOAL_NODE_REPLICA);
}

/* Copies a checked address; senders may leave anything behind its zero. */
static void get_address(const char *from, char to[IP_SIZE])
{
    SHOAL_DEBUG_ASSERT(is_address(from));
    size_t size = strlen(from);
    SHOAL_ASSERT(size < IP_SIZE);
    memcpy(to, from, size);
    memset(to + size, 0, IP_SIZE - size);
}

shoal_err shoal_frame_size(shoal_slice bytes, size_t *size, shoal_frame_error *error)
{
    *error = (shoal_frame_error){0};
    size_t known = bytes.size < 4 ? bytes.size : 4;
    if (known && memcmp(bytes.data, "RCmb", known) != 0)
        return refuse(error, "signature RCmb", AT_SIGNATURE, (uint8_t)bytes.data[0]);
    if (bytes.size < AT_VERSION) return SHOAL_ERR_TRUNCATED;
    uint32_t total = shoal_bytes_get_be32(bytes.data + AT_SIZE);
    if (total < SHOAL_FRAME_HEADER_SIZE)
        return refuse(error, "a length of at least the header's", AT_SIZE, total);
    if (total > SHOAL_FRAME_SIZE_MAX)
        return refuse(error, "a length of at most 64 MiB", AT_SIZE, total);
    *size = total;
    return SHOAL_ERR_OK;
}

/* Checks the extensions, which must fill `bytes`, and notes the first of them. */
static shoal_err get_extensions(shoal_slice bytes, size_t at, shoal_frame *frame,
                                shoal_frame_error *error)
{
    /* Without the flag the count means nothing, and Redis does not look at it. */
    bool sent = frame->mflags[0] & SHOAL_MFLAG_EXT_DATA;
    uint16_t announced = sent ? shoal_bytes_get_be16(bytes.data + AT_EXTENSIONS) : 0;
    for (uint16_t i = 0; i < announced; i++) {
        size_t left = bytes.size - at;
        if (left < EXTENSION_HEADER) return refuse(error, "one more extension", at, left);
        uint32_t size = shoal_bytes_get_be32(bytes.data + at);
        uint16_t type = shoal_bytes_get_be16(bytes.data + at + 4);
        if (size < EXTENSION_HEADER || size % EXTENSION_ALIGN != 0 || size > left)
            return refuse(error, "an extension length of whole words inside the frame", at, size);
        shoal_slice data = {bytes.data + at + EXTENSION_HEADER, size - EXTENSION_HEADER};
        if (extension_is_text(type)) {
            if (data.size == 0 || data.data[data.size - 1] != '\0')
                return refuse(error, "a zero behind the text of an extension", at, type);
            data.size = strlen(data.data);
        }
        if (i < EXTENSIONS_MAX) {
            frame->extensions[i].type = type;
            frame->extensions[i].data = data;
            frame->extension_count++;
        }
        at += size;
        SHOAL_ASSERT(at <= bytes.size);
    }
    if (at != bytes.size) return refuse(error, "the end of the frame", at, bytes.size);
    return SHOAL_ERR_OK;
}

/* PING, PONG, MEET. */
static shoal_err get_gossip_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    frame->count = shoal_bytes_get_be16(bytes.data + AT_COUNT);
    size_t size = (size_t)frame->count * SHOAL_GOSSIP_SIZE;
    if (size > bytes.size - AT_DATA)
        return refuse(error, "a gossip count that fits in the frame", AT_COUNT, frame->count);
    frame->gossip_bytes = (shoal_slice){bytes.data + AT_DATA, size};
    for (size_t at = AT_DATA; at < AT_DATA + size; at += SHOAL_GOSSIP_SIZE) {
        const char *entry = bytes.data + at;
        if (!is_name(entry + GOSSIP_NAME))
            return refuse(error, "a node name in a gossip entry", at, (uint8_t)entry[0]);
        if (!is_address(entry + GOSSIP_IP))
            return refuse(error, "an address in a gossip entry", at + GOSSIP_IP,
                          (uint8_t)entry[GOSSIP_IP]);
        uint16_t flags = shoal_bytes_get_be16(entry + GOSSIP_FLAGS);
        if (!is_role(flags))
            return refuse(error, "master or replica in a gossip entry", at + GOSSIP_FLAGS, flags);
    }
    return get_extensions(bytes, AT_DATA + size, frame, error);
}

/* PUBLISH, PUBLISHSHARD. */
static shoal_err get_publish_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    size_t left = bytes.size - AT_DATA;
    if (left < PUBLISH_BYTES)
        return refuse(error, "the lengths of channel and message", AT_DATA, left);
    const char *data = bytes.data + AT_DATA;
    uint32_t channel = shoal_bytes_get_be32(data + PUBLISH_CHANNEL_SIZE);
    uint32_t message = shoal_bytes_get_be32(data + PUBLISH_MESSAGE_SIZE);
    if ((uint64_t)channel + message != left - PUBLISH_BYTES)
        return refuse(error, "channel and message to fill the frame", AT_DATA,
                      (uint64_t)channel + message);
    frame->channel = (shoal_slice){data + PUBLISH_BYTES, channel};
    frame->message = (shoal_slice){data + PUBLISH_BYTES + channel, message};
    return SHOAL_ERR_OK;
}

/* UPDATE. */
static shoal_err get_update_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    const char *data = bytes.data + AT_DATA;
    if (bytes.size != AT_DATA + UPDATE_SIZE)
        return refuse(error, "the length of an update", AT_SIZE, bytes.size);
    if (!is_name(data + UPDATE_NAME))
        return refuse(error, "a node name", AT_DATA + UPDATE_NAME, (uint8_t)data[UPDATE_NAME]);
    frame->update_epoch = shoal_bytes_get_be64(data + UPDATE_EPOCH);
    memcpy(frame->update_name, data + UPDATE_NAME, SHOAL_NODE_NAME_LEN);
    frame->update_slots = (const shoal_slotmap *)(data + UPDATE_SLOTS);
    return SHOAL_ERR_OK;
}

/* FAIL. */
static shoal_err get_fail_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    const char *data = bytes.data + AT_DATA;
    if (bytes.size != AT_DATA + SHOAL_NODE_NAME_LEN)
        return refuse(error, "the length of a fail", AT_SIZE, bytes.size);
    if (!is_name(data)) return refuse(error, "a node name", AT_DATA, (uint8_t)data[0]);
    memcpy(frame->failed_name, data, SHOAL_NODE_NAME_LEN);
    return SHOAL_ERR_OK;
}

/* MODULE: an id, a length, a byte of type, and as many bytes. */
static shoal_err get_module_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    size_t left = bytes.size - AT_DATA;
    if (left < MODULE_SIZE_MIN) return refuse(error, "a module's header", AT_DATA, left);
    uint32_t size = shoal_bytes_get_be32(bytes.data + AT_DATA + MODULE_ID_SIZE);
    if (size != left - MODULE_SIZE_MIN)
        return refuse(error, "a module's bytes to fill the frame", AT_DATA + MODULE_ID_SIZE, size);
    frame->module_bytes = (shoal_slice){bytes.data + AT_DATA, left};
    return SHOAL_ERR_OK;
}

/* Reads what every frame has. */
static shoal_err get_header(const char *from, shoal_frame *frame, shoal_frame_error *error)
{
    if (!is_name(from + AT_SENDER))
        return refuse(error, "the sender's name", AT_SENDER, (uint8_t)from[AT_SENDER]);
    if (!is_zero(from + AT_REPLICA_OF, SHOAL_NODE_NAME_LEN) && !is_name(from + AT_REPLICA_OF))
        return refuse(error, "a master's name or none", AT_REPLICA_OF,
                      (uint8_t)from[AT_REPLICA_OF]);
    if (!is_address(from + AT_IP))
        return refuse(error, "an address or none", AT_IP, (uint8_t)from[AT_IP]);
    frame->port = shoal_bytes_get_be16(from + AT_PORT);
    frame->current_epoch = shoal_bytes_get_be64(from + AT_CURRENT_EPOCH);
    frame->config_epoch = shoal_bytes_get_be64(from + AT_CONFIG_EPOCH);
    frame->offset = shoal_bytes_get_be64(from + AT_OFFSET);
    memcpy(frame->sender, from + AT_SENDER, SHOAL_NODE_NAME_LEN);
    frame->slots = (const shoal_slotmap *)(from + AT_SLOTS);
    memcpy(frame->replica_of, from + AT_REPLICA_OF, SHOAL_NODE_NAME_LEN);
    get_address(from + AT_IP, frame->ip);
    frame->tls_port = shoal_bytes_get_be16(from + AT_TLS_PORT);
    frame->bus_port = shoal_bytes_get_be16(from + AT_BUS_PORT);
    frame->flags = shoal_bytes_get_be16(from + AT_FLAGS);
    if (!is_role(frame->flags)) return refuse(error, "master or replica", AT_FLAGS, frame->flags);
    frame->state = (uint8_t)from[AT_STATE];
    memcpy(frame->mflags, from + AT_MFLAGS, sizeof(frame->mflags));
    return SHOAL_ERR_OK;
}

/* Reads the data behind the header. */
static shoal_err get_data(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    switch (kinds[frame->type].data) {
    case DATA_GOSSIP: return get_gossip_data(bytes, frame, error);
    case DATA_FAIL: return get_fail_data(bytes, frame, error);
    case DATA_PUBLISH: return get_publish_data(bytes, frame, error);
    case DATA_UPDATE: return get_update_data(bytes, frame, error);
    case DATA_MODULE: return get_module_data(bytes, frame, error);
    case DATA_NONE: break;
    }
    if (bytes.size != AT_DATA)
        return refuse(error, "the length of a bare header", AT_SIZE, bytes.size);
    return SHOAL_ERR_OK;
}

shoal_err shoal_frame_decode(shoal_slice bytes, shoal_frame *frame, shoal_frame_error *error)
{
    size_t size;
    memset(frame, 0, sizeof(*frame));
    shoal_err failure = shoal_frame_size(bytes, &size, error);
    if (failure) return failure;
    if (size != bytes.size) return refuse(error, "the whole frame", AT_SIZE, size);
    uint16_t version = shoal_bytes_get_be16(bytes.data + AT_VERSION);
    uint16_t type = shoal_bytes_get_be16(bytes.data + AT_TYPE);
    if (version != VERSION) {
        (void)refuse(error, "version 1", AT_VERSION, version);
        return SHOAL_ERR_UNSUPPORTED;
    }
    if (type >= SHOAL_FRAME_TYPE_COUNT) {
        (void)refuse(error, "a known type", AT_TYPE, type);
        return SHOAL_ERR_UNSUPPORTED;
    }
    frame->type = type;
    failure = get_header(bytes.data, frame, error);
    if (failure) return failure;
    return get_data(bytes, frame, error);
}

void shoal_frame_gossip(const shoal_frame *frame, uint32_t index, shoal_gossip *out)
{
    SHOAL_ASSERT((size_t)index * SHOAL_GOSSIP_SIZE < frame->gossip_bytes.size);
    const char *entry = frame->gossip_bytes.data + (size_t)index * SHOAL_GOSSIP_SIZE;
    memset(out, 0, sizeof(*out));
    memcpy(out->name, entry + GOSSIP_NAME, SHOAL_NODE_NAME_LEN);
    out->ping_sent_s = shoal_bytes_get_be32(entry + GOSSIP_PING_SENT);
    out->pong_received_s = shoal_bytes_get_be32(entry + GOSSIP_PONG_RECEIVED);
    get_address(entry + GOSSIP_IP, out->ip);
    out->port = shoal_bytes_get_be16(entry + GOSSIP_PORT);
    out->bus_port = shoal_bytes_get_be16(entry + GOSSIP_BUS_PORT);
    out->flags = shoal_bytes_get_be16(entry + GOSSIP_FLAGS);
    out->tls_port = shoal_bytes_get_be16(entry + GOSSIP_TLS_PORT);
}

void shoal_frame_gossip_brief(const shoal_frame *frame, uint32_t index, shoal_gossip_brief *out)
{
    SHOAL_ASSERT((size_t)index * SHOAL_GOSSIP_SIZE < frame->gossip_bytes.size);
    const char *entry = frame->gossip_bytes.data + (size_t)index * SHOAL_GOSSIP_SIZE;
    *out = (shoal_gossip_brief){
        .name = entry + GOSSIP_NAME,
        .pong_received_s = shoal_bytes_get_be32(entry + GOSSIP_PONG_RECEIVED),
        .flags = shoal_bytes_get_be16(entry + GOSSIP_FLAGS),
    };
}
