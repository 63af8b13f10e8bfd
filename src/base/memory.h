/* Allocation, arenas and growing buffers.
 *
 * sk_alloc and its kin never return NULL: what the network can make us allocate is bounded before
 * it is asked for, and on a machine that is out of memory all the same, ending at once beats
 * limping (docs/decisions/0002-allocation.md). */
#ifndef SK_BASE_MEMORY_H
#define SK_BASE_MEMORY_H

#include <stdlib.h>

#include "base/span.h"

void *sk_alloc(size_t n);            /* zeroed */
void *sk_realloc(void *p, size_t n); /* new bytes are not zeroed */
#define SK_NEW(type) ((type *)sk_alloc(sizeof(type)))

/* Runs sk_<type>_cleanup(&variable) at the end of the scope; `free` for plain pointers is
 * SK_CLEANUP_FREE. */
#define SK_CLEANUP(fn) __attribute__((cleanup(fn)))
void sk_free_cleanup(void *pointer_to_pointer);
#define SK_CLEANUP_FREE SK_CLEANUP(sk_free_cleanup)

/* An arena: many small allocations freed as a whole. Zero-initialised is empty and ready. */
struct sk_arena {
    struct sk_arena_block *blocks;
    size_t used; /* bytes handed out since the last reset */
};
void *sk_arena_alloc(struct sk_arena *arena, size_t n); /* 16-byte aligned, zeroed */
struct sk_span sk_arena_copy(struct sk_arena *arena,
                             struct sk_span text); /* with a NUL behind, not counted */
const char *sk_arena_text(struct sk_arena *arena, const char *text); /* a copy; NULL of NULL */
struct sk_span sk_arena_print(struct sk_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sk_arena_reset(struct sk_arena *arena); /* keeps the first block for reuse */
void sk_arena_free(struct sk_arena *arena);

/* A growing byte buffer. Zero-initialised is empty and without a limit. Appending beyond `limit`
 * (when not 0) changes nothing and returns SK_TOO_LARGE. */
struct sk_buffer {
    char *p;
    size_t n;
    size_t capacity;
    size_t limit;
};
enum sk_status sk_buffer_append(struct sk_buffer *buffer, struct sk_span bytes);
enum sk_status sk_buffer_byte(struct sk_buffer *buffer, char c);
enum sk_status sk_buffer_text(struct sk_buffer *buffer, const char *text);
enum sk_status sk_buffer_print(struct sk_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for `n` more bytes at the returned place (NULL: over the limit); add to buffer->n what was
 * written. */
char *sk_buffer_reserve(struct sk_buffer *buffer, size_t n);
/* Drops the first `n` bytes. */
void sk_buffer_consume(struct sk_buffer *buffer, size_t n);
/* Empties it and gives memory back when more than `keep` bytes are allocated. */
void sk_buffer_shrink(struct sk_buffer *buffer, size_t keep);
void sk_buffer_free(struct sk_buffer *buffer);
static inline struct sk_span sk_buffer_span(const struct sk_buffer *buffer) {
    return (struct sk_span){buffer->p, buffer->n};
}

#endif
