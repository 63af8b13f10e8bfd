/* People's configuration files: TOML text into a JSON tree with line numbers.
 *
 * A thin C face of toml++, which is C++. Long-running processes that count their memory parse in a
 * short-lived child (sk_toml_parse is then called there only) and pass document and lines on as
 * JSON text; reading them needs no C++. */
#ifndef SK_CONFIG_TOML_H
#define SK_CONFIG_TOML_H

#include <jansson.h>
#include <stdio.h>

#include "base/base.h"

#define SK_TOML_ERROR_MAX 512

#ifdef __cplusplus
extern "C" {
#endif

/* Parses TOML 1.0. Gives new references: `document` (dates and times as their text), and `lines`,
 * a flat object from key path ("provisioning.source", "hub[0].name") to its line. SK_MALFORMED
 * with "file:line:column: reason" in `error`. */
enum sk_status sk_toml_parse(struct sk_span text, const char *file_name, json_t **document,
                             json_t **lines, char error[SK_TOML_ERROR_MAX]);

#ifdef __cplusplus
}
#endif

/* The line of a key path, or of the nearest table around it; 0 when there is none. */
static inline unsigned sk_toml_line(const json_t *lines, const char *path) {
    char near[256];
    snprintf(near, sizeof near, "%s", path);
    for (size_t n = strlen(near); n > 0; n--) {
        if (near[n] != 0 && near[n] != '.' && near[n] != '[') continue;
        near[n] = 0;
        const json_t *line = json_object_get(lines, near);
        if (line) return (unsigned)json_integer_value(line);
    }
    return 0;
}

#endif
