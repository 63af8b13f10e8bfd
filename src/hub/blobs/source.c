/* Bytes of a blob, through the files that it is made of. */
#include "hub/blobs/parts.h"

static const json_t *part_at(const struct blob_source *source) {
    return json_array_get(json_object_get(source->record, "parts"), source->part);
}

static uint64_t part_size(const struct blob_source *source) {
    return (uint64_t)json_integer_value(json_array_get(part_at(source), 1));
}

void blob_source_open(struct blob_source *source, struct blobs *blobs, json_t *record,
                      uint64_t from, uint64_t size) {
    *source = (struct blob_source){
        .blobs = blobs, .record = json_incref(record), .offset = from, .left = size};
    while (source->left && source->offset >= part_size(source)) {
        source->offset -= part_size(source);
        source->part++;
    }
}

void blob_source_close(struct blob_source *source) {
    if (source->file) sk_file_close(source->file);
    json_decref(source->record);
}

static enum sk_status open_part(struct blob_source *source) {
    char path[1024];
    if (source->file) return SK_OK;
    blob_file_path(source->blobs, json_string_value(json_array_get(part_at(source), 0)), path);
    return sk_file_open(source->blobs->hub->backend.io, path, SK_FILE_READ, &source->file);
}

enum sk_status blob_source_read(struct blob_source *source, char *to, size_t n, size_t *got) {
    *got = 0;
    if (source->left == 0) return SK_OK;
    while (source->offset == part_size(source)) {
        if (source->file) sk_file_close(source->file);
        source->file = NULL;
        source->offset = 0;
        source->part++;
    }
    uint64_t rest = part_size(source) - source->offset;
    if (rest > source->left) rest = source->left;
    if (rest < n) n = (size_t)rest;
    enum sk_status status = open_part(source);
    if (!status) status = sk_file_read(source->file, source->offset, to, n, got);
    if (!status && *got == 0) status = SK_IO;
    if (status) return status;
    source->offset += *got;
    source->left -= *got;
    return SK_OK;
}
