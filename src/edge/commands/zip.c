#include "edge/commands/zip.h"

#include <minizip/zip.h>
#include <time.h>

struct edge_zip {
    zipFile file;
};

struct edge_zip *edge_zip_open(const char *path) {
    zipFile file = zipOpen64(path, APPEND_STATUS_CREATE);
    if (file == NULL) return NULL;
    struct edge_zip *zip = SK_NEW(struct edge_zip);
    zip->file = file;
    return zip;
}

/* The format knows no zone; what unpacks it reads local time, so UTC is as good as any. */
static tm_zip time_of(int64_t wall_us) {
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return (tm_zip){.tm_sec = tm.tm_sec,
                    .tm_min = tm.tm_min,
                    .tm_hour = tm.tm_hour,
                    .tm_mday = tm.tm_mday,
                    .tm_mon = tm.tm_mon,
                    .tm_year = tm.tm_year + 1900};
}

enum sk_status edge_zip_add(struct edge_zip *zip, const char *name, struct sk_span bytes,
                            int64_t wall_us) {
    zip_fileinfo info = {.tmz_date = time_of(wall_us)};
    if (zipOpenNewFileInZip64(zip->file, name, &info, NULL, 0, NULL, 0, NULL, Z_DEFLATED,
                              Z_DEFAULT_COMPRESSION, 0) != ZIP_OK)
        return SK_IO;
    int written = zipWriteInFileInZip(zip->file, bytes.p, (unsigned)bytes.n);
    int closed = zipCloseFileInZip(zip->file);
    return written == ZIP_OK && closed == ZIP_OK ? SK_OK : SK_IO;
}

enum sk_status edge_zip_close(struct edge_zip *zip) {
    int closed = zipClose(zip->file, NULL);
    free(zip);
    return closed == ZIP_OK ? SK_OK : SK_IO;
}
