/* A file of lines that is kept within bounds: what comes is gathered while a write runs, and when a
 * file is full it gets a number and the oldest goes. Lines that come faster than the disk takes
 * them, or that it refuses, are lost and counted. */
#ifndef SK_HUB_RECORD_FILE_H
#define SK_HUB_RECORD_FILE_H

#include "io/io.h"

struct record_file;
struct record_file_options {
    const char *folder, *name; /* folder/name.jsonl, and name.1.jsonl (the newest full one), … */
    uint64_t bytes;            /* of one file */
    unsigned files;            /* with the one that is written */
};
enum { RECORD_FILE_WAITING_MAX = 1024 * 1024 }; /* bytes that wait for the disk */

/* Goes on with the file that is there; SK_IO. */
enum sk_status record_file_open(struct sk_io *io, const struct record_file_options *options,
                                struct record_file **file);
void record_file_put(struct record_file *file, struct sk_span line); /* with its end */
/* Files in the order in which they were begun, the one that is written the last; and one of them,
 * to be read. SK_NOT_FOUND: it is gone, or there was none. */
uint64_t record_file_newest(const struct record_file *file);
enum sk_status record_file_read(const struct record_file *file, uint64_t generation,
                                struct sk_file **opened);
uint64_t record_file_lost(const struct record_file *file);
/* What was put is written first, in the background. NULL is fine. */
void record_file_close(struct record_file *file);

#endif
