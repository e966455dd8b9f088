/* SPDX-License-Identifier: MIT
 *
 * viz/model/news.c - one sentence for each kind of interesting record. A row of the table says
 * how: a format with %s for the label of the node that the record speaks of, or for its text.
 */
#include "viz/model/news.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void shoal_news_label(const shoal_model *model, shoal_slice name, char out[24])
{
    for (uint32_t i = 0; i < model->name_count; i++) {
        const shoal_model_name *known = &model->names[i];
        if (name.size != SHOAL_NODE_NAME_LEN || known->node < 0) continue;
        if (memcmp(known->name, name.data, name.size) != 0) continue;
        snprintf(out, 24, "%s", model->nodes[known->node].label);
        return;
    }
    snprintf(out, 24, "%.*s", (int)(name.size < 8 ? name.size : 8), name.data ? name.data : "");
}

/* Records whose text is the name of a node. */
static const char *about_a_node(shoal_trace_kind kind)
{
    switch (kind) {
    case SHOAL_TRACE_PFAIL: return "suspects %s: no answer within the node timeout (PFAIL)";
    case SHOAL_TRACE_PFAIL_CLEARED: return "no longer suspects %s";
    case SHOAL_TRACE_FAIL: return "holds %s for failed (FAIL)";
    case SHOAL_TRACE_FAIL_CLEARED: return "sees %s alive again";
    case SHOAL_TRACE_NODE_FORGOTTEN: return "has forgotten %s";
    default: return NULL;
    }
}

static void tell_slots(const shoal_model *model, const shoal_trace_record *record, char *out,
                       size_t room)
{
    size_t length =
        record->text.size < SHOAL_NODE_NAME_LEN ? record->text.size : SHOAL_NODE_NAME_LEN;
    char label[24];
    shoal_news_label(model, (shoal_slice){record->text.data, length}, label);
    snprintf(out, room, "knows %s as the owner of %" PRIu64 " slots (epoch %" PRIu64 ")", label,
             record->a, record->b);
}

static void tell_state(const shoal_trace_record *record, char *out, size_t room)
{
    snprintf(out, room, "cluster state %s (%" PRIu64 " slots served)",
             record->a ? "ok" : "fail: stops serving", record->c);
}

/* Why a node decided against something, in the words of its reason. */
static const char *why_not(uint64_t reason)
{
    switch (reason) {
#define SHOAL_WHY_NOT(name, value, text) \
    case value:                          \
        return text;
#include "cluster/reasons.def"
#undef SHOAL_WHY_NOT
    default: return "for a reason that this build does not know";
    }
}

static void tell_plain(const shoal_trace_record *record, char *out, size_t room)
{
    int length = record->text.size < room ? (int)record->text.size : (int)room - 1;
    const char *text = record->text.data ? record->text.data : "";
    switch (record->kind) {
    case SHOAL_TRACE_READY: snprintf(out, room, "is ready to accept connections"); break;
    case SHOAL_TRACE_NODE_STARTED:
        snprintf(out, room, "process started%s", record->c ? " again" : "");
        break;
    case SHOAL_TRACE_NODE_CRASHED: snprintf(out, room, "process CRASHED"); break;
    case SHOAL_TRACE_EXPECT:
        snprintf(out, room, "%.*s: %s", length, text, record->b ? "held" : "VIOLATED");
        break;
    case SHOAL_TRACE_FAULT: snprintf(out, room, "schedule: %.*s", length, text); break;
    case SHOAL_TRACE_FRAME_REFUSED:
        snprintf(out, room, "refused a frame: %.*s", length, text);
        break;
    case SHOAL_TRACE_WHY_NOT:
        snprintf(out, room, "not yet: %s (%.*s)", why_not(record->a), length, text);
        break;
    default: snprintf(out, room, "%.*s", length, text); break;
    }
}

static bool is_name_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Node names are 40 digits long and say nothing: in sentences they become labels. */
static void shorten_names(const shoal_model *model, char *text)
{
    char *out = text;
    for (const char *at = text; *at;) {
        size_t length = 0;
        while (is_name_digit(at[length])) length++;
        if (length != SHOAL_NODE_NAME_LEN) {
            size_t size = length ? length : 1;
            memmove(out, at, size);
            out += size;
            at += size;
            continue;
        }
        char label[24];
        shoal_news_label(model, (shoal_slice){at, length}, label);
        at += length;
        out += strlen(strcpy(out, label)); /* a label is shorter than a name */
    }
    *out = 0;
}

void shoal_news_tell(const shoal_model *model, const shoal_trace_entry *entry, shoal_news *news)
{
    const shoal_trace_record *record = &entry->record;
    news->time_us = entry->time_us;
    news->node = entry->node;
    news->kind = record->kind;
    const char *format = about_a_node(record->kind);
    if (format) {
        char label[24];
        shoal_news_label(model, record->text, label);
        const char *hole = strstr(format, "%s");
        snprintf(news->text, sizeof news->text, "%.*s%s%s", (int)(hole - format), format, label,
                 hole + 2);
    } else if (record->kind == SHOAL_TRACE_SLOTS) {
        tell_slots(model, record, news->text, sizeof news->text);
    } else if (record->kind == SHOAL_TRACE_CLUSTER_STATE) {
        tell_state(record, news->text, sizeof news->text);
    } else {
        tell_plain(record, news->text, sizeof news->text);
        shorten_names(model, news->text);
    }
}
