#include "base/status.h"

const char *sk_status_text(enum sk_status status) {
    switch (status) {
    case SK_OK: return "ok";
    case SK_AGAIN: return "again";
    case SK_MALFORMED: return "malformed";
    case SK_TOO_LARGE: return "too-large";
    case SK_NOT_FOUND: return "not-found";
    case SK_EXISTS: return "exists";
    case SK_CONFLICT: return "conflict";
    case SK_UNAUTHORIZED: return "unauthorized";
    case SK_FORBIDDEN: return "forbidden";
    case SK_CLOSED: return "closed";
    case SK_NO_SPACE: return "no-space";
    case SK_IO: return "io";
    case SK_TIMEOUT: return "timeout";
    case SK_UNSUPPORTED: return "unsupported";
    case SK_INVALID: return "invalid";
    case SK_REFUSED: return "refused";
    }
    return "unknown";
}
