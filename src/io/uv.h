/* The real world: what the uv_*.c files share. Inside src/io only. */
#ifndef SK_IO_UV_H
#define SK_IO_UV_H

#include <openssl/ssl.h>
#include <uv.h>

#include "io/world.h"

struct uv_signal_slot {
    uv_signal_t handle;
    void (*fn)(void *arg);
    void *arg;
    bool open;
};

struct sk_uv {
    struct sk_io io;
    uv_loop_t loop;
    uv_timer_t timer;     /* the earliest sk_timer */
    uv_timer_t settle;    /* once, when starting up is over */
    uv_prepare_t prepare; /* timers and tasks, before each wait */
    uv_check_t check;     /* refreshes `now` after each wait */
    uv_async_t mail;
    uv_mutex_t mail_lock;
    struct mail *mail_first, **mail_last;
    uint64_t now;
    bool stopping, ran;
    struct uv_signal_slot signals[2]; /* SIGTERM with SIGINT, SIGHUP */
    uv_signal_t interrupt;            /* SIGINT, with signals[0] */
    uv_thread_t thread;               /* when made by sk_io_thread */
    void (*start)(struct sk_io *io, void *arg);
    void *start_arg;
    uv_sem_t started;
    char *scratch; /* reads go here first, so idle streams own no buffer */
};

enum { SK_UV_SCRATCH = 64 * 1024 };

static inline struct sk_uv *sk_uv(struct sk_io *io) {
    return (struct sk_uv *)io;
}

/* errno of the operating system as a status. */
enum sk_status sk_uv_status(int error_number);

/* --- uv_tls.c --- */
struct sk_uv_tls {
    struct sk_tls tls;
    SSL_CTX *context;
    bool server;
    int references; /* streams and the owner; all on one thread */
};
void sk_uv_tls_release(struct sk_uv_tls *tls);
/* A TLS side for a socket; NULL when OpenSSL refuses the name. */
SSL *sk_uv_tls_attach(struct sk_uv_tls *tls, int fd, const char *server_name);

enum sk_status sk_uv_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                             struct sk_tls **tls, char *reason);
enum sk_status sk_uv_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                                char *reason);
void sk_uv_tls_free(struct sk_tls *tls);

/* --- uv_file.c --- */
enum sk_status sk_uv_file_load(struct sk_io *io, const char *path, struct sk_buffer *to);
enum sk_status sk_uv_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                               unsigned mode);
enum sk_status sk_uv_file_remove(struct sk_io *io, const char *path);
enum sk_status sk_uv_file_rename(struct sk_io *io, const char *from, const char *to);
enum sk_status sk_uv_folder_make(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sk_uv_folder_list(struct sk_io *io, const char *path,
                                 void (*each)(void *, struct sk_span), void *arg);
unsigned sk_uv_path_beyond(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sk_uv_path_mode(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sk_uv_file_own(struct sk_io *io, const char *path, uint32_t uid, uint32_t gid);
enum sk_status sk_uv_file_open(struct sk_io *io, const char *path, enum sk_file_mode mode,
                               struct sk_file **file);
uint64_t sk_uv_file_size(struct sk_file *file);
enum sk_status sk_uv_file_read(struct sk_file *file, uint64_t offset, void *to, size_t n,
                               size_t *got);
void sk_uv_file_write_sync(struct sk_file *file, uint64_t offset, struct sk_span bytes,
                           sk_file_done *done, void *arg);
enum sk_status sk_uv_file_truncate(struct sk_file *file, uint64_t size);
void sk_uv_file_close(struct sk_file *file);
uint64_t sk_uv_disk_free(struct sk_io *io, const char *path);

/* --- uv_stream.c --- */
enum sk_status sk_uv_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                            sk_accept_fn *accept, void *arg, struct sk_listener **listener);
uint16_t sk_uv_listener_port(const struct sk_listener *listener);
void sk_uv_listener_close(struct sk_listener *listener);
struct sk_stream *sk_uv_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                                const char *server_name, const struct sk_stream_events *events,
                                void *arg);

/* --- uv_child.c --- */
enum sk_status sk_uv_child_start(struct sk_io *io, const struct sk_child_options *options,
                                 struct sk_child **child);
void sk_uv_child_signal(struct sk_child *child, int signal_number);
int sk_uv_child_pid(const struct sk_child *child);
void sk_uv_child_forget(struct sk_child *child);

#endif
