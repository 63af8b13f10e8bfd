/* How files of messages are written, wherever they are. */
#include "hub/endpoints/files.h"

#include <stdio.h>

static struct sk_io *io_of(const struct writer *w) {
    return w->endpoint->hub->backend.io;
}

static void forget(struct part *part) {
    part->writer->place->forget(part);
    message_file_free(&part->file);
    sk_buffer_free(&part->bytes);
    sk_buffer_free(&part->name);
    *part = (struct part){.writer = part->writer, .number = part->number};
}

static void forget_all(struct writer *w) {
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) forget(&w->parts[i]);
    w->bytes = 0;
    w->finishing = false;
}

static void free_writer(struct writer *w) {
    forget_all(w);
    free(w);
}

static void fail(struct writer *w) {
    const char *to =
        w->endpoint->options->entity ? w->endpoint->options->entity : w->endpoint->options->to;
    forget_all(w);
    if (w->why[0])
        endpoint_ended(w->endpoint, ENDPOINT_AGAIN, 0, "%s", w->why);
    else
        endpoint_ended(w->endpoint, ENDPOINT_AGAIN, 0, "%s cannot be written: %s", to,
                       sk_status_text(w->status));
}

/* ---- names ---- */

static void put_name(struct part *part) {
    const struct endpoint *e = part->writer->endpoint;
    part->name.n = 0;
    message_file_name(e->options->file_name, e->hub->options->name, part->number, part->begun_us,
                      &part->name);
    if (part->copy) sk_buffer_print(&part->name, "_%02u", part->copy);
    sk_buffer_text(&part->name, part->file.encoding == MESSAGE_FILE_JSON ? ".json" : ".avro");
    sk_buffer_byte(&part->name, 0);
}

/* SK_NOT_FOUND: its name is free. */
static void named(struct part *part, enum sk_status status) {
    if (status == SK_NOT_FOUND && !part->writer->closed)
        part->writer->place->write(part);
    else
        part_moved(part, status == SK_NOT_FOUND ? SK_CLOSED : status);
}

/* The first name of the minute that is free. */
static void find_name(struct part *part) {
    enum sk_status status;
    do {
        put_name(part);
        status = part->writer->place->look(part);
    } while (status == SK_OK && ++part->copy);
    if (status != SK_AGAIN) named(part, status);
}

void part_looked(struct part *part, enum sk_status status) {
    if (status != SK_OK || part->writer->closed) {
        named(part, status ? status : SK_CLOSED);
        return;
    }
    part->copy++;
    find_name(part);
}

/* ---- a batch ---- */

void part_moved(struct part *part, enum sk_status status) {
    struct writer *w = part->writer;
    w->bytes += part->bytes.n;
    part->written += part->bytes.n;
    sk_buffer_shrink(&part->bytes, 0);
    if (status && !w->status) w->status = status;
    if (--w->busy) return;
    if (w->closed) {
        free_writer(w);
    } else if (w->status) {
        fail(w);
    } else if (w->finishing) {
        forget_all(w);
        endpoint_ended(w->endpoint, ENDPOINT_SENT, w->endpoint->batch.count, NULL);
    } else if (w->bytes >= w->endpoint->options->file_bytes) {
        writer_flush(w->endpoint);
    } else {
        endpoint_ended(w->endpoint, ENDPOINT_HELD, 0, NULL);
    }
}

static void put_message(struct writer *w, const struct sk_message *message) {
    struct part *part = &w->parts[sk_partition_of(w->endpoint->hub->partitions, message->device)];
    if (!part->begun) {
        char sync[MESSAGE_FILE_SYNC];
        sk_io_random(io_of(w), sync, sizeof sync);
        part->begun = true;
        part->begun_us = sk_io_wall(io_of(w));
        message_file_begin(&part->file, (enum message_file_encoding)w->endpoint->options->encoding,
                           sync, &part->bytes);
    }
    message_file_add(&part->file, message, &part->bytes);
}

static void put_batch(struct writer *w) {
    struct endpoint *e = w->endpoint;
    struct sk_arena arena = {0};
    struct sk_message message;
    for (size_t i = 0; i < e->batch.count; i++) {
        sk_arena_reset(&arena);
        if (endpoint_message(e, i, &arena, &message) == SK_OK) put_message(w, &message);
    }
    sk_arena_free(&arena);
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++)
        if (w->parts[i].begun) message_file_end_block(&w->parts[i].file, &w->parts[i].bytes);
}

void writer_send(struct endpoint *e) {
    struct writer *w = e->state;
    w->why[0] = 0;
    w->status = w->place->ready(w);
    if (w->status) {
        fail(w);
        return;
    }
    put_batch(w);
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) w->busy += w->parts[i].bytes.n > 0;
    if (w->busy == 0) endpoint_ended(e, ENDPOINT_HELD, 0, NULL);
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) {
        struct part *part = &w->parts[i];
        if (part->bytes.n == 0) continue;
        if (part->name.n)
            w->place->write(part);
        else
            find_name(part);
    }
}

void writer_flush(struct endpoint *e) {
    struct writer *w = e->state;
    w->why[0] = 0;
    w->status = SK_OK;
    w->finishing = true;
    w->busy = 1; /* so that none of them is the last before all have begun */
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) {
        if (!w->parts[i].begun) continue;
        w->busy++;
        w->place->finish(&w->parts[i]);
    }
    part_moved(&w->parts[0], SK_OK);
}

/* ---- life ---- */

void writer_close(struct endpoint *e) {
    struct writer *w = e->state;
    if (w == NULL) return;
    e->state = NULL;
    w->closed = true;
    w->busy++;
    w->place->close(w);
    if (--w->busy == 0) free_writer(w);
}

enum sk_status writer_open(struct endpoint *e, const struct place *place, char reason[512]) {
    struct writer *w = e->state = SK_NEW(struct writer);
    w->endpoint = e;
    w->place = place;
    for (unsigned i = 0; i < SK_PARTITIONS_MAX; i++)
        w->parts[i] = (struct part){.writer = w, .number = i};
    return place->open(w, reason);
}
