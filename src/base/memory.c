#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

static void out_of_memory(size_t n) {
    fprintf(stderr, "skerry: out of memory (%zu bytes wanted)\n", n);
    abort();
}

void *sk_alloc(size_t n) {
    void *p = calloc(1, n ? n : 1);
    if (p == NULL) out_of_memory(n);
    return p;
}

void *sk_realloc(void *p, size_t n) {
    p = realloc(p, n ? n : 1);
    if (p == NULL) out_of_memory(n);
    return p;
}

void sk_free_cleanup(void *pointer_to_pointer) {
    free(*(void **)pointer_to_pointer);
}

/* Arena blocks grow by doubling from 1 KiB to 64 KiB; larger requests get a block of their own. */
struct sk_arena_block {
    struct sk_arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

enum { ARENA_FIRST = 1024, ARENA_LARGEST = 65536 };

void *sk_arena_alloc(struct sk_arena *arena, size_t n) {
    n = (n + 15) & ~(size_t)15;
    struct sk_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < n) {
        size_t size = block ? block->size * 2 : ARENA_FIRST;
        if (size > ARENA_LARGEST) size = ARENA_LARGEST;
        if (size < n) size = n;
        block = sk_alloc(sizeof *block + size);
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *p = block->bytes + block->used;
    block->used += n;
    arena->used += n;
    memset(p, 0, n);
    return p;
}

struct sk_span sk_arena_copy(struct sk_arena *arena, struct sk_span text) {
    char *p = sk_arena_alloc(arena, text.n + 1);
    if (text.n) memcpy(p, text.p, text.n);
    return sk_span(p, text.n);
}

const char *sk_arena_text(struct sk_arena *arena, const char *text) {
    return text ? sk_arena_copy(arena, sk_span_z(text)).p : NULL;
}

struct sk_span sk_arena_print(struct sk_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = sk_arena_alloc(arena, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return sk_span(p, (size_t)n);
}

void sk_arena_reset(struct sk_arena *arena) {
    while (arena->blocks && arena->blocks->next) {
        struct sk_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    if (arena->blocks) arena->blocks->used = 0;
    arena->used = 0;
}

void sk_arena_free(struct sk_arena *arena) {
    sk_arena_reset(arena);
    free(arena->blocks);
    arena->blocks = NULL;
}

char *sk_buffer_reserve(struct sk_buffer *buffer, size_t n) {
    size_t wanted = buffer->n + n;
    if (wanted < n || (buffer->limit && wanted > buffer->limit)) return NULL;
    if (wanted > buffer->capacity ||
        buffer->p == NULL) { /* room for nothing is room too: NULL says "over the limit" */
        size_t capacity = buffer->capacity ? buffer->capacity * 2 : 64;
        if (capacity < wanted) capacity = wanted;
        buffer->p = sk_realloc(buffer->p, capacity);
        buffer->capacity = capacity;
    }
    return buffer->p + buffer->n;
}

enum sk_status sk_buffer_append(struct sk_buffer *buffer, struct sk_span bytes) {
    char *to = sk_buffer_reserve(buffer, bytes.n);
    if (to == NULL) return SK_TOO_LARGE;
    if (bytes.n) memcpy(to, bytes.p, bytes.n);
    buffer->n += bytes.n;
    return SK_OK;
}

enum sk_status sk_buffer_byte(struct sk_buffer *buffer, char c) {
    return sk_buffer_append(buffer, sk_span(&c, 1));
}

enum sk_status sk_buffer_text(struct sk_buffer *buffer, const char *text) {
    return sk_buffer_append(buffer, sk_span_z(text));
}

enum sk_status sk_buffer_print(struct sk_buffer *buffer, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = sk_buffer_reserve(buffer, (size_t)n + 1);
    if (to) {
        vsnprintf(to, (size_t)n + 1, format, again);
        buffer->n += (size_t)n;
    }
    va_end(again);
    return to ? SK_OK : SK_TOO_LARGE;
}

void sk_buffer_consume(struct sk_buffer *buffer, size_t n) {
    if (n > buffer->n) n = buffer->n;
    buffer->n -= n;
    if (n && buffer->n) memmove(buffer->p, buffer->p + n, buffer->n);
}

void sk_buffer_shrink(struct sk_buffer *buffer, size_t keep) {
    buffer->n = 0;
    if (buffer->capacity <= keep) return;
    free(buffer->p);
    buffer->p = NULL;
    buffer->capacity = 0;
}

void sk_buffer_free(struct sk_buffer *buffer) {
    free(buffer->p);
    size_t limit = buffer->limit;
    *buffer = (struct sk_buffer){.limit = limit};
}
