/* Files of the real world. Small files synchronously; the log's writes on a worker thread, each
 * made durable before `done`. */
#include "io/privilege.h"
#include "io/uv/uv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct uv_file {
    struct sk_file file;
    int fd;
    uint64_t size;
    bool folder_synced; /* the folder entry of a new file is durable */
    char *path;
    /* the write that runs */
    uv_work_t request;
    bool writing, closing;
    uint64_t offset;
    struct sk_span bytes;
    int error_number;
    sk_file_done *done;
    void *arg;
};

static enum sk_status sync_folder_of(const char *path) {
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return sk_uv_status(errno);
    int failed = fsync(fd) ? errno : 0;
    close(fd);
    return sk_uv_status(failed);
}

enum sk_status sk_uv_file_load(struct sk_io *io, const char *path, struct sk_buffer *to) {
    (void)io;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) return sk_kept_file_load(path, to);
    if (fd < 0) return sk_uv_status(errno);
    enum sk_status status = SK_OK;
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = sk_uv_status(errno);
        if (n > 0) status = sk_buffer_append(to, sk_span(chunk, (size_t)n));
        if (n <= 0 || status) break;
    }
    close(fd);
    return status;
}

static int write_all(int fd, struct sk_span bytes, uint64_t offset) {
    while (bytes.n) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        bytes = sk_span_skip(bytes, (size_t)n);
        offset += (uint64_t)n;
    }
    return 0;
}

/* `as`: NULL, or the file whose owner and mode it gets. */
static enum sk_status save(const char *path, struct sk_span bytes, unsigned mode,
                           const struct stat *as) {
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
        return SK_TOO_LARGE;
    unlink(temporary); /* left by a crash, maybe with another mode */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, as ? 0600 : mode);
    struct stat made;
    if (fd < 0) return sk_uv_status(errno);
    int failed = write_all(fd, bytes, 0);
    if (!failed && fstat(fd, &made)) failed = errno;
    if (!failed && as && (made.st_uid != as->st_uid || made.st_gid != as->st_gid) &&
        fchown(fd, as->st_uid, as->st_gid))
        failed = errno;
    if (!failed && fchmod(fd, mode)) failed = errno; /* whatever the umask says */
    if (!failed && fsync(fd)) failed = errno;
    close(fd);
    if (failed) {
        unlink(temporary);
        return sk_uv_status(failed);
    }
    return sk_uv_file_rename(NULL, temporary, path);
}

enum sk_status sk_uv_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                               unsigned mode) {
    (void)io;
    return save(path, bytes, mode, NULL);
}

enum sk_status sk_uv_file_replace(struct sk_io *io, const char *path, struct sk_span bytes) {
    SK_CLEANUP_FREE char *real = realpath(path, NULL);
    struct stat now;
    (void)io;
    enum sk_status status = real && stat(real, &now) == 0
                                ? save(real, bytes, now.st_mode & 07777, &now)
                                : sk_uv_status(errno);
    return status == SK_FORBIDDEN ? sk_kept_file_replace(path, bytes) : status;
}

enum sk_status sk_uv_file_remove(struct sk_io *io, const char *path) {
    (void)io;
    return unlink(path) ? sk_uv_status(errno) : sync_folder_of(path);
}

enum sk_status sk_uv_file_rename(struct sk_io *io, const char *from, const char *to) {
    (void)io;
    return rename(from, to) ? sk_uv_status(errno) : sync_folder_of(to);
}

enum sk_status sk_uv_folder_make(struct sk_io *io, const char *path, unsigned mode) {
    (void)io;
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) return SK_TOO_LARGE;
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != 0) continue;
        char kept = *at;
        *at = 0;
        if (mkdir(part, mode) && errno != EEXIST) return sk_uv_status(errno);
        *at = kept;
        if (kept == 0) break;
    }
    struct stat st;
    return stat(path, &st) ? sk_uv_status(errno) : S_ISDIR(st.st_mode) ? SK_OK : SK_EXISTS;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

enum sk_status sk_uv_folder_list(struct sk_io *io, const char *path,
                                 void (*each)(void *, struct sk_span), void *arg) {
    (void)io;
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_name);
    if (n < 0) return sk_uv_status(errno);
    for (int i = 0; i < n; i++) {
        struct sk_span name = sk_span_z(entries[i]->d_name);
        if (!sk_span_is(name, ".") && !sk_span_is(name, "..")) each(arg, name);
        free(entries[i]);
    }
    free(entries);
    return SK_OK;
}

unsigned sk_uv_path_beyond(struct sk_io *io, const char *path, unsigned mode) {
    (void)io;
    struct stat st;
    return stat(path, &st) ? 0 : st.st_mode & 0777 & ~mode;
}

enum sk_status sk_uv_path_mode(struct sk_io *io, const char *path, unsigned mode) {
    (void)io;
    return chmod(path, mode) ? sk_uv_status(errno) : SK_OK;
}

enum sk_status sk_uv_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid) {
    (void)io;
    if (!sk_may_give_files()) return SK_OK;
    return fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW) ? sk_uv_status(errno) : SK_OK;
}

enum sk_status sk_uv_file_open(struct sk_io *io, const char *path, enum sk_file_mode mode,
                               struct sk_file **file) {
    int fd = mode == SK_FILE_READ ? open(path, O_RDONLY | O_CLOEXEC)
                                  : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return sk_uv_status(errno);
    struct stat st;
    if (fstat(fd, &st)) {
        close(fd);
        return sk_uv_status(errno);
    }
    struct uv_file *uv = SK_NEW(struct uv_file);
    uv->file.io = io;
    uv->fd = fd;
    uv->size = (uint64_t)st.st_size;
    uv->path = sk_span_dup(sk_span_z(path));
    /* Bytes may be there without a durable entry: an earlier process was killed. */
    uv->folder_synced = mode == SK_FILE_READ;
    *file = &uv->file;
    return SK_OK;
}

uint64_t sk_uv_file_size(struct sk_file *file) {
    return ((struct uv_file *)file)->size;
}

enum sk_status sk_uv_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n,
                               size_t *got) {
    struct uv_file *uv = (struct uv_file *)file;
    *got = 0;
    while (*got < n) {
        ssize_t r = pread(uv->fd, (char *)to + *got, n - *got, (off_t)(offset + *got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return sk_uv_status(errno);
        if (r == 0) break;
        *got += (size_t)r;
    }
    return SK_OK;
}

static void do_write(uv_work_t *request) {
    struct uv_file *uv = request->data;
    uv->error_number = write_all(uv->fd, uv->bytes, uv->offset);
    if (!uv->error_number && fdatasync(uv->fd)) uv->error_number = errno;
    if (!uv->error_number && !uv->folder_synced && sync_folder_of(uv->path)) uv->error_number = EIO;
}

static void free_file(struct uv_file *uv) {
    close(uv->fd);
    free(uv->path);
    free(uv);
}

static void write_done(uv_work_t *request, int cancelled) {
    (void)cancelled;
    struct uv_file *uv = request->data;
    enum sk_status status = sk_uv_status(uv->error_number);
    sk_uv_enter(sk_uv(uv->file.io), "what was written to a file");
    uv->writing = false;
    if (!status) {
        uv->folder_synced = true;
        if (uv->offset + uv->bytes.n > uv->size) uv->size = uv->offset + uv->bytes.n;
    }
    bool closing = uv->closing;
    uv->done(uv->arg, status);
    if (closing) free_file(uv);
}

void sk_uv_file_write_sync(struct sk_file *file, uint64_t offset, struct sk_span bytes,
                           sk_file_done *done, void *arg) {
    struct uv_file *uv = (struct uv_file *)file;
    uv->writing = true;
    uv->offset = offset;
    uv->bytes = bytes;
    uv->done = done;
    uv->arg = arg;
    uv->request.data = uv;
    uv_queue_work(&sk_uv(file->io)->loop, &uv->request, do_write, write_done);
}

enum sk_status sk_uv_file_truncate(struct sk_file *file, uint64_t size) {
    struct uv_file *uv = (struct uv_file *)file;
    if (ftruncate(uv->fd, (off_t)size) || fdatasync(uv->fd)) return sk_uv_status(errno);
    uv->size = size;
    if (uv->folder_synced) return SK_OK;
    enum sk_status status = sync_folder_of(uv->path);
    uv->folder_synced = status == SK_OK;
    return status;
}

void sk_uv_file_close(struct sk_file *file) {
    struct uv_file *uv = (struct uv_file *)file;
    if (uv->writing)
        uv->closing = true; /* `done` is still called, then the file goes */
    else
        free_file(uv);
}

uint64_t sk_uv_disk_free(struct sk_io *io, const char *path) {
    (void)io;
    struct statvfs st;
    return statvfs(path, &st) ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

uint64_t sk_uv_disk_size(struct sk_io *io, const char *path) {
    (void)io;
    struct statvfs st;
    return statvfs(path, &st) ? UINT64_MAX : (uint64_t)st.f_blocks * st.f_frsize;
}
