/* Containers, and what is read and written there. */
#include "hub/transfers/parts.h"

enum { CHUNK = 64 * 1024 };

/* ---- containers ---- */

struct place *place_of(struct sk_hub *hub, const json_t *body, const char *member, unsigned rights,
                       const char **why) {
    struct sk_arena arena = {0};
    struct sk_span uri = sk_span_z(json_string_value(json_object_get(body, member)));
    struct sk_span name = hub_blobs_container_of(hub, uri, rights, &arena, why);
    struct place *place = NULL;
    if (name.n) {
        place = SK_NEW(struct place);
        place->name = sk_span_dup(name);
    }
    sk_arena_free(&arena);
    return place;
}

json_t *place_to_json(const struct place *place) {
    return place ? json_pack("{s:s}", "name", place->name) : json_null();
}

struct place *place_from_json(const json_t *json) {
    const char *name = json_string_value(json_object_get(json, "name"));
    if (name == NULL) return NULL;
    struct place *place = SK_NEW(struct place);
    place->name = sk_text_dup(name);
    return place;
}

void place_free(struct place *place) {
    if (place == NULL) return;
    free(place->name);
    free(place);
}

/* ---- reading ---- */

struct place_reader {
    struct hub_blob_reader *blob;
    enum sk_status status;
    bool dropped;
    void (*moved)(void *arg);
    void *arg;
};

static void opened(void *arg, enum sk_status status, struct hub_blob_reader *blob) {
    struct place_reader *reader = arg;
    reader->blob = blob;
    reader->status = status;
    if (reader->dropped)
        place_read_free(reader);
    else
        reader->moved(reader->arg);
}

struct place_reader *place_read(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                                uint64_t from, void (*moved)(void *arg), void *arg) {
    struct place_reader *reader = SK_NEW(struct place_reader);
    *reader = (struct place_reader){.status = SK_AGAIN, .moved = moved, .arg = arg};
    hub_blob_read(hub, sk_span_z(place->name), blob, from, opened, reader);
    return reader;
}

enum sk_status place_read_part(struct place_reader *reader, char *to, size_t n, size_t *got) {
    return reader->status ? reader->status : hub_blob_read_part(reader->blob, to, n, got);
}

uint64_t place_read_size(const struct place_reader *reader) {
    return hub_blob_read_size(reader->blob);
}

struct sk_span place_read_etag(const struct place_reader *reader) {
    return hub_blob_read_etag(reader->blob);
}

void place_read_free(struct place_reader *reader) {
    if (reader == NULL) return;
    reader->dropped = true;
    if (reader->status == SK_AGAIN) return; /* it goes when it is opened */
    if (reader->blob) hub_blob_read_free(reader->blob);
    free(reader);
}

/* ---- lines ---- */

/* More of the blob behind what is there. */
static enum sk_status read_more(struct place_lines *lines) {
    size_t got = 0;
    sk_buffer_consume(&lines->text, lines->taken);
    lines->base += lines->taken;
    lines->taken = 0;
    char *to = sk_buffer_reserve(&lines->text, CHUNK);
    enum sk_status status = place_read_part(lines->reader, to, CHUNK, &got);
    if (status) return status;
    lines->text.n += got;
    lines->at_end = got == 0;
    return SK_OK;
}

enum sk_status place_next_line(struct place_lines *lines, size_t max, struct sk_span *line) {
    for (;;) {
        struct sk_span rest = sk_span_skip(sk_buffer_span(&lines->text), lines->taken);
        size_t end = sk_span_find(rest, '\n');
        if (end < rest.n || (lines->at_end && rest.n)) {
            *line = sk_span_first(rest, end);
            lines->taken += end < rest.n ? end + 1 : end;
            return end > max ? SK_TOO_LARGE : SK_OK;
        }
        if (lines->at_end) return SK_CLOSED;
        if (rest.n > max) return SK_TOO_LARGE;
        enum sk_status status = read_more(lines);
        if (status) return status;
    }
}

uint64_t place_lines_read(const struct place_lines *lines) {
    return lines->base + lines->taken;
}

void place_lines_free(struct place_lines *lines) {
    place_read_free(lines->reader);
    lines->reader = NULL;
    sk_buffer_free(&lines->text);
}

/* ---- writing ---- */

struct place_writer *place_write(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                                 void (*moved)(void *arg), void *arg) {
    return (struct place_writer *)hub_blob_write(hub, sk_span_z(place->name), blob, moved, arg);
}

bool place_write_part(struct place_writer *writer, struct sk_span bytes) {
    return hub_blob_write_part((struct hub_blob_writer *)writer, bytes);
}

void place_write_end(struct place_writer *writer) {
    hub_blob_write_end((struct hub_blob_writer *)writer);
}

enum sk_status place_write_status(const struct place_writer *writer) {
    return hub_blob_write_status((const struct hub_blob_writer *)writer);
}

void place_write_free(struct place_writer *writer) {
    if (writer) hub_blob_write_free((struct hub_blob_writer *)writer);
}
