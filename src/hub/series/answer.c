/* Columns to JSON. */
#include <stdio.h>

#include "hub/series/parts.h"

void series_time_text(int64_t ms, char text[SK_TIME_TEXT]) {
    /* an interval may begin before the first year, or end behind the last */
    if (ms < SK_SERIES_TIME_MIN) ms = SK_SERIES_TIME_MIN;
    if (ms > SK_SERIES_TIME_MAX) ms = SK_SERIES_TIME_MAX;
    sk_time_text(ms * 1000, text); /* 2026-01-01T00:00:00.1230000Z */
    memcpy(text + (ms % 1000 ? 23 : 19), "Z", 2);
}

void series_put_time(struct sk_buffer *to, int64_t ms) {
    char text[SK_TIME_TEXT];
    series_time_text(ms, text);
    sk_buffer_print(to, "\"%s\"", text);
}

static void put_value(struct sk_buffer *to, enum sk_series_type type, union sk_series_value value) {
    char text[SK_REAL_TEXT];
    switch (type) {
    case SK_SERIES_BOOL: sk_buffer_text(to, value.boolean ? "true" : "false"); break;
    case SK_SERIES_DATETIME: series_put_time(to, value.integer); break;
    case SK_SERIES_DOUBLE:
        sk_real_text(value.number, text);
        sk_buffer_text(to, text);
        break;
    case SK_SERIES_STRING: sk_json_string(to, value.text); break;
    case SK_SERIES_DYNAMIC: sk_buffer_append(to, value.text); break; /* is JSON */
    default: sk_buffer_print(to, "%lld", (long long)value.integer);  /* a TimeSpan in ms */
    }
}

void series_put_answer(struct sk_buffer *to, const struct sk_series_answer *answer,
                       const char *continuation) {
    sk_buffer_text(to, "{\"timestamps\":[");
    for (size_t i = 0; i < answer->count; i++) {
        if (i) sk_buffer_byte(to, ',');
        series_put_time(to, answer->times[i]);
    }
    sk_buffer_text(to, "],\"properties\":[");
    for (size_t c = 0; c < answer->column_count; c++) {
        const struct sk_series_answer_column *column = &answer->columns[c];
        sk_buffer_text(to, c ? ",{\"name\":" : "{\"name\":");
        sk_json_string(to, column->property.name);
        sk_buffer_print(to, ",\"type\":\"%s\",\"values\":[",
                        series_type_names[column->property.type]);
        for (size_t i = 0; i < answer->count; i++) {
            if (i) sk_buffer_byte(to, ',');
            if (column->null[i])
                sk_buffer_text(to, "null");
            else
                put_value(to, column->property.type, column->values[i]);
        }
        sk_buffer_text(to, "]}");
    }
    sk_buffer_print(to, "],\"progress\":%.6g,\"continuationToken\":", answer->progress);
    if (continuation)
        sk_json_string(to, sk_span_z(continuation));
    else
        sk_buffer_text(to, "null");
    sk_buffer_byte(to, '}');
}
