/* SPDX-License-Identifier: MIT
 *
 * core/info.h - the sections of INFO, between the file that walks them and those that write them.
 */
#ifndef SHOAL_CORE_INFO_H
#define SHOAL_CORE_INFO_H

#include "core/node.h"

/* Appends "name:value" lines of one section. */
typedef void (*shoal_info_section)(const shoal_node *node, shoal_buffer *out);

/* Server: version, process, clocks. */
void shoal_info__server(const shoal_node *node, shoal_buffer *out);
/* Clients: how many there are. */
void shoal_info__clients(const shoal_node *node, shoal_buffer *out);
/* Memory: what data takes, what the process takes. */
void shoal_info__memory(const shoal_node *node, shoal_buffer *out);
/* Persistence: loading, snapshots, the append-only file. */
void shoal_info__persistence(const shoal_node *node, shoal_buffer *out);
/* Stats: counters and rates of traffic and keys. */
void shoal_info__stats(const shoal_node *node, shoal_buffer *out);
/* Replication: role and offsets. */
void shoal_info__replication(const shoal_node *node, shoal_buffer *out);
/* CPU: processor time, as the host tells it. */
void shoal_info__cpu(const shoal_node *node, shoal_buffer *out);
/* Commandstats: calls of each command that was called. */
void shoal_info__commandstats(const shoal_node *node, shoal_buffer *out);
/* Latencystats: within which time how many percent of the calls of a command were over. */
void shoal_info__latencystats(const shoal_node *node, shoal_buffer *out);
/* Errorstats: error replies by their first word. */
void shoal_info__errorstats(const shoal_node *node, shoal_buffer *out);
/* Cluster: whether the node is a member of one. */
void shoal_info__cluster(const shoal_node *node, shoal_buffer *out);
/* Keyspace: keys of each database that has some. */
void shoal_info__keyspace(const shoal_node *node, shoal_buffer *out);
/* Appends "name:number". */
void shoal_info__number(shoal_buffer *out, const char *name, uint64_t number);
/* Appends "name:text". */
void shoal_info__text(shoal_buffer *out, const char *name, const char *text);

#endif
