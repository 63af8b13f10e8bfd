/* Files of the simulated machines, and everything that can go wrong with them.
 *
 * Each file has two contents: what everybody reads (the page cache) and what is on the medium;
 * between them stands the list of operations not yet synced. Losing power drops the first and lets
 * each operation of the list survive in whole, in part or not at all. */
#include "io/sim/parts.h"

struct sim_inode {
    struct sk_list link; /* in the disk's list while it has a path; self-linked once unlinked */
    char *path;
    struct sk_buffer cache, medium;
    struct sk_list operations; /* struct operation, oldest first */
    bool linked;               /* its name is on the medium */
    unsigned users;            /* open files */
};

struct operation {
    struct sk_list link;
    enum { WRITE, CUT } kind;
    bool begun; /* the cache shows it */
    uint64_t offset;
    char *bytes;
    size_t n;
};

/* A sk_file_write_sync on its way. */
struct running {
    uint64_t ticket;             /* how the event that ends it finds it */
    struct operation *operation; /* NULL: the process died */
    enum sk_status status;
    sk_file_done *done;
    void *arg;
};

struct sim_file {
    struct sk_file base;
    struct sk_list link;
    struct sim_inode *inode;
    struct running *running;
    bool closing; /* closed while a write was running: goes after its `done` */
};

struct sim_folder {
    struct sk_list link;
    char *path;
};

enum { SECTOR = 512 };

/* ---- paths ---- */

/* Without doubled and final slashes; the caller frees it. */
static char *normal(const char *path) {
    char *copy = sk_alloc(strlen(path) + 1), *to = copy;
    for (const char *p = path; *p; p++)
        if (*p != '/' || to == copy || to[-1] != '/') *to++ = *p;
    if (to > copy + 1 && to[-1] == '/') to--;
    *to = 0;
    return copy;
}

static struct sk_span parent(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? sk_span(path, (size_t)(slash - path)) : SK_NONE;
}

static struct sim_folder *find_folder(struct sim_disk *disk, struct sk_span path) {
    SK_LIST_EACH(&disk->folders, node, following) {
        struct sim_folder *folder = SK_CONTAINER(node, struct sim_folder, link);
        if (sk_span_is(path, folder->path)) return folder;
    }
    return NULL;
}

/* The root and the working folder are always there. */
static bool has_folder(struct sim_disk *disk, struct sk_span path) {
    return path.n == 0 || sk_span_is(path, ".") || sk_span_is(path, "/tmp") ||
           find_folder(disk, path);
}

static struct sim_inode *find_inode(struct sim_disk *disk, const char *path) {
    SK_LIST_EACH(&disk->inodes, node, following) {
        struct sim_inode *inode = SK_CONTAINER(node, struct sim_inode, link);
        if (strcmp(inode->path, path) == 0) return inode;
    }
    return NULL;
}

static void link_inode(struct sim_disk *disk, struct sim_inode *inode) {
    struct sk_list *at = disk->inodes.next;
    while (at != &disk->inodes &&
           strcmp(SK_CONTAINER(at, struct sim_inode, link)->path, inode->path) < 0)
        at = at->next;
    sk_list_append(at, &inode->link); /* before `at` */
}

/* ---- contents ---- */

static void drop_operation(struct operation *operation) {
    sk_list_remove(&operation->link);
    free(operation->bytes);
    free(operation);
}

static void inode_free(struct sim_inode *inode) {
    while (!sk_list_empty(&inode->operations))
        drop_operation(SK_LIST_FIRST(&inode->operations, struct operation, link));
    sk_buffer_free(&inode->cache);
    sk_buffer_free(&inode->medium);
    free(inode->path);
    free(inode);
}

static struct sim_inode *make_inode(struct sim_disk *disk, const char *path) {
    struct sim_inode *inode = SK_NEW(struct sim_inode);
    inode->path = sk_span_dup(sk_span_z(path));
    sk_list_init(&inode->operations);
    link_inode(disk, inode);
    return inode;
}

static void unlink_inode(struct sim_disk *disk, struct sim_inode *inode) {
    sk_list_remove(&inode->link);
    disk->used -= inode->cache.n;
    if (inode->users == 0) inode_free(inode);
}

static void put(struct sk_buffer *content, uint64_t offset, struct sk_span bytes) {
    if (offset + bytes.n > content->n) {
        size_t more = (size_t)(offset + bytes.n - content->n);
        memset(sk_buffer_reserve(content, more), 0, more);
        content->n += more;
    }
    if (bytes.n) memcpy(content->p + offset, bytes.p, bytes.n);
}

static void resize(struct sk_buffer *content, uint64_t size) {
    if (size < content->n)
        content->n = (size_t)size;
    else
        put(content, size, SK_NONE);
}

static void apply(struct sk_buffer *content, const struct operation *operation) {
    if (operation->kind == CUT)
        resize(content, operation->offset);
    else if (operation->n)
        put(content, operation->offset, sk_span(operation->bytes, operation->n));
}

static void begin(struct sim_disk *disk, struct sim_inode *inode, struct operation *operation) {
    if (operation->begun) return;
    operation->begun = true;
    size_t before = inode->cache.n;
    apply(&inode->cache, operation);
    if (inode->link.next != &inode->link) disk->used += inode->cache.n - before;
}

static struct operation *add_operation(struct sim_inode *inode, uint64_t offset,
                                       struct sk_span bytes) {
    struct operation *operation = SK_NEW(struct operation);
    operation->offset = offset;
    operation->bytes = sk_span_dup(bytes);
    operation->n = bytes.n;
    sk_list_append(&inode->operations, &operation->link);
    return operation;
}

static void make_durable(struct sim_inode *inode) {
    SK_LIST_EACH(&inode->operations, node, following) {
        struct operation *operation = SK_CONTAINER(node, struct operation, link);
        if (!operation->begun) continue;
        apply(&inode->medium, operation);
        drop_operation(operation);
    }
    inode->linked = true;
}

/* Bytes of a write at `offset` for which there is room. */
static size_t room(const struct sim_disk *disk, const struct sim_inode *inode, uint64_t offset,
                   size_t n) {
    uint64_t end = offset + n, more = end > inode->cache.n ? end - inode->cache.n : 0;
    uint64_t left = disk->limit > disk->used ? disk->limit - disk->used : 0;
    if (more <= left) return n;
    return more - left >= n ? 0 : (size_t)(n - (more - left));
}

/* ---- faults ---- */

/* Counts a durable write that has been started; true when it was the one at which the power goes.
 */
static bool started(struct sim_loop *loop) {
    struct sim_disk *disk = &loop->machine->disk;
    disk->writes++;
    if (!disk->cut_armed || disk->cut_after-- > 0) return false;
    disk->cut(&loop->base, disk->cut_loss);
    return true;
}

static bool fails(struct sim_loop *loop) {
    return sim_one_in(loop->sim, loop->machine->disk.fail_one_in);
}

static void survive(struct sk_sim *sim, struct sim_inode *inode, struct operation *operation,
                    enum sk_sim_loss loss) {
    if (loss == SK_SIM_LOSE_ALL) return;
    if (operation->kind == CUT) {
        if (sim_below(sim, 2)) apply(&inode->medium, operation);
        return;
    }
    if (loss == SK_SIM_LOSE_TORN) {
        operation->n = (size_t)sim_below(sim, operation->n + 1);
        apply(&inode->medium, operation);
        return;
    }
    /* The size may have reached the medium before the bytes have. */
    uint64_t end = operation->offset + operation->n, odds = 1 + sim_below(sim, 7);
    if (end > inode->medium.n && sim_below(sim, 2)) resize(&inode->medium, end);
    for (uint64_t at = operation->offset, next; at < end; at = next) {
        next = (at / SECTOR + 1) * SECTOR;
        if (next > end) next = end;
        if (sim_below(sim, 8) < odds)
            put(&inode->medium, at,
                sk_span(operation->bytes + (at - operation->offset), (size_t)(next - at)));
    }
}

void sim_disk_lose(struct sim_machine *machine, enum sk_sim_loss loss) {
    struct sk_sim *sim = machine->sim;
    struct sim_disk *disk = &machine->disk;
    disk->used = 0;
    SK_LIST_EACH(&disk->inodes, node, following) {
        struct sim_inode *inode = SK_CONTAINER(node, struct sim_inode, link);
        SK_LIST_EACH(&inode->operations, link, following_operation) {
            struct operation *operation = SK_CONTAINER(link, struct operation, link);
            survive(sim, inode, operation, loss);
            drop_operation(operation);
        }
        if (!inode->linked && (loss == SK_SIM_LOSE_ALL || sim_below(sim, 2))) {
            sk_list_remove(&inode->link);
            if (inode->users == 0) inode_free(inode);
            continue;
        }
        inode->linked = true;
        inode->cache.n = 0;
        put(&inode->cache, 0, sk_buffer_span(&inode->medium));
        disk->used += inode->cache.n;
        sim_trace_bytes(sim, sk_buffer_span(&inode->cache));
    }
}

void sim_disk_process_died(struct sim_loop *loop) {
    SK_LIST_EACH(&loop->files, node, following) {
        struct sim_file *file = SK_CONTAINER(node, struct sim_file, link);
        if (file->running == NULL) continue;
        struct operation *operation = loop->machine->powered ? file->running->operation : NULL;
        if (operation && !operation->begun) drop_operation(operation);
        file->running->operation = NULL;
        file->running->status = SK_IO;
    }
}

void sk_sim_power_cut_after(struct sk_io *io, uint64_t writes, enum sk_sim_loss loss) {
    struct sim_disk *disk = &sim_loop(io)->machine->disk;
    disk->cut_armed = true;
    disk->cut_after = writes;
    disk->cut_loss = loss;
}

void sk_sim_disk_limit(struct sk_io *io, uint64_t bytes) {
    sim_loop(io)->machine->disk.limit = bytes;
}

void sk_sim_disk_fail(struct sk_io *io, uint64_t one_in) {
    sim_loop(io)->machine->disk.fail_one_in = one_in;
}

void sk_sim_disk_slow(struct sk_io *io, uint64_t sync_ns) {
    sim_loop(io)->machine->disk.sync_ns = sync_ns;
}

uint64_t sk_sim_disk_writes(struct sk_io *io) {
    return sim_loop(io)->machine->disk.writes;
}

void sim_disk_new(struct sim_machine *machine) {
    struct sim_disk *disk = &machine->disk;
    sk_list_init(&disk->inodes);
    sk_list_init(&disk->folders);
    disk->limit = UINT64_MAX;
    disk->sync_ns = machine->sim->options.sync_ns;
}

void sim_disk_free(struct sim_machine *machine) {
    SK_LIST_EACH(&machine->disk.inodes, node, following)
    inode_free(SK_CONTAINER(node, struct sim_inode, link));
    SK_LIST_EACH(&machine->disk.folders, folder_node, following_folder) {
        struct sim_folder *folder = SK_CONTAINER(folder_node, struct sim_folder, link);
        free(folder->path);
        free(folder);
    }
}

/* ---- whole files and folders ---- */

enum sk_status sim_file_load(struct sk_io *io, const char *path, struct sk_buffer *to) {
    struct sim_loop *loop = sim_loop(io);
    if (loop->dead) return SK_IO;
    char *name SK_CLEANUP_FREE = normal(path);
    struct sim_inode *inode = find_inode(&loop->machine->disk, name);
    return inode ? sk_buffer_append(to, sk_buffer_span(&inode->cache)) : SK_NOT_FOUND;
}

enum sk_status sim_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                             unsigned mode) {
    (void)mode;
    struct sim_loop *loop = sim_loop(io);
    struct sim_disk *disk = &loop->machine->disk;
    char *name SK_CLEANUP_FREE = normal(path);
    if (loop->dead) return SK_IO;
    if (!has_folder(disk, parent(name))) return SK_NOT_FOUND;
    if (fails(loop)) return SK_IO;
    if (bytes.n > sim_disk_space(io, path))
        return SK_NO_SPACE; /* the old content stays until the rename */
    sim_trace_bytes(loop->sim, bytes);
    enum sk_sim_loss loss = disk->cut_loss;
    bool cut = started(loop);
    if (cut && (loss == SK_SIM_LOSE_ALL || sim_below(loop->sim, 2)))
        return SK_IO; /* the rename did not reach the medium */
    struct sim_inode *old = find_inode(disk, name);
    if (old) unlink_inode(disk, old);
    struct sim_inode *inode = make_inode(disk, name);
    put(&inode->cache, 0, bytes);
    put(&inode->medium, 0, bytes);
    inode->linked = true;
    disk->used += bytes.n;
    return cut ? SK_IO : SK_OK;
}

enum sk_status sim_file_replace(struct sk_io *io, const char *path, struct sk_span bytes) {
    char *name SK_CLEANUP_FREE = normal(path);
    bool there = find_inode(&sim_loop(io)->machine->disk, name) != NULL;
    return there ? sim_file_save(io, path, bytes, 0) : SK_NOT_FOUND;
}

/* Shared by the operations that change a folder: SK_OK when the change shall be made. A power cut
 * inside leaves it made or not. */
static enum sk_status change_folder(struct sim_loop *loop, bool *cut) {
    *cut = false;
    if (loop->dead || fails(loop)) return SK_IO;
    enum sk_sim_loss loss = loop->machine->disk.cut_loss;
    *cut = started(loop);
    return *cut && (loss == SK_SIM_LOSE_ALL || sim_below(loop->sim, 2)) ? SK_IO : SK_OK;
}

enum sk_status sim_file_remove(struct sk_io *io, const char *path) {
    struct sim_loop *loop = sim_loop(io);
    struct sim_disk *disk = &loop->machine->disk;
    char *name SK_CLEANUP_FREE = normal(path);
    bool cut;
    if (loop->dead) return SK_IO;
    if (find_inode(disk, name) == NULL) return SK_NOT_FOUND;
    enum sk_status status = change_folder(loop, &cut);
    if (status) return status;
    struct sim_inode *inode = find_inode(disk, name); /* again: a power cut may have taken it */
    if (inode) unlink_inode(disk, inode);
    return cut ? SK_IO : SK_OK;
}

enum sk_status sim_file_rename(struct sk_io *io, const char *from, const char *to) {
    struct sim_loop *loop = sim_loop(io);
    struct sim_disk *disk = &loop->machine->disk;
    char *source SK_CLEANUP_FREE = normal(from), *target SK_CLEANUP_FREE = normal(to);
    bool cut;
    if (loop->dead) return SK_IO;
    if (find_inode(disk, source) == NULL || !has_folder(disk, parent(target))) return SK_NOT_FOUND;
    enum sk_status status = change_folder(loop, &cut);
    if (status) return status;
    struct sim_inode *inode = find_inode(disk, source), *old = find_inode(disk, target);
    if (inode && inode != old) {
        if (old) unlink_inode(disk, old);
        sk_list_remove(&inode->link);
        free(inode->path);
        inode->path = sk_span_dup(sk_span_z(target));
        inode->linked = true;
        link_inode(disk, inode);
    }
    return cut ? SK_IO : SK_OK;
}

enum sk_status sim_folder_make(struct sk_io *io, const char *path, unsigned mode) {
    (void)mode;
    struct sim_loop *loop = sim_loop(io);
    struct sim_disk *disk = &loop->machine->disk;
    char *name SK_CLEANUP_FREE = normal(path);
    if (loop->dead) return SK_IO;
    for (size_t n = 1; n <= strlen(name); n++) {
        struct sk_span part = sk_span(name, n);
        if ((name[n] != '/' && name[n] != 0) || has_folder(disk, part)) continue;
        struct sim_folder *folder = SK_NEW(struct sim_folder);
        folder->path = sk_span_dup(part);
        sk_list_append(&disk->folders, &folder->link);
    }
    return SK_OK;
}

static int span_order(const void *a, const void *b) {
    return sk_span_compare(*(const struct sk_span *)a, *(const struct sk_span *)b);
}

/* The last part of `path` when it lies right inside `folder`. */
static bool child_name(const char *path, const char *folder, struct sk_span *name) {
    struct sk_span above = parent(path);
    if (!sk_span_is(above, folder) &&
        !(above.n == 0 && (strcmp(folder, "/") == 0 || strcmp(folder, ".") == 0)))
        return false;
    *name = sk_span_skip(sk_span_z(path), above.n + (path[above.n] == '/'));
    return true;
}

enum sk_status sim_folder_list(struct sk_io *io, const char *path,
                               void (*each)(void *arg, struct sk_span name), void *arg) {
    struct sim_loop *loop = sim_loop(io);
    struct sim_disk *disk = &loop->machine->disk;
    char *name SK_CLEANUP_FREE = normal(path);
    if (loop->dead) return SK_IO;
    if (!has_folder(disk, sk_span_z(name))) return SK_NOT_FOUND;
    /* Copied first: `each` may remove what it is shown. */
    struct sk_arena arena = {0};
    struct sk_span *names = NULL, child;
    size_t count = 0;
    SK_LIST_EACH(&disk->inodes, node, following) {
        if (!child_name(SK_CONTAINER(node, struct sim_inode, link)->path, name, &child)) continue;
        names = sk_realloc(names, (count + 1) * sizeof *names);
        names[count++] = sk_arena_copy(&arena, child);
    }
    SK_LIST_EACH(&disk->folders, folder, following_folder) {
        if (!child_name(SK_CONTAINER(folder, struct sim_folder, link)->path, name, &child))
            continue;
        names = sk_realloc(names, (count + 1) * sizeof *names);
        names[count++] = sk_arena_copy(&arena, child);
    }
    if (count) qsort(names, count, sizeof *names, span_order);
    for (size_t i = 0; i < count; i++) each(arg, names[i]);
    free(names);
    sk_arena_free(&arena);
    return SK_OK;
}

/* Files of simulated machines have no modes. */
unsigned sim_path_beyond(struct sk_io *io, const char *path, unsigned mode) {
    (void)io, (void)path, (void)mode;
    return 0;
}

enum sk_status sim_path_mode(struct sk_io *io, const char *path, unsigned mode) {
    (void)io, (void)path, (void)mode;
    return SK_OK;
}

enum sk_status sim_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid) {
    (void)io, (void)path, (void)uid, (void)gid;
    return SK_OK;
}

uint64_t sim_disk_space(struct sk_io *io, const char *path) {
    (void)path;
    const struct sim_disk *disk = &sim_loop(io)->machine->disk;
    return disk->limit > disk->used ? disk->limit - disk->used : 0;
}

uint64_t sim_disk_size(struct sk_io *io, const char *path) {
    (void)path;
    return sim_loop(io)->machine->disk.limit;
}

bool sim_file_exists(struct sim_loop *loop, const char *path) {
    char *name SK_CLEANUP_FREE = normal(path);
    return !loop->dead && find_inode(&loop->machine->disk, name);
}

/* ---- open files ---- */

static struct sim_file *file_of(struct sk_file *file) {
    return (struct sim_file *)file;
}

static struct sim_loop *loop_of(const struct sim_file *file) {
    return sim_loop(file->base.io);
}

enum sk_status sim_file_open(struct sim_loop *loop, const char *path, bool create,
                             struct sk_file **file) {
    struct sim_disk *disk = &loop->machine->disk;
    char *name SK_CLEANUP_FREE = normal(path);
    if (loop->dead) return SK_IO;
    struct sim_inode *inode = find_inode(disk, name);
    if (inode == NULL) {
        if (!create || !has_folder(disk, parent(name))) return SK_NOT_FOUND;
        inode = make_inode(disk, name);
    }
    inode->users++;
    struct sim_file *opened = SK_NEW(struct sim_file);
    opened->base.io = &loop->base;
    opened->inode = inode;
    sk_list_append(&loop->files, &opened->link);
    *file = &opened->base;
    return SK_OK;
}

enum sk_status sim_file_open_world(struct sk_io *io, const char *path, enum sk_file_mode mode,
                                   struct sk_file **file) {
    return sim_file_open(sim_loop(io), path, mode == SK_FILE_CREATE, file);
}

uint64_t sim_file_size(struct sk_file *file) {
    return file_of(file)->inode->cache.n;
}

enum sk_status sim_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n,
                             size_t *got) {
    const struct sk_buffer *cache = &file_of(file)->inode->cache;
    *got = 0;
    if (sim_loop(file->io)->dead) return SK_IO;
    if (offset >= cache->n) return SK_OK;
    *got = n < cache->n - offset ? n : (size_t)(cache->n - offset);
    if (*got) memcpy(to, cache->p + offset, *got);
    return SK_OK;
}

/* ---- durable writes ---- */

/* The running write has come to its end, one way or the other. */
static void finish(struct sim_file *file) {
    struct running *running = file->running;
    struct sim_loop *loop = loop_of(file);
    struct sim_inode *inode = file->inode;
    if (running->operation) {
        begin(&loop->machine->disk, inode, running->operation);
        if (running->status == SK_OK) {
            make_durable(inode);
        } else if (running->status == SK_IO) {
            /* Nobody knows how much of a failed write is on the medium; and later syncs do not
             * repair it. */
            running->operation->n = (size_t)sim_below(loop->sim, running->operation->n + 1);
            apply(&inode->medium, running->operation);
            drop_operation(running->operation);
        }
    }
    sim_trace(loop->sim, (uint64_t)running->status);
    sk_file_done *done = running->done;
    void *arg = running->arg;
    enum sk_status status = running->status;
    free(running);
    file->running = NULL;
    bool closing = file->closing;
    done(arg, status);
    if (closing) sim_file_close(&file->base);
}

struct ticket {
    struct sim_loop *loop;
    uint64_t number;
};

static void write_done(void *arg) {
    struct ticket ticket = *(struct ticket *)arg;
    free(arg);
    SK_LIST_EACH(&ticket.loop->files, node, following) {
        struct sim_file *file = SK_CONTAINER(node, struct sim_file, link);
        if (file->running && file->running->ticket == ticket.number) {
            finish(file);
            return;
        }
    }
}

void sim_file_write_sync(struct sk_file *base, uint64_t offset, struct sk_span bytes,
                         sk_file_done *done, void *arg) {
    struct sim_file *file = file_of(base);
    struct sim_loop *loop = loop_of(file);
    struct sk_sim *sim = loop->sim;
    struct sim_disk *disk = &loop->machine->disk;
    SK_ASSERT(file->running == NULL);
    struct running *running = file->running = SK_NEW(struct running);
    *running = (struct running){.done = done, .arg = arg, .status = SK_IO};
    if (loop->dead) return; /* told at the funeral */
    sim_trace_bytes(sim, bytes);
    size_t fits = room(disk, file->inode, offset, bytes.n);
    running->status = fits < bytes.n ? SK_NO_SPACE : fails(loop) ? SK_IO : SK_OK;
    if (running->status == SK_IO) fits = (size_t)sim_below(sim, fits + 1);
    running->operation = add_operation(file->inode, offset, sk_span_first(bytes, fits));
    /* A thread does the writing: readers may see the bytes at once or only when all is done. */
    if (sim_below(sim, 2)) begin(disk, file->inode, running->operation);
    if (started(loop)) return;
    struct ticket *ticket = SK_NEW(struct ticket);
    *ticket = (struct ticket){loop, running->ticket = sim->event_order};
    sim_at(loop, sim->now_ns + disk->sync_ns / 2 + sim_below(sim, disk->sync_ns), write_done, free,
           ticket);
}

enum sk_status sim_file_truncate(struct sk_file *file, uint64_t size) {
    enum sk_status status = sim_file_cut(file, size);
    return status ? status : sim_file_sync(file);
}

void sim_file_close(struct sk_file *base) {
    struct sim_file *file = file_of(base);
    if (file->running) {
        file->closing = true;
        return;
    }
    sk_list_remove(&file->link);
    struct sim_inode *inode = file->inode;
    if (--inode->users == 0 && sk_list_empty(&inode->link)) inode_free(inode);
    free(file);
}

/* ---- unsynced access (SQLite) ---- */

enum sk_status sim_file_write(struct sk_file *base, uint64_t offset, struct sk_span bytes) {
    struct sim_file *file = file_of(base);
    struct sim_loop *loop = loop_of(file);
    struct sim_disk *disk = &loop->machine->disk;
    if (loop->dead || fails(loop)) return SK_IO;
    sim_trace_bytes(loop->sim, bytes);
    if (room(disk, file->inode, offset, bytes.n) < bytes.n) return SK_NO_SPACE;
    begin(disk, file->inode, add_operation(file->inode, offset, bytes));
    return SK_OK;
}

enum sk_status sim_file_cut(struct sk_file *base, uint64_t size) {
    struct sim_file *file = file_of(base);
    struct sim_loop *loop = loop_of(file);
    if (loop->dead || fails(loop)) return SK_IO;
    struct operation *operation = add_operation(file->inode, size, SK_NONE);
    operation->kind = CUT;
    begin(&loop->machine->disk, file->inode, operation);
    return SK_OK;
}

enum sk_status sim_file_sync(struct sk_file *base) {
    struct sim_file *file = file_of(base);
    struct sim_loop *loop = loop_of(file);
    if (loop->dead || fails(loop) || started(loop)) return SK_IO;
    make_durable(file->inode);
    return SK_OK;
}

/* ---- the end ---- */

bool sim_disk_bury(struct sim_loop *loop) {
    SK_LIST_EACH(&loop->files, node, following) {
        struct sim_file *file = SK_CONTAINER(node, struct sim_file, link);
        if (file->running) {
            finish(file);
            return true;
        }
    }
    return false;
}

void sim_disk_loop_freed(struct sim_loop *loop) {
    while (!sk_list_empty(&loop->files)) {
        struct sim_file *file = SK_LIST_FIRST(&loop->files, struct sim_file, link);
        free(file->running);
        file->running = NULL;
        sim_file_close(&file->base);
    }
}
