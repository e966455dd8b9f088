/* SPDX-License-Identifier: MIT
 *
 * repl/handshake.c - what a replica and its master say to each other before bytes flow: one line
 * each way, one state of the link for each. A master that does not know a word of REPLCONF is
 * forgiven; PSYNC it must know.
 */
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "repl/internal.h"

/* Words of the longest command that is said. */
#define WORDS_MAX 5u

/* ---- saying ---- */

static void send_words(shoal_repl *repl, const shoal_slice *words, uint32_t count)
{
    SHOAL_ASSERT(repl->master.link != 0);
    SHOAL_ASSERT(count > 0 && count <= WORDS_MAX);
    shoal_buffer text = shoal_buffer_make(&repl->allocator);
    shoal_text_appendf(&text, "*%u\r\n", (unsigned)count);
    for (uint32_t i = 0; i < count; i++) {
        shoal_text_appendf(&text, "$%zu\r\n", words[i].size);
        shoal_buffer_append(&text, words[i]);
        shoal_buffer_append(&text, (shoal_slice){"\r\n", 2});
    }
    /* Half a command would be answered never, or wrongly. */
    bool whole = !text.failed;
    if (whole)
        repl->host->link_send(repl->host->context, repl->master.link, shoal_buffer_slice(&text));
    shoal_buffer_free(&text);
    if (!whole) shoal_repl__retry(repl, "no memory for what is to be said");
}

static void say_auth(shoal_repl *repl)
{
    shoal_slice words[3] = {shoal_text("AUTH")};
    uint32_t count = 1;
    SHOAL_DEBUG_ASSERT(repl->settings.master_auth.size > 0);
    if (repl->settings.master_user.size != 0) words[count++] = repl->settings.master_user;
    words[count++] = repl->settings.master_auth;
    SHOAL_ASSERT(count <= 3);
    SHOAL_ASSERT(repl->master.state == REPL_LINK_AUTH);
    send_words(repl, words, count);
}

static void say_psync(shoal_repl *repl)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_slice words[4] = {shoal_text("PSYNC"), shoal_text("?"), shoal_text("-1"),
                            shoal_text("FAILOVER")};
    bool gives = repl->failover.stage == REPL_FAILOVER_TURN;
    /* The first of a node's histories that nobody has written to yet is none. */
    if (!shoal_log_torn(repl->log) && repl->synced) {
        words[1] = shoal_text(repl->id);
        words[2] = (shoal_slice){digits, shoal_text_from_u64(digits, shoal_log_end(repl->log) + 1)};
    }
    SHOAL_ASSERT(repl->master.state == REPL_LINK_PSYNC);
    SHOAL_ASSERT(words[1].size == 1 || words[1].size == SHOAL_REPL_ID_LEN);
    SHOAL_ASSERT((words[1].size == 1) == (words[2].data[0] == '-'));
    shoal_repl__log(repl, REPL_NOTICE, "Trying a partial resynchronization (request %.*s:%.*s).",
                    (int)words[1].size, words[1].data, (int)words[2].size, words[2].data);
    send_words(repl, words, gives ? 4 : 3);
}

void shoal_repl__say(shoal_repl *repl)
{
    char digits[SHOAL_TEXT_INTEGER_SIZE];
    shoal_slice words[WORDS_MAX] = {shoal_text("REPLCONF")};
    SHOAL_ASSERT(repl->master.link != 0);
    SHOAL_ASSERT(repl->master.state >= REPL_LINK_PING && repl->master.state <= REPL_LINK_PSYNC);
    switch (repl->master.state) {
    case REPL_LINK_PING:
        words[0] = shoal_text("PING");
        send_words(repl, words, 1);
        return;
    case REPL_LINK_AUTH: say_auth(repl); return;
    case REPL_LINK_PORT:
        words[1] = shoal_text("listening-port");
        words[2] = (shoal_slice){digits, shoal_text_from_u64(digits, repl->settings.port)};
        send_words(repl, words, 3);
        return;
    case REPL_LINK_IP:
        words[1] = shoal_text("ip-address");
        words[2] = repl->settings.announce_ip;
        send_words(repl, words, 3);
        return;
    case REPL_LINK_CAPA:
        words[1] = words[3] = shoal_text("capa");
        words[2] = shoal_text("eof");
        words[4] = shoal_text("psync2");
        send_words(repl, words, 5);
        return;
    case REPL_LINK_PSYNC: say_psync(repl); return;
    case REPL_LINK_NONE:
    case REPL_LINK_RETRY:
    case REPL_LINK_CONNECTING:
    case REPL_LINK_TRANSFER:
    case REPL_LINK_LOADING:
    case REPL_LINK_ONLINE: break;
    }
    SHOAL_UNREACHABLE();
}

/* ---- hearing ---- */

static bool begins(shoal_slice line, const char *word)
{
    size_t size = strlen(word);
    SHOAL_DEBUG_ASSERT(size > 0);
    SHOAL_ASSERT(line.data != NULL);
    return line.size >= size && memcmp(line.data, word, size) == 0;
}

/* The next word of a line, moved over. */
static shoal_slice next_word(shoal_slice *line)
{
    SHOAL_ASSERT(line->data != NULL);
    const char *end = line->data + line->size;
    while (line->size > 0 && line->data[0] == ' ')
        *line = (shoal_slice){line->data + 1, line->size - 1};
    size_t size = 0;
    while (size < line->size && line->data[size] != ' ') size++;
    SHOAL_DEBUG_ASSERT(size <= line->size);
    shoal_slice word = {line->data, size};
    *line = (shoal_slice){line->data + size, line->size - size};
    SHOAL_ASSERT(line->data + line->size == end);
    return word;
}

/* Tells core what this replica had, and what it gets. */
static void tell_full(const shoal_repl *repl, uint64_t offset)
{
    const repl_master *master = &repl->master;
    shoal_buffer detail = shoal_buffer_make(&repl->allocator);
    SHOAL_ASSERT(master->id[SHOAL_REPL_ID_LEN] == '\0');
    bool had = repl->synced && !shoal_log_torn(repl->log);
    shoal_text_appendf(&detail, "%s:%u up to %llu, here were %llu; %s, here %s", master->address.ip,
                       (unsigned)master->address.port, (unsigned long long)offset,
                       had ? (unsigned long long)shoal_log_end(repl->log) : 0ull, master->id,
                       had ? repl->id : "none");
    repl->face.full(repl->face.context, SHOAL_REPL_WHY_FROM_MASTER, shoal_buffer_slice(&detail));
    shoal_buffer_free(&detail);
}

/* +FULLRESYNC <id> <offset>. False when it is not that. */
static bool hear_full(shoal_repl *repl, shoal_slice line)
{
    repl_master *master = &repl->master;
    SHOAL_ASSERT(master->state == REPL_LINK_PSYNC && master->link != 0);
    (void)next_word(&line);
    shoal_slice id = next_word(&line), number = next_word(&line);
    uint64_t offset;
    if (!shoal_repl__is_id(id) || !shoal_text_to_u64(number, &offset) ||
        offset >= SHOAL_LOG_OFFSET_END)
        return false;
    memcpy(master->id, id.data, SHOAL_REPL_ID_LEN);
    master->id[SHOAL_REPL_ID_LEN] = '\0';
    master->offset = offset;
    shoal_repl__log(repl, REPL_NOTICE, "Full resync from master: %s:%llu", master->id,
                    (unsigned long long)offset);
    tell_full(repl, offset);
    shoal_repl__link_enter(repl, REPL_LINK_TRANSFER);
    SHOAL_ASSERT(master->received == 0 && !master->announced);
    return true;
}

/* +CONTINUE [<id>]. */
static void hear_continue(shoal_repl *repl, shoal_slice line)
{
    (void)next_word(&line);
    shoal_slice id = next_word(&line);
    SHOAL_ASSERT(repl->synced && repl->wants_log);
    SHOAL_ASSERT(repl->master.state == REPL_LINK_PSYNC);
    if (shoal_repl__is_id(id) && !shoal_text_equal(id, shoal_text(repl->id))) {
        /* The history goes on under another id. */
        memcpy(repl->id2, repl->id, sizeof repl->id2);
        repl->second_offset = shoal_log_end(repl->log) + 1;
        memcpy(repl->id, id.data, SHOAL_REPL_ID_LEN);
        shoal_repl__log(repl, REPL_NOTICE, "Master replication ID changed to %s", repl->id);
        shoal_repl__dismiss_all(repl, "the id of the history has changed");
    }
    shoal_repl__log(repl, REPL_NOTICE,
                    "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
    shoal_repl__link_enter(repl, REPL_LINK_ONLINE);
}

static void hear_psync(shoal_repl *repl, shoal_slice line)
{
    SHOAL_ASSERT(repl->master.state == REPL_LINK_PSYNC);
    SHOAL_ASSERT(repl->failover.stage != REPL_FAILOVER_SYNC);
    if (repl->failover.stage == REPL_FAILOVER_TURN) {
        /* Whatever else it says: it has taken the role, or it cannot. */
        if (begins(line, "-")) {
            shoal_repl__log(repl, REPL_WARNING, "Failover target rejected psync request: %.*s",
                            (int)line.size, line.data);
            shoal_repl__failover_refused(repl);
            return;
        }
        shoal_repl__failover_over(repl);
    }
    if (begins(line, "+FULLRESYNC")) {
        if (!hear_full(repl, line))
            shoal_repl__retry(repl, "the master's +FULLRESYNC makes no sense");
    } else if (begins(line, "+CONTINUE") && repl->synced) {
        hear_continue(repl, line);
    } else {
        shoal_repl__log(repl, REPL_WARNING, "Unexpected reply to PSYNC from master: %.*s",
                        (int)line.size, line.data);
        shoal_repl__retry(repl, "the master cannot synchronize now");
    }
}

static void go_on(shoal_repl *repl, repl_link_state state)
{
    SHOAL_ASSERT(state > REPL_LINK_PING && state <= REPL_LINK_PSYNC);
    SHOAL_ASSERT(state > repl->master.state);
    shoal_repl__link_enter(repl, state);
    shoal_repl__say(repl);
}

void shoal_repl__hear(shoal_repl *repl, shoal_slice line)
{
    bool failed = begins(line, "-");
    SHOAL_ASSERT(line.size > 0);
    SHOAL_ASSERT(repl->master.link != 0);
    switch (repl->master.state) {
    case REPL_LINK_PING:
        if (failed && !begins(line, "-NOAUTH") && !begins(line, "-NOPERM") &&
            !begins(line, "-ERR operation not permitted")) {
            shoal_repl__log(repl, REPL_WARNING, "Error reply to PING from master: '%.*s'",
                            (int)line.size, line.data);
            shoal_repl__retry(repl, "the master refuses a PING");
            return;
        }
        go_on(repl, repl->settings.master_auth.size != 0 ? REPL_LINK_AUTH : REPL_LINK_PORT);
        return;
    case REPL_LINK_AUTH:
        if (failed) {
            shoal_repl__log(repl, REPL_WARNING, "Unable to AUTH to MASTER: %.*s", (int)line.size,
                            line.data);
            shoal_repl__retry(repl, "the master refuses the password");
            return;
        }
        go_on(repl, REPL_LINK_PORT);
        return;
    case REPL_LINK_PORT:
        go_on(repl, repl->settings.announce_ip.size != 0 ? REPL_LINK_IP : REPL_LINK_CAPA);
        return;
    case REPL_LINK_IP: go_on(repl, REPL_LINK_CAPA); return;
    case REPL_LINK_CAPA: go_on(repl, REPL_LINK_PSYNC); return;
    case REPL_LINK_PSYNC: hear_psync(repl, line); return;
    case REPL_LINK_NONE:
    case REPL_LINK_RETRY:
    case REPL_LINK_CONNECTING:
    case REPL_LINK_TRANSFER:
    case REPL_LINK_LOADING:
    case REPL_LINK_ONLINE: break;
    }
    SHOAL_UNREACHABLE();
}
