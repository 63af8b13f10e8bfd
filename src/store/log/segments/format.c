#include "store/log/segments/format.h"

#include <endian.h>

static const char segment_magic[8] = "SKLOGSEG", footer_magic[8] = "SKLOGIDX",
                  checkpoint_magic[8] = "SKLOGCUR";
enum { VERSION = 1 };

static void put16(char *to, uint16_t value) {
    value = htole16(value);
    memcpy(to, &value, sizeof value);
}

static void put32(char *to, uint32_t value) {
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static void put64(char *to, uint64_t value) {
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

static uint16_t get16(const char *from) {
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const char *from) {
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const char *from) {
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

/* ---- segment header: magic 8, version 4, crc 4 (of what follows), first sequence 8, floor 8 ----
 */

void segment_header_write(char to[SEGMENT_HEADER], const struct segment_header *header) {
    memcpy(to, segment_magic, 8);
    put32(to + 8, VERSION);
    put64(to + 16, header->first);
    put64(to + 24, (uint64_t)header->floor_us);
    put32(to + 12, sk_crc32c(0, sk_span(to + 16, 16)));
}

bool segment_header_read(struct sk_span bytes, struct segment_header *header) {
    if (bytes.n < SEGMENT_HEADER || memcmp(bytes.p, segment_magic, 8) != 0 ||
        get32(bytes.p + 8) != VERSION)
        return false;
    if (get32(bytes.p + 12) != sk_crc32c(0, sk_span(bytes.p + 16, 16))) return false;
    header->first = get64(bytes.p + 16);
    header->floor_us = (int64_t)get64(bytes.p + 24);
    return true;
}

/* ---- record: crc 4 (of what follows, padding excluded), length 4, sequence 8, wall 8, routes 8,
 * body; the highest bit of the length marks the first record of a batch ---- */

#define BEGINS (1u << 31)

static uint32_t record_crc(const char *record, size_t length) {
    return sk_crc32c(0, sk_span(record + 4, RECORD_HEADER - 4 + length));
}

void record_seal(char *record, const struct record_header *header) {
    put32(record + 4, header->length | (header->begins ? BEGINS : 0));
    put64(record + 8, header->sequence);
    put64(record + 16, (uint64_t)header->wall_us);
    put64(record + 24, header->routes);
    put32(record, record_crc(record, header->length));
}

void record_header_read(const char *bytes, struct record_header *header) {
    header->crc = get32(bytes);
    header->length = get32(bytes + 4) & ~BEGINS;
    header->begins = get32(bytes + 4) & BEGINS;
    header->sequence = get64(bytes + 8);
    header->wall_us = (int64_t)get64(bytes + 16);
    header->routes = get64(bytes + 24);
}

bool record_intact(const char *record, const struct record_header *header) {
    return header->crc == record_crc(record, header->length);
}

/* ---- footer: points of 24, then records' end 8, count 4, crc 4 (of points and the 12 bytes
 * before), zero 8, magic 8 ---- */

void footer_write(struct sk_buffer *to, const struct point *points, size_t count,
                  uint64_t records_end) {
    size_t start = to->n;
    char entry[POINT_BYTES], trailer[FOOTER_TRAILER] = {0};
    for (size_t i = 0; i < count; i++) {
        put64(entry, points[i].sequence);
        put64(entry + 8, (uint64_t)points[i].wall_us);
        put64(entry + 16, points[i].offset);
        sk_buffer_append(to, sk_span(entry, sizeof entry));
    }
    put64(trailer, records_end);
    put32(trailer + 8, (uint32_t)count);
    uint32_t crc = sk_crc32c(0, sk_span(to->p + start, to->n - start));
    put32(trailer + 12, sk_crc32c(crc, sk_span(trailer, 12)));
    memcpy(trailer + 24, footer_magic, 8);
    sk_buffer_append(to, sk_span(trailer, sizeof trailer));
}

bool footer_trailer(struct sk_span trailer, size_t *bytes, uint64_t *records_end) {
    if (trailer.n != FOOTER_TRAILER || memcmp(trailer.p + 24, footer_magic, 8) != 0) return false;
    *bytes = (size_t)get32(trailer.p + 8) * POINT_BYTES + FOOTER_TRAILER;
    *records_end = get64(trailer.p);
    return true;
}

bool footer_read(struct sk_span footer, struct point **points, size_t *count) {
    uint64_t records_end;
    size_t bytes;
    if (footer.n < FOOTER_TRAILER) return false;
    const char *trailer = footer.p + footer.n - FOOTER_TRAILER;
    if (!footer_trailer(sk_span(trailer, FOOTER_TRAILER), &bytes, &records_end) ||
        bytes != footer.n)
        return false;
    uint32_t crc = sk_crc32c(0, sk_span_first(footer, footer.n - FOOTER_TRAILER));
    if (sk_crc32c(crc, sk_span(trailer, 12)) != get32(trailer + 12)) return false;
    *count = get32(trailer + 8);
    *points = sk_alloc(*count * sizeof **points);
    for (size_t i = 0; i < *count; i++) {
        const char *entry = footer.p + i * POINT_BYTES;
        (*points)[i] = (struct point){get64(entry), (int64_t)get64(entry + 8), get64(entry + 16)};
    }
    return true;
}

/* ---- checkpoints: magic 8, version 4, crc 4 (of what follows), generation 8, bytes of entries 4,
 * count 4;
 *      entry: position 8, name length 2, name ---- */

void checkpoints_begin(struct sk_buffer *to, uint64_t generation) {
    to->n = 0;
    char header[CHECKPOINT_HEADER] = {0};
    memcpy(header, checkpoint_magic, 8);
    put32(header + 8, VERSION);
    put64(header + 16, generation);
    sk_buffer_append(to, sk_span(header, sizeof header));
}

void checkpoints_add(struct sk_buffer *to, struct sk_span name, uint64_t position) {
    char fixed[10];
    put64(fixed, position);
    put16(fixed + 8, (uint16_t)name.n);
    sk_buffer_append(to, sk_span(fixed, sizeof fixed));
    sk_buffer_append(to, name);
}

void checkpoints_end(struct sk_buffer *to, uint32_t count) {
    put32(to->p + 24, (uint32_t)(to->n - CHECKPOINT_HEADER));
    put32(to->p + 28, count);
    put32(to->p + 12, sk_crc32c(0, sk_span(to->p + 16, to->n - 16)));
}

bool checkpoints_read(struct sk_span file, uint64_t *generation, struct sk_span *entries) {
    if (file.n < CHECKPOINT_HEADER || memcmp(file.p, checkpoint_magic, 8) != 0 ||
        get32(file.p + 8) != VERSION)
        return false;
    size_t bytes = get32(file.p + 24);
    /* What an older, longer generation left behind is not ours. */
    if (bytes > file.n - CHECKPOINT_HEADER) return false;
    if (get32(file.p + 12) != sk_crc32c(0, sk_span(file.p + 16, CHECKPOINT_HEADER - 16 + bytes)))
        return false;
    *generation = get64(file.p + 16);
    *entries = sk_span(file.p + CHECKPOINT_HEADER, bytes);
    return true;
}

bool checkpoints_next(struct sk_span *entries, struct sk_span *name, uint64_t *position) {
    if (entries->n < 10) return false;
    size_t n = get16(entries->p + 8);
    if (entries->n - 10 < n) return false;
    *position = get64(entries->p);
    *name = sk_span(entries->p + 10, n);
    *entries = sk_span_skip(*entries, 10 + n);
    return true;
}
