/* Rates by the generic cell rate algorithm: of each kind there is one time, when all that was let
 * through would be paid for at the rate; it may lie one window ahead of now, and of what waits,
 * SK_QUOTA_WAIT_S more. Reference: docs/protocols/service-api.md, section 10. */
#include "gateway/quota.h"

#include <stdio.h>

#include "gateway/parts.h"

/* ---- tiers ---- */

enum { CHUNK = 4096, FREE_CHUNK = 512 };

/* What a tier lets through in a window: so much for each unit, but not less than `least`. */
struct rate {
    unsigned unit, least;
};
static const struct kind {
    const char *name;
    unsigned window_s;
    struct rate tiers[SK_TIER_COUNT];
} kinds[SK_THROTTLE_COUNT] = {
#define KIND(name, window_s, s1_unit, s1_least, s2_unit, s2_least, s3_unit)                        \
    {                                                                                              \
        name, window_s, {                                                                          \
            {0}, {s1_unit, s1_least}, {s1_unit, s1_least}, {s2_unit, s2_least}, {                  \
                s3_unit, 0                                                                         \
            }                                                                                      \
        }                                                                                          \
    }
    [SK_THROTTLE_D2C] = KIND("device-to-cloud sends", 1, 12, 100, 120, 0, 6000),
    [SK_THROTTLE_C2D_SENDS] = KIND("cloud-to-device sends", 60, 100, 0, 100, 0, 5000),
    [SK_THROTTLE_C2D_RECEIVES] = KIND("cloud-to-device receives", 60, 1000, 0, 1000, 0, 50000),
    /* 160 KB, 480 KB and 24 MB a second, in chunks */
    [SK_THROTTLE_METHODS] = KIND("direct methods", 1, 40, 0, 120, 0, 6000),
    [SK_THROTTLE_TWIN_READS] = KIND("twin reads", 1, 0, 100, 10, 100, 500),
    [SK_THROTTLE_TWIN_UPDATES] = KIND("twin updates", 1, 0, 50, 5, 50, 250),
    [SK_THROTTLE_REGISTRY] = KIND("identity registry operations", 60, 100, 0, 100, 0, 5000),
    [SK_THROTTLE_QUERIES] = KIND("queries", 60, 20, 0, 20, 0, 1000),
    [SK_THROTTLE_JOBS] = KIND("job operations", 60, 100, 0, 100, 0, 5000),
    [SK_THROTTLE_CONFIGURATIONS] = KIND("configuration operations", 60, 20, 0, 20, 0, 20),
    [SK_THROTTLE_FILES] = KIND("file uploads", 60, 100, 0, 100, 0, 5000),
    [SK_THROTTLE_CONNECTIONS] = KIND("new connections", 1, 12, 100, 120, 0, 6000),
    [SK_THROTTLE_JOB_DEVICES] = KIND("devices of jobs", 1, 0, 10, 1, 10, 50),
#undef KIND
};

static const struct {
    const char *name;
    uint64_t messages; /* a day and unit */
    uint64_t devices;
    unsigned units_max, chunk;
    bool waits;
} tiers[SK_TIER_COUNT] = {[SK_TIER_NONE] = {"none", .units_max = SK_QUOTA_UNITS_MAX},
                          [SK_TIER_F1] = {"F1", 8000, 500, 1, FREE_CHUNK, false},
                          [SK_TIER_S1] = {"S1", 400000, 1000000, SK_QUOTA_UNITS_MAX, CHUNK, true},
                          [SK_TIER_S2] = {"S2", 6000000, 1000000, SK_QUOTA_UNITS_MAX, CHUNK, true},
                          [SK_TIER_S3] = {"S3", 300000000, 1000000, 10, CHUNK, true}};

unsigned sk_quota_units_max(enum sk_tier tier) {
    return tiers[tier].units_max;
}

const char *sk_throttle_name(enum sk_throttle kind) {
    return kinds[kind].name;
}

struct sk_quota_rate sk_quota_rate(enum sk_tier tier, unsigned units, enum sk_throttle kind) {
    const struct rate *rate = &kinds[kind].tiers[tier];
    uint64_t amount = (uint64_t)rate->unit * units;
    return (struct sk_quota_rate){.amount = amount > rate->least ? amount : rate->least,
                                  .window_s = kinds[kind].window_s};
}

/* ---- the state ---- */

struct bucket {
    uint64_t period_ns, window_ns; /* of one; period 0: no limit */
    uint64_t paid_ns;              /* when all that was let through is paid for */
    struct sk_list waiting;        /* struct waiting, in the order of their times */
};

struct sk_quota {
    struct sk_backend *backend;
    enum sk_tier tier;
    unsigned units;
    struct bucket buckets[SK_THROTTLE_COUNT];
    struct sk_timer timer; /* until the first that waits may go on */
    size_t waiting_bytes;
    struct sk_quota_day day;
    struct sk_quota_counts counts;
    bool stopped;
};

/* A request that waits, with what would be gone when submit returns. */
struct waiting {
    struct sk_list link;
    struct sk_request *request;
    uint64_t at_ns;
    size_t bytes;
    struct sk_buffer stored; /* the message */
    struct sk_arena arena;
    struct sk_message message;
    char *payload;
};

struct sk_quota *sk_quota_new(struct sk_backend *backend) {
    struct sk_quota *quota = SK_NEW(struct sk_quota);
    quota->backend = backend;
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++) sk_list_init(&quota->buckets[i].waiting);
    return quota;
}

void sk_quota_free(struct sk_quota *quota) {
    if (quota == NULL) return;
    SK_ASSERT(quota->counts.waiting == 0);
    sk_timer_stop(&quota->timer);
    free(quota);
}

const struct sk_quota_counts *sk_quota_counts(const struct sk_quota *quota) {
    return &quota->counts;
}

static int64_t today(const struct sk_quota *quota) {
    return sk_io_wall(quota->backend->io) / (INT64_C(86400) * 1000000);
}

struct sk_quota_day sk_quota_today(const struct sk_quota *quota) {
    int64_t day = today(quota);
    return (struct sk_quota_day){day, quota->day.day == day ? quota->day.messages : 0};
}

void sk_quota_restore(struct sk_quota *quota, struct sk_quota_day day) {
    struct sk_quota_day now = sk_quota_today(quota);
    if (day.day == now.day)
        quota->day = (struct sk_quota_day){now.day, now.messages + day.messages};
}

uint64_t sk_quota_messages_max(const struct sk_quota *quota) {
    return tiers[quota->tier].messages * quota->units;
}

uint64_t sk_quota_devices_max(const struct sk_quota *quota) {
    return tiers[quota->tier].devices;
}

/* ---- waiting ---- */

static void free_waiting(struct sk_quota *quota, struct waiting *w) {
    sk_list_remove(&w->link);
    quota->counts.waiting--;
    quota->waiting_bytes -= w->bytes;
    sk_buffer_free(&w->stored);
    sk_arena_free(&w->arena);
    free(w->payload);
    free(w);
}

/* Ends the wait: passes on, or refuses. Its copies live until that returns. */
static void end_wait(struct sk_quota *quota, struct waiting *w, enum sk_fault refusal) {
    struct sk_request *request = w->request;
    struct waiting copies = *w;
    w->stored = (struct sk_buffer){0};
    w->arena = (struct sk_arena){0};
    w->payload = NULL;
    if (copies.stored.n) request->message = &copies.message;
    free_waiting(quota, w);
    if (refusal)
        sk_request_refuse(request, refusal, NULL);
    else
        gateway_pass_on(quota->backend, request);
    sk_buffer_free(&copies.stored);
    sk_arena_free(&copies.arena);
    free(copies.payload);
}

static struct waiting *first_of(const struct bucket *bucket) {
    return SK_LIST_FIRST(&bucket->waiting, struct waiting, link);
}

static void on_due(struct sk_timer *timer);

static void watch_first(struct sk_quota *quota) {
    uint64_t first_ns = UINT64_MAX, now_ns = sk_io_now(quota->backend->io);
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++) {
        const struct waiting *w = first_of(&quota->buckets[i]);
        if (w && w->at_ns < first_ns) first_ns = w->at_ns;
    }
    sk_timer_stop(&quota->timer);
    if (first_ns == UINT64_MAX) return;
    sk_timer_start(quota->backend->io, &quota->timer, first_ns > now_ns ? first_ns - now_ns : 0,
                   on_due);
}

static void on_due(struct sk_timer *timer) {
    struct sk_quota *quota = SK_CONTAINER(timer, struct sk_quota, timer);
    uint64_t now_ns = sk_io_now(timer->io);
    struct waiting *w;
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++)
        while ((w = first_of(&quota->buckets[i])) != NULL && w->at_ns <= now_ns)
            end_wait(quota, w, SK_FAULT_NONE);
    watch_first(quota);
}

/* False: there is no room, or it cannot be kept. */
static bool wait_until(struct sk_quota *quota, struct bucket *bucket, struct sk_request *request,
                       uint64_t at_ns) {
    size_t bytes = request->message ? sk_message_size(request->message) : request->payload.n;
    if (quota->counts.waiting == SK_QUOTA_WAITING_MAX ||
        quota->waiting_bytes + bytes > SK_QUOTA_WAITING_BYTES_MAX)
        return false;
    struct waiting *w = SK_NEW(struct waiting);
    w->request = request;
    w->at_ns = at_ns;
    w->bytes = bytes;
    sk_list_append(&bucket->waiting, &w->link);
    quota->counts.waiting++;
    quota->waiting_bytes += bytes;
    if (request->message) {
        if (sk_message_encode_head(&w->stored, request->message)) { /* no store would take it */
            free_waiting(quota, w);
            return false;
        }
        sk_buffer_append(&w->stored, request->message->body);
        sk_message_decode(sk_buffer_span(&w->stored), &w->arena, &w->message);
    }
    w->payload = sk_span_dup(request->payload);
    request->payload.p = request->payload.p ? w->payload : NULL;
    watch_first(quota);
    return true;
}

/* ---- rates ---- */

static uint64_t chunks(const struct sk_quota *quota, size_t bytes) {
    unsigned chunk = tiers[quota->tier].chunk;
    return bytes <= chunk ? 1 : (bytes + chunk - 1) / chunk;
}

/* What a request costs of its kind's rate: at most all of a window, or it could never pass. */
static uint64_t cost_of(const struct sk_request *request, const struct bucket *bucket) {
    uint64_t cost = 1, most = bucket->window_ns / bucket->period_ns;
    if (request->op == SK_OP_METHOD_INVOKE && request->payload.n > CHUNK)
        cost = (request->payload.n + CHUNK - 1) / CHUNK;
    if (request->op == SK_OP_IDENTITY_BULK && json_array_size(request->body) > 1)
        cost = json_array_size(request->body);
    return cost < most ? cost : most;
}

/* When it may go on; UINT64_MAX: it may not wait so long, and nothing was taken. `wait_ns`: how
 * long it would have to. */
static uint64_t take(struct sk_quota *quota, struct bucket *bucket, uint64_t cost, bool may_wait,
                     uint64_t *wait_ns) {
    uint64_t now_ns = sk_io_now(quota->backend->io),
             most_ns = may_wait ? SK_QUOTA_WAIT_S * SK_S : 0;
    uint64_t paid_ns =
        (bucket->paid_ns > now_ns ? bucket->paid_ns : now_ns) + cost * bucket->period_ns;
    uint64_t at_ns = paid_ns - now_ns > bucket->window_ns ? paid_ns - bucket->window_ns : now_ns;
    *wait_ns = at_ns - now_ns;
    if (*wait_ns > most_ns) return UINT64_MAX;
    bucket->paid_ns = paid_ns;
    return at_ns;
}

static void set_error(const struct sk_quota *quota, enum sk_throttle kind, uint64_t wait_ns,
                      struct sk_error *error) {
    struct sk_quota_rate rate = sk_quota_rate(quota->tier, quota->units, kind);
    unsigned after_s = (unsigned)((wait_ns + SK_S - 1) / SK_S);
    sk_error_set(error, SK_FAULT_THROTTLED,
                 "the request is throttled: %s with %u unit%s lets through %llu %s in %u s; try "
                 "again in %u s",
                 tiers[quota->tier].name, quota->units, quota->units == 1 ? "" : "s",
                 (unsigned long long)rate.amount, kinds[kind].name, rate.window_s,
                 after_s ? after_s : 1);
    error->retry_after_s = after_s ? after_s : 1;
}

static void refuse(struct sk_request *request, const struct sk_error *error) {
    request->done(request, &(struct sk_answer){.error = error});
}

enum verdict { PASSES, WAITS, REFUSED };

static enum verdict throttle(struct sk_quota *quota, struct sk_request *request,
                             enum sk_throttle kind) {
    struct bucket *bucket = &quota->buckets[kind];
    struct sk_error error;
    uint64_t wait_ns, before_ns = bucket->paid_ns;
    if (bucket->period_ns == 0) return PASSES;
    uint64_t at_ns = take(quota, bucket, cost_of(request, bucket),
                          tiers[quota->tier].waits && !quota->stopped, &wait_ns);
    if (at_ns != UINT64_MAX && wait_ns == 0 && sk_list_empty(&bucket->waiting)) return PASSES;
    if (at_ns != UINT64_MAX && wait_until(quota, bucket, request, at_ns)) {
        quota->counts.waited[kind]++;
        return WAITS;
    }
    bucket->paid_ns = before_ns;
    quota->counts.refused[kind]++;
    set_error(quota, kind, wait_ns, &error);
    if (at_ns != UINT64_MAX) error.fault = SK_FAULT_THROTTLE_BACKLOG;
    refuse(request, &error);
    return REFUSED;
}

/* ---- messages of a day ---- */

/* What counts as messages, in chunks; 0: it does not. */
static uint64_t messages_of(const struct sk_quota *quota, const struct sk_request *request) {
    switch (request->op) {
    case SK_OP_TELEMETRY:
    case SK_OP_C2D_SEND: return chunks(quota, sk_message_size(request->message));
    case SK_OP_METHOD_INVOKE: return chunks(quota, request->payload.n);
    case SK_OP_TWIN_GET:
    case SK_OP_TWIN_REPORT:
    case SK_OP_TWIN_READ:
    case SK_OP_TWIN_UPDATE:
    case SK_OP_QUERY: return 1;
    default: return 0;
    }
}

static void refuse_for_today(struct sk_quota *quota, struct sk_request *request) {
    struct sk_error error;
    quota->counts.over_day++;
    sk_error_set(&error, SK_FAULT_QUOTA_EXCEEDED,
                 "the hub has taken %llu of the %llu messages a day that %s with %u unit%s allows; "
                 "the next day begins at 00:00 UTC",
                 (unsigned long long)quota->day.messages,
                 (unsigned long long)sk_quota_messages_max(quota), tiers[quota->tier].name,
                 quota->units, quota->units == 1 ? "" : "s");
    refuse(request, &error);
}

/* ---- the stage ---- */

/* Of receives those over HTTPS count: over other protocols nobody asks. */
static enum sk_throttle kind_of(const struct sk_request *request) {
    enum sk_throttle kind = sk_op_throttle(request->op);
    return kind == SK_THROTTLE_C2D_RECEIVES && request->session ? SK_THROTTLE_NONE : kind;
}

bool sk_quota_holds(struct sk_quota *quota, struct sk_request *request) {
    if (quota->tier == SK_TIER_NONE) return false;
    uint64_t n = messages_of(quota, request);
    quota->day = sk_quota_today(quota);
    if (n && quota->day.messages + n > sk_quota_messages_max(quota)) {
        refuse_for_today(quota, request);
        return true;
    }
    enum verdict verdict = throttle(quota, request, kind_of(request));
    if (verdict != REFUSED) quota->day.messages += n;
    return verdict != PASSES;
}

bool sk_quota_take(struct sk_quota *quota, enum sk_throttle kind, struct sk_error *error) {
    struct bucket *bucket = &quota->buckets[kind];
    uint64_t wait_ns;
    if (bucket->period_ns == 0 || take(quota, bucket, 1, false, &wait_ns) != UINT64_MAX)
        return true;
    quota->counts.refused[kind]++;
    set_error(quota, kind, wait_ns, error);
    return false;
}

uint64_t sk_quota_wait_ns(struct sk_quota *quota, enum sk_throttle kind) {
    struct bucket *bucket = &quota->buckets[kind];
    uint64_t wait_ns;
    if (bucket->period_ns == 0 || take(quota, bucket, 1, false, &wait_ns) != UINT64_MAX) return 0;
    return wait_ns ? wait_ns : 1;
}

static void end_all(struct sk_quota *quota, enum sk_fault refusal) {
    struct waiting *w;
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++)
        while ((w = first_of(&quota->buckets[i])) != NULL) end_wait(quota, w, refusal);
    sk_timer_stop(&quota->timer);
}

void sk_quota_set(struct sk_quota *quota, enum sk_tier tier, unsigned units) {
    if (tier == quota->tier && units == quota->units) return;
    quota->tier = tier;
    quota->units = units;
    for (size_t i = 1; i < SK_THROTTLE_COUNT; i++) {
        struct sk_quota_rate rate = sk_quota_rate(tier, units, (enum sk_throttle)i);
        struct bucket *bucket = &quota->buckets[i];
        bucket->window_ns = rate.window_s * SK_S;
        bucket->period_ns = rate.amount ? bucket->window_ns / rate.amount : 0;
        bucket->paid_ns = 0;
    }
    end_all(quota, SK_FAULT_NONE); /* their times were those of another rate */
}

void sk_quota_stop(struct sk_quota *quota) {
    quota->stopped = true;
    end_all(quota, SK_FAULT_UNAVAILABLE);
}
