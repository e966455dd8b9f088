/* SPDX-License-Identifier: MIT
 *
 * core/info.h - the sections of INFO, between the file that walks them and those that write them.
 */
#ifndef SHOAL_CORE_INFO_H
#define SHOAL_CORE_INFO_H

#include "core/node.h"

/* Appends "name:value" lines of one section. */
typedef void (*shoal_info_section)(const shoal_node *node, shoal_buffer *out);

void shoal_info__server(const shoal_node *node, shoal_buffer *out);
void shoal_info__clients(const shoal_node *node, shoal_buffer *out);
void shoal_info__memory(const shoal_node *node, shoal_buffer *out);
void shoal_info__persistence(const shoal_node *node, shoal_buffer *out);
void shoal_info__stats(const shoal_node *node, shoal_buffer *out);
void shoal_info__replication(const shoal_node *node, shoal_buffer *out);
void shoal_info__cpu(const shoal_node *node, shoal_buffer *out);
void shoal_info__commandstats(const shoal_node *node, shoal_buffer *out);
void shoal_info__errorstats(const shoal_node *node, shoal_buffer *out);
void shoal_info__cluster(const shoal_node *node, shoal_buffer *out);
void shoal_info__keyspace(const shoal_node *node, shoal_buffer *out);

/* Appends "name:number". */
void shoal_info__number(shoal_buffer *out, const char *name, uint64_t number);
/* Appends "name:text". */
void shoal_info__text(shoal_buffer *out, const char *name, const char *text);

#endif
