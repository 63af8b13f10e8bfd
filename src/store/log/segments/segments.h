/* The log in files: a folder of segments.
 *
 * Records are gathered into batches, written with one fdatasync each. Opening recovers from a
 * crash: it cuts the last segment at its first damaged record and reports the cut. Format:
 * docs/log-format.md. */
#ifndef SK_STORE_LOG_SEGMENTS_SEGMENTS_H
#define SK_STORE_LOG_SEGMENTS_SEGMENTS_H

#include "store/log/log.h"

struct sk_log_segments_options {
    const char *folder;
    /* A segment is closed when it passes this; 0: 64 MiB. */
    uint64_t segment_bytes;
    /* Segments whose newest record is older than this go; 0: for ever. */
    uint64_t retention_us;
    /* But not before every named cursor has durably passed them; else whatever the cursors. */
    bool keep_unread;
    /* The oldest segments go when all together are larger; 0: no limit. */
    uint64_t retention_bytes;
    /* A segment also goes once every named cursor has durably committed past it (edge); while
     * there is none, and without this, segments go by time and size only (hub). */
    bool retain_until_read;
    /* Appending is refused with SK_NO_SPACE when the disk has less than this free; 0: 16 MiB. */
    uint64_t keep_free_bytes;
    /* While the disk has less than this free, the oldest segments go; 0: they stay. */
    uint64_t reserve_bytes;
    /* Appended but not yet durable; beyond it SK_AGAIN; 0: 64 MiB. */
    uint64_t queue_bytes;
};

/* What recovery found. */
struct sk_log_recovery {
    uint64_t records;   /* readable in all */
    uint64_t cut_bytes; /* dropped from the tail of the last segment */
    uint64_t damaged;   /* records of the last segment that were acknowledged and cannot be read */
    uint64_t next_sequence;
};

enum sk_status sk_log_segments_open(struct sk_io *io, const struct sk_log_segments_options *options,
                                    struct sk_log **log, struct sk_log_recovery *recovery);

#endif
