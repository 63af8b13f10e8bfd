/* Rows of a table: see table.c. */
#ifndef SK_HUB_ENDPOINTS_TABLE_H
#define SK_HUB_ENDPOINTS_TABLE_H

#include "hub/hub.h"
#include "model/message.h"

enum { TABLE_COLUMNS_MAX = 10 };
#define TABLE_COLUMNS                                                                              \
    "hub, sequence, enqueued, source, device, module, properties, system, body, raw"

bool table_name_fine(struct sk_span name, char why[SK_CONFIG_WHY_MAX]);
/* "which" or "name=which". */
bool table_column_fine(struct sk_span column, char why[SK_CONFIG_WHY_MAX]);

/* Statements that make the table, and that put so many rows into it; each ends with a NUL. */
void table_put_create(const struct sk_hub_endpoint *options, struct sk_buffer *sql);
void table_put_insert(const struct sk_hub_endpoint *options, size_t rows, struct sk_buffer *sql);
size_t table_column_count(const struct sk_hub_endpoint *options);
/* A row's values, one for each column; texts of the message or the arena. */
void table_row(const struct sk_hub_endpoint *options, const char *hub,
               const struct sk_message *message, struct sk_arena *arena, struct sk_span *values);

#endif
