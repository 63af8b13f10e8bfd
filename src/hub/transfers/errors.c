/* What lines of an import could not do: documents while it runs, lines of a blob at its end. */
#include <stdio.h>

#include "hub/transfers/parts.h"

enum { PAGE = 100 };
#define ERRORS SK_SPAN("importErrors.log")

static void put_kind(char kind[64], struct sk_span job_id) {
    snprintf(kind, 64, "%s%.*s", TRANSFER_ERRORS, SK_ARG(job_id));
}

struct hub_import_note error_note(const struct transfer *transfer, bool of_configuration,
                                  uint64_t line, struct sk_span progress,
                                  struct error_texts *texts) {
    struct sk_span id = transfer_text(transfer, "jobId");
    put_kind(texts->kind, id);
    snprintf(texts->key, sizeof texts->key, "%s%0*llu", of_configuration ? "c" : "", 16,
             (unsigned long long)line);
    return (struct hub_import_note){.kind = TRANSFER_PROGRESS,
                                    .key = id,
                                    .progress = progress,
                                    .failure_kind = sk_span_z(texts->kind),
                                    .failure_key = sk_span_z(texts->key)};
}

/* ---- written ---- */

struct errors_work {
    struct transfer *transfer;
    struct place_writer *writer; /* NULL: there were none yet */
    char kind[64];
    char *after;
    bool asking, dropped, full;
    transfer_done *done;
    void *arg;
};

void errors_work_free(struct errors_work *work) {
    if (work == NULL) return;
    work->dropped = true;
    place_write_free(work->writer);
    work->writer = NULL;
    if (work->asking) return;
    free(work->after);
    free(work);
}

static void next_page(struct errors_work *work);

static void moved(void *arg) {
    struct errors_work *work = arg;
    if (place_write_status(work->writer) != SK_AGAIN) {
        work->done(work->arg, place_write_reason(work->writer));
    } else if (work->full) {
        work->full = false;
        next_page(work);
    }
}

static void put(struct errors_work *work, struct sk_span line) {
    if (work->writer == NULL)
        work->writer =
            place_write(work->transfer->hub, work->transfer->output, ERRORS, moved, work);
    struct sk_buffer text = {0};
    sk_buffer_append(&text, line);
    sk_buffer_byte(&text, '\n');
    if (!place_write_part(work->writer, sk_buffer_span(&text))) work->full = true;
    sk_buffer_free(&text);
}

static void got_page(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_documents *list) {
    struct errors_work *work = arg;
    work->asking = false;
    if (work->dropped) {
        errors_work_free(work);
        return;
    }
    for (size_t i = 0; i < list->count; i++) put(work, list->documents[i].bytes);
    if (end->status) {
        work->done(work->arg, sk_status_text(end->status));
    } else if (list->count) {
        free(work->after);
        work->after = sk_span_dup(list->documents[list->count - 1].key);
        if (!work->full) next_page(work);
    } else if (work->writer) {
        place_write_end(work->writer);
    } else {
        work->done(work->arg, NULL);
    }
}

static void next_page(struct errors_work *work) {
    work->asking = true;
    sk_registry_document_list(work->transfer->hub->registry, sk_span_z(work->kind),
                              sk_span_z(work->after), PAGE, got_page, work);
}

static void all_stored(void *arg, const struct sk_registry_end *end) {
    struct errors_work *work = arg;
    work->asking = false;
    if (work->dropped)
        errors_work_free(work);
    else if (end->status)
        work->done(work->arg, sk_status_text(end->status));
    else
        next_page(work);
}

struct errors_work *errors_write(struct transfer *transfer, transfer_done *done, void *arg) {
    struct errors_work *work = SK_NEW(struct errors_work);
    *work = (struct errors_work){.transfer = transfer, .asking = true, .done = done, .arg = arg};
    put_kind(work->kind, transfer_text(transfer, "jobId"));
    sk_registry_flush(transfer->hub->registry, all_stored, work);
    return work;
}

/* ---- removed ---- */

struct forgetting {
    struct sk_hub *hub;
    char *id;
};

static void forget_page(struct forgetting *all);

static void end_forgetting(struct forgetting *all) {
    free(all->id);
    free(all);
}

static void page_gone(void *arg, const struct sk_registry_end *end) {
    struct forgetting *all = arg;
    if (end->status || all->hub->closing)
        end_forgetting(all); /* what stays is found at the next start */
    else
        forget_page(all);
}

static void found(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_documents *list) {
    struct forgetting *all = arg;
    struct sk_registry *registry = all->hub->registry;
    char kind[64];
    put_kind(kind, sk_span_z(all->id));
    bool more = list->count && !end->status && !all->hub->closing;
    for (size_t i = 0; more && i < list->count; i++) {
        bool last = i + 1 == list->count;
        sk_registry_document_delete(registry, sk_span_z(kind), list->documents[i].key,
                                    last ? page_gone : NULL, all);
    }
    if (more) return;
    if (!end->status && !all->hub->closing) {
        sk_registry_document_delete(registry, TRANSFER_PROGRESS, sk_span_z(all->id), NULL, NULL);
        sk_registry_document_delete(registry, TRANSFER_WORK, sk_span_z(all->id), NULL, NULL);
    }
    end_forgetting(all);
}

static void forget_page(struct forgetting *all) {
    char kind[64];
    put_kind(kind, sk_span_z(all->id));
    sk_registry_document_list(all->hub->registry, sk_span_z(kind), SK_NONE, PAGE, found, all);
}

void errors_forget(struct sk_hub *hub, struct sk_span job_id) {
    struct forgetting *all = SK_NEW(struct forgetting);
    *all = (struct forgetting){hub, sk_span_dup(job_id)};
    forget_page(all);
}
