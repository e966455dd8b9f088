/* SPDX-License-Identifier: MIT
 *
 * viz/model/news.h - turns trace entries into sentences that a person reads. Used by the model
 * alone.
 */
#ifndef SHOAL_VIZ_NEWS_H
#define SHOAL_VIZ_NEWS_H

#include "viz/model/model.h"

/* Writes the sentence for an interesting entry into `news`, with nodes called by their labels
 * where the model knows them. */
void shoal_news_tell(const shoal_model *model, const shoal_trace_entry *entry, shoal_news *news);

/* "n3", or the first eight characters of the name when no node is known by it. `out` has room
 * for 24 bytes. */
void shoal_news_label(const shoal_model *model, shoal_slice name, char out[24]);

#endif
