/* Who is let in: limits on the connections of a loop's listeners, so that nobody can take the
 * descriptors and the memory that others need. See docs/decisions/0012-doors.md. */
#include "io/world.h"

enum {
    UNLIMITED = 250000, /* connections, where descriptors set no limit */
    RESERVE_MIN = 64,   /* descriptors for files, listeners and connections of our own: */
    RESERVE_MAX = 1024, /* an eighth of all, between these two */
    UNPROVED_MAX = 2048,
};

/* Where connections come from. Those of a unix socket, which may be one module's, count for its
 * path. */
struct door_address {
    unsigned count;
    bool local;
    char text[];
};

/* ---- limits ---- */

static unsigned at_most(unsigned wanted, unsigned most) {
    return wanted == 0 || wanted > most ? most : wanted;
}

struct sk_door_limits sk_io_limit(struct sk_io *io, struct sk_door_limits limits) {
    struct sk_door *door = &io->door;
    unsigned reserve = door->descriptors / 8, most = UNLIMITED;
    reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve > RESERVE_MAX ? RESERVE_MAX : reserve;
    if (door->descriptors && door->descriptors < most + reserve)
        most = door->descriptors > 2 * reserve ? door->descriptors - reserve : reserve;
    limits.connections = at_most(limits.connections, most);
    limits.an_address = limits.an_address ? at_most(limits.an_address, limits.connections)
                                          : (limits.connections + 1) / 2;
    limits.unproved = limits.unproved ? at_most(limits.unproved, limits.connections)
                                      : at_most((limits.connections + 3) / 4, UNPROVED_MAX);
    door->limits = limits;
    return limits;
}

/* ---- coming and going ---- */

static struct sk_span without_port(const char *peer) {
    struct sk_span text = sk_span_z(peer);
    while (text.n && text.p[text.n - 1] != ':') text.n--; /* the port is behind the last colon */
    return sk_span_first(text, text.n ? text.n - 1 : 0);
}

static struct door_address *find_address(struct sk_door *door, struct sk_span text, bool local) {
    struct door_address *address = sk_map_get(&door->addresses, text);
    if (address) return address;
    address = sk_alloc(sizeof *address + text.n + 1);
    address->local = local;
    if (text.n) memcpy(address->text, text.p, text.n);
    sk_map_put(&door->addresses, sk_span_z(address->text), address);
    return address;
}

static void drop_address(struct sk_door *door, struct door_address *address) {
    if (address->count) return;
    sk_map_remove(&door->addresses, sk_span_z(address->text));
    free(address);
}

static struct sk_stream *oldest(struct sk_door *door, const struct door_address *of) {
    SK_LIST_EACH(&door->unproved, node, following) {
        struct sk_stream *stream = SK_CONTAINER(node, struct sk_stream, door_link);
        if (of == NULL || stream->door_address == of) return stream;
    }
    return NULL;
}

/* One log line a second says how many there were. */
static void note(struct sk_io *io, const char *peer, enum sk_turned_away reason) {
    static const char *const limits[] = {"max_connections", "max_connections_per_address",
                                         "max_unauthenticated"};
    io->counts.turned_away[reason]++;
    SK_SELDOM(SK_LEVEL_WARN, "io", "a connection is turned away, for one from %s: %s is reached",
              peer, limits[reason]);
}

static void leave(struct sk_stream *stream) {
    struct sk_io *io = stream->io;
    struct door_address *address = stream->door_address;
    if (!stream->at_door) return;
    SK_ASSERT(address->count);
    stream->at_door = false;
    stream->door_address = NULL;
    if (!address->local) {
        SK_ASSERT(io->counts.accepted && (stream->proved || io->counts.unproved));
        if (!stream->proved) io->counts.unproved--;
        io->counts.accepted--;
        sk_list_remove(&stream->door_link);
    }
    address->count--;
    drop_address(&io->door, address);
}

void sk_door_leave(struct sk_stream *stream) {
    leave(stream);
}

/* Room for one more at a limit: the oldest that has proved nothing goes. False: there is none. */
static bool make_room(struct sk_io *io, const struct door_address *of) {
    struct sk_stream *first = oldest(&io->door, of);
    if (first == NULL) return false;
    leave(first); /* its descriptor is free before the newcomer needs one more */
    sk_stream_abort(first);
    return true;
}

bool sk_door_enter(struct sk_stream *stream, const char *peer) {
    struct sk_io *io = stream->io;
    struct sk_door *door = &io->door;
    struct door_address *address = find_address(door, without_port(peer), false);
    address->count++; /* keeps it while others go */
    const struct {
        enum sk_turned_away reason;
        bool reached;
        const struct door_address *of;
    } limits[] = {
        {SK_AWAY_ADDRESS, address->count > door->limits.an_address, address},
        {SK_AWAY_CONNECTIONS, io->counts.accepted >= door->limits.connections, NULL},
        {SK_AWAY_UNPROVED, io->counts.unproved >= door->limits.unproved, NULL},
    };
    for (size_t i = 0; i < SK_AWAY_COUNT; i++) {
        if (!limits[i].reached) continue;
        note(io, peer, limits[i].reason);
        if (make_room(io, limits[i].of)) break; /* one that goes makes room at all limits */
        address->count--;
        drop_address(door, address);
        return false;
    }
    stream->at_door = true;
    stream->door_address = address;
    io->counts.accepted++;
    io->counts.unproved++;
    sk_list_append(&door->unproved, &stream->door_link);
    return true;
}

bool sk_door_enter_local(struct sk_stream *stream, const char *path) {
    struct door_address *address = find_address(&stream->io->door, sk_span_z(path), true);
    if (address->count == SK_LOCAL_MAX) {
        SK_SELDOM(SK_LEVEL_WARN, "io", "a connection to %s is turned away: %d are open", path,
                  SK_LOCAL_MAX);
        return false;
    }
    address->count++;
    stream->at_door = stream->proved = true; /* the system has checked who may connect */
    stream->door_address = address;
    return true;
}

void sk_stream_proved(struct sk_stream *stream) {
    struct sk_stream *below = stream;
    while (below->ops->below) below = below->ops->below(below);
    if (below->at_door && !below->proved) below->io->counts.unproved--;
    stream->proved = below->proved = true;
    sk_list_remove(&below->door_link);
}

void sk_door_free(struct sk_door *door) {
    struct door_address *address;
    for (size_t i = 0; (address = sk_map_next(&door->addresses, &i, NULL)) != NULL;) free(address);
    sk_map_free(&door->addresses);
}
