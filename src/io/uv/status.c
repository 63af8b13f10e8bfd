#include <errno.h>

#include "io/uv/uv.h"

enum sk_status sk_uv_status(int error_number) {
    switch (error_number) {
    case 0: return SK_OK;
    case ENOENT:
    case ENOTDIR: return SK_NOT_FOUND;
    case EEXIST:
    case EADDRINUSE: return SK_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return SK_FORBIDDEN;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return SK_NO_SPACE;
    case ETIMEDOUT: return SK_TIMEOUT;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL: return SK_REFUSED;
    case EAGAIN: return SK_AGAIN;
    default: return SK_IO;
    }
}
