/* Export: every device, then every module, a line each, page by page; so memory stays what a page
 * takes. */
#include "hub/transfers/parts.h"
#include "model/json_text.h"

enum { PAGE = 50 };

struct exporting {
    struct transfer *transfer; /* NULL: it stops with what is under way */
    struct place_writer *writer;
    struct configurations_work *configurations;
    bool modules;
    uint64_t after; /* how far it has come */
    uint64_t done;
    bool reading, full;
};

static void read_page(struct exporting *e);

static void stop(void *work) {
    struct exporting *e = work;
    e->transfer = NULL;
    place_write_free(e->writer);
    configurations_work_free(e->configurations);
    if (!e->reading) free(e);
}

static void put_line(struct exporting *e, const struct sk_registry_entry *entry) {
    struct sk_buffer text = {0};
    json_t *line = transfer_line(entry, e->transfer->without_keys);
    sk_json_put(&text, line, 0);
    sk_buffer_byte(&text, '\n');
    json_decref(line);
    if (!place_write_part(e->writer, sk_buffer_span(&text))) e->full = true;
    sk_buffer_free(&text);
    e->done++;
}

static void got_page(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_found *list) {
    struct exporting *e = arg;
    e->reading = false;
    if (e->transfer == NULL) {
        free(e);
        return;
    }
    if (end->status) {
        transfer_end(e->transfer, sk_status_text(end->status));
        return;
    }
    struct sk_registry_counts counts = sk_registry_counts(e->transfer->hub->registry);
    for (size_t i = 0; i < list->count; i++) put_line(e, &list->entries[i]);
    e->after = list->after;
    transfer_progress(e->transfer, e->done, counts.devices + counts.modules);
    if (!list->more && e->modules) {
        place_write_end(e->writer);
        return;
    }
    if (!list->more) {
        e->modules = true;
        e->after = 0;
    }
    if (!e->full) read_page(e);
}

static void read_page(struct exporting *e) {
    e->reading = true;
    sk_registry_find_twins(
        e->transfer->hub->registry,
        &(struct sk_registry_search){.modules = e->modules, .after = e->after, .max = PAGE},
        got_page, e);
}

static void configurations_done(void *arg, const char *reason) {
    struct exporting *e = arg;
    transfer_end(e->transfer, reason);
}

/* The writer has room again, or the blob is there, or cannot be. */
static void moved(void *arg) {
    struct exporting *e = arg;
    if (place_write_status(e->writer) != SK_AGAIN) {
        const char *reason = place_write_reason(e->writer);
        if (!reason && e->transfer->configurations)
            e->configurations = configurations_export(e->transfer, configurations_done, e);
        else
            transfer_end(e->transfer, reason);
    } else if (e->full) {
        e->full = false;
        if (!e->reading) read_page(e);
    }
}

static void *start(struct transfer *transfer) {
    struct exporting *e = SK_NEW(struct exporting);
    e->transfer = transfer;
    e->writer = place_write(transfer->hub, transfer->output,
                            transfer_blob(transfer, "outputBlobName", "devices.txt"), moved, e);
    read_page(e);
    return e;
}

const struct transfer_kind transfer_export = {"export", start, stop};
