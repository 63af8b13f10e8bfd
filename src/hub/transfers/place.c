/* Containers, and what is read and written there. */
#include "hub/account.h"
#include "hub/transfers/parts.h"

enum { CHUNK = 64 * 1024 };

/* ---- containers ---- */

static struct place *new_place(struct sk_span name, bool away) {
    struct place *place = SK_NEW(struct place);
    *place = (struct place){sk_span_dup(name), away};
    return place;
}

struct place *place_of(struct sk_hub *hub, const json_t *body, const char *member, unsigned rights,
                       const char **why) {
    struct sk_arena arena = {0};
    struct sk_span uri = sk_span_z(json_string_value(json_object_get(body, member))),
                   name = SK_NONE;
    const struct hub_account *account = hub_files_account(hub);
    *why = NULL;
    if (account) name = hub_account_container_of(account, uri, rights, &arena, why);
    bool away = *why != NULL;
    if (!away) name = hub_blobs_container_of(hub, uri, rights, &arena, why);
    if (name.n && !hub_blobs_container_fine(name, NULL)) {
        *why = "it does not lead to a container of the storage account";
        name = SK_NONE;
    }
    struct place *place = name.n ? new_place(name, away) : NULL;
    sk_arena_free(&arena);
    return place;
}

json_t *place_to_json(const struct place *place) {
    return place ? json_pack("{s:s,s:b}", "name", place->name, "away", place->away) : json_null();
}

struct place *place_from_json(const json_t *json) {
    const char *name = json_string_value(json_object_get(json, "name"));
    return name ? new_place(sk_span_z(name), json_is_true(json_object_get(json, "away"))) : NULL;
}

void place_free(struct place *place) {
    if (place == NULL) return;
    free(place->name);
    free(place);
}

/* ---- reading ---- */

struct place_reader {
    bool is_away;
    struct away_reader away;
    /* of the hub's own: */
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
    *reader = (struct place_reader){
        .is_away = place->away, .status = SK_AGAIN, .moved = moved, .arg = arg};
    if (place->away) {
        reader->away.away = away_new(hub, place, blob, moved, arg);
        away_read(&reader->away, from);
    } else {
        hub_blob_read(hub, sk_span_z(place->name), blob, from, opened, reader);
    }
    return reader;
}

enum sk_status place_read_part(struct place_reader *reader, char *to, size_t n, size_t *got) {
    if (reader->is_away) return away_read_part(&reader->away, to, n, got);
    return reader->status ? reader->status : hub_blob_read_part(reader->blob, to, n, got);
}

uint64_t place_read_size(const struct place_reader *reader) {
    return reader->is_away ? reader->away.size : hub_blob_read_size(reader->blob);
}

struct sk_span place_read_etag(const struct place_reader *reader) {
    return reader->is_away ? sk_buffer_span(&reader->away.etag) : hub_blob_read_etag(reader->blob);
}

void place_read_free(struct place_reader *reader) {
    if (reader == NULL) return;
    reader->dropped = true;
    if (reader->is_away) {
        away_free(reader->away.away);
        sk_buffer_free(&reader->away.text);
        sk_buffer_free(&reader->away.etag);
    } else if (reader->status == SK_AGAIN) {
        return; /* it goes when it is opened */
    } else if (reader->blob) {
        hub_blob_read_free(reader->blob);
    }
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

struct place_writer {
    struct hub_blob_writer *blob; /* NULL: it is away */
    struct away_writer away;
};

struct place_writer *place_write(struct sk_hub *hub, const struct place *place, struct sk_span blob,
                                 void (*moved)(void *arg), void *arg) {
    struct place_writer *writer = SK_NEW(struct place_writer);
    writer->away.status = SK_AGAIN;
    if (place->away)
        writer->away.away = away_new(hub, place, blob, moved, arg);
    else
        writer->blob = hub_blob_write(hub, sk_span_z(place->name), blob, moved, arg);
    return writer;
}

bool place_write_part(struct place_writer *writer, struct sk_span bytes) {
    return writer->blob ? hub_blob_write_part(writer->blob, bytes)
                        : away_write_part(&writer->away, bytes);
}

void place_write_end(struct place_writer *writer) {
    if (writer->blob)
        hub_blob_write_end(writer->blob);
    else
        away_write_end(&writer->away);
}

enum sk_status place_write_status(const struct place_writer *writer) {
    return writer->blob ? hub_blob_write_status(writer->blob) : writer->away.status;
}

const char *place_write_reason(const struct place_writer *writer) {
    switch (place_write_status(writer)) {
    case SK_OK: return NULL;
    case SK_NO_SPACE: return "a blob cannot be written: the disk is full";
    case SK_NOT_FOUND: return "a blob cannot be written: its container is not there";
    default: return "a blob cannot be written";
    }
}

void place_write_free(struct place_writer *writer) {
    if (writer == NULL) return;
    if (writer->blob)
        hub_blob_write_free(writer->blob);
    else
        away_free(writer->away.away);
    sk_buffer_free(&writer->away.gathering);
    free(writer);
}
