/* The real world: what its files share. Inside src/io/uv only. */
#ifndef SK_IO_UV_UV_H
#define SK_IO_UV_UV_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <uv.h>

#include "io/world.h"

struct uv_signal_slot {
    uv_signal_t handle;
    void (*fn)(void *arg);
    void *arg;
    bool open;
};

/* What the loop is busy with, written for the watchdog (watch.c), which reads it from a thread of
 * its own. */
struct sk_uv_busy {
    _Atomic uint64_t since_ns;     /* when the turn began; 0: the loop waits */
    _Atomic(const char *) what;    /* a literal */
    _Atomic uint64_t with_whom[6]; /* a peer's address, in pieces */
    _Atomic bool asleep;           /* nobody looks: wake him */
};

struct sk_uv {
    struct sk_io io;
    uv_loop_t loop;
    uv_timer_t timer;     /* the earliest sk_timer */
    uv_timer_t settle;    /* once, when starting up is over */
    uv_prepare_t prepare; /* timers and tasks, before each wait */
    uv_check_t check;     /* what has yielded, and streams, after each wait */
    uv_idle_t idle;       /* active: there is work left, do not wait */
    uv_async_t mail;
    /* Streams that have input, each in one list: those that lately took little of the loop go
     * first, the others share what is left of a turn. */
    struct sk_list sparse, busy;
    bool (*serve)(struct sk_list *node, bool *busy); /* sk_uv_stream_serve */
    uint64_t stood_ns;                               /* time that sk_io_now leaves out */
    uint64_t turn_ns;                                /* when this turn began */
    uint64_t wake_ns;                                /* when the wait was to end at the latest */
    struct sk_uv_busy doing;
    struct sk_uv_watch *watch; /* NULL: nobody looks */
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

struct sk_uv_listener;

enum { SK_UV_SCRATCH = 64 * 1024 };

static inline struct sk_uv *sk_uv(struct sk_io *io) {
    return (struct sk_uv *)io;
}

/* status.c: errno of the operating system as a status. */
enum sk_status sk_uv_status(int error_number);

/* --- turn.c --- */
void sk_uv_turn_init(struct sk_uv *uv);
void sk_uv_turn_close(struct sk_uv *uv);
/* Runs turns until sk_io_stop. */
void sk_uv_turn_run(struct sk_uv *uv);
/* The first deed of every callback of libuv's: the clock of this moment. */
void sk_uv_enter(struct sk_uv *uv, const char *what);
uint64_t sk_uv_fresh(struct sk_io *io);
uint64_t sk_uv_clock(struct sk_io *io);
void sk_uv_yielded(struct sk_io *io);
void sk_uv_doing(struct sk_io *io, const char *what);
void sk_uv_doing_for(struct sk_uv *uv, const char *what, const char *peer);

/* --- watch.c --- */
void sk_uv_watch(struct sk_io *io);
void sk_uv_watch_wake(struct sk_uv *uv);
void sk_uv_watch_end(struct sk_uv *uv);

/* --- input.c --- */
struct sk_uv_input {
    int fd;
    size_t left;        /* of the share: no more is taken off the socket */
    unsigned dataless;  /* TLS records that came since the last data */
    const char *breach; /* what the peer does that nobody needs: it is not read any more */
};
/* As recv; EAGAIN at the end of the share, too. */
ssize_t sk_uv_receive(struct sk_uv_input *input, char *to, size_t size);
BIO_METHOD *sk_uv_input_method(void);
/* Makes `ssl` read and write by the socket. */
bool sk_uv_input_attach(struct sk_uv_input *input, const BIO_METHOD *method, SSL *ssl);
/* Counts records without data from here on, after the handshake. */
void sk_uv_input_guard(struct sk_uv_input *input, SSL *ssl);

/* --- tls.c --- */
struct sk_uv_tls {
    struct sk_tls tls;
    SSL_CTX *context;
    BIO_METHOD *method;
    bool server;
    int references; /* streams and the owner; all on one thread */
};
void sk_uv_tls_release(struct sk_uv_tls *tls);
/* A TLS side for a socket; NULL when OpenSSL refuses the name. */
SSL *sk_uv_tls_attach(struct sk_uv_tls *tls, struct sk_uv_input *input, const char *server_name);

enum sk_status sk_uv_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                             struct sk_tls **tls, char *reason);
enum sk_status sk_uv_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                                char *reason);
void sk_uv_tls_free(struct sk_tls *tls);

/* --- file.c --- */
enum sk_status sk_uv_file_load(struct sk_io *io, const char *path, struct sk_buffer *to);
enum sk_status sk_uv_file_save(struct sk_io *io, const char *path, struct sk_span bytes,
                               unsigned mode);
enum sk_status sk_uv_file_replace(struct sk_io *io, const char *path, struct sk_span bytes);
enum sk_status sk_uv_file_remove(struct sk_io *io, const char *path);
enum sk_status sk_uv_file_rename(struct sk_io *io, const char *from, const char *to);
enum sk_status sk_uv_folder_make(struct sk_io *io, const char *path, unsigned mode);
enum sk_status sk_uv_folder_list(struct sk_io *io, const char *path,
                                 void (*each)(void *, struct sk_span), void *arg);
/* kept_files.c: of a file that another process reads for us. SK_FORBIDDEN: none does. */
enum sk_status sk_kept_file_load(const char *path, struct sk_buffer *to);
enum sk_status sk_kept_file_replace(const char *path, struct sk_span bytes); /* likewise */
/* privilege.c: in a child, before exec, that stays root: it passes through folders, and no more. */
void sk_privileges_pass_folders(void);
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
uint64_t sk_uv_disk_size(struct sk_io *io, const char *path);

/* --- stream.c --- */
/* Gives a stream of uv->sparse or uv->busy, which is in no list now, its share. True: it has input
 * left, and `busy` says in which list it is to wait. */
bool sk_uv_stream_serve(struct sk_list *node, bool *busy);
/* Takes over a socket that has just been accepted. */
void sk_uv_stream_accepted(struct sk_uv_listener *listener, int fd,
                           const struct sockaddr_storage *address);
/* Whether many handshakes wait for the processor: who is let in faster than he can be served would
 * only be turned away for those behind him. */
bool sk_uv_stream_handshakes_wait(const struct sk_uv *uv);
void sk_uv_stream_end_handshakes(struct sk_uv_listener *listener);

/* --- listener.c --- */
struct sk_uv_listener {
    struct sk_listener listener;
    uv_poll_t poll;
    int fd;
    struct sk_uv_tls *tls;
    sk_accept_fn *accept;
    void *arg;
    char *path;
    struct sk_list shaking; /* streams in the TLS handshake */
    struct sk_timer pause;  /* no newcomers for a while */
};
enum sk_status sk_uv_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                            sk_accept_fn *accept, void *arg, struct sk_listener **listener);
uint16_t sk_uv_listener_port(const struct sk_listener *listener);
void sk_uv_listener_close(struct sk_listener *listener);
struct sk_stream *sk_uv_connect(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                                const char *server_name, const struct sk_stream_events *events,
                                void *arg);

/* --- child.c --- */
enum sk_status sk_uv_child_start(struct sk_io *io, const struct sk_child_options *options,
                                 struct sk_child **child);
void sk_uv_child_signal(struct sk_child *child, int signal_number);
int sk_uv_child_pid(const struct sk_child *child);
void sk_uv_child_forget(struct sk_child *child);

#endif
