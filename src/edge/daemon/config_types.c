/* Forms of values that only the edge's file has. */
#include <stdio.h>

#include "edge/daemon/config_keys.h"

/* ---- files ---- */

/* Azure writes files as file:///path; a plain absolute path is understood as well. */
static struct sk_span path_of(const json_t *value) {
    struct sk_span text = sk_span(json_string_value(value), json_string_length(value));
    return sk_span_starts(text, SK_SPAN("file://")) ? sk_span_skip(text, 7) : text;
}

static bool measure_file(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    struct sk_span path = path_of(value);
    (void)key;
    *n = (int64_t)path.n;
    return json_is_string(value) && (path.n == 0 || path.p[0] == '/');
}

static bool measure_key_file(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    bool token = sk_span_starts(path_of(value), SK_SPAN("pkcs11:"));
    return measure_file(key, value, n) || (json_is_string(value) && token);
}

static void take_file(struct sk_config *config, const struct sk_config_key *key, const char *path,
                      const json_t *value, void *to) {
    sk_config_take_text(config, key, path, path_of(value), to);
}

#define FILE_TYPE                                                                                  \
    .link = ", of ", .unit = " characters", .take = take_file,                                     \
    .such_as = "\"file:///etc/aziot/key\""
const struct sk_config_type edge_path = {
    .words = "a file with its whole path", .measure = measure_file, FILE_TYPE};
const struct sk_config_type edge_key_file = {
    .words = "a file with its whole path, or \"pkcs11:token=…;object=…?pin-value=…\"",
    .measure = measure_key_file,
    FILE_TYPE};

const struct sk_config_type edge_path_or_table = {.words = "a file with its whole path, or a table",
                                                  .or_table = true,
                                                  .measure = measure_file,
                                                  FILE_TYPE};

/* ---- a table of texts that is in a file of its own: whoever reads the file puts it there ---- */

static bool measure_info(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    const char *name;
    json_t *member;
    *n = 0;
    if (json_is_string(value)) return measure_file(key, value, n);
    json_object_foreach((json_t *)value, name, member) if (!json_is_string(member)) return false;
    return json_is_object(value);
}

static void take_info(struct sk_config *config, const struct sk_config_key *key, const char *path,
                      const json_t *value, void *to) {
    (void)config, (void)key, (void)path;
    if (json_is_object(value)) *(json_t **)to = json_deep_copy(value);
}

const struct sk_config_type edge_info = {.words =
                                             "a file with its whole path that is a table of texts",
                                         .measure = measure_info,
                                         .take = take_info,
                                         .such_as = "\"file:///etc/aziot/info.toml\""};

/* ---- when a certificate is renewed ---- */

static bool read_point(const json_t *value, struct sk_renewal_point *point) {
    struct sk_span text = sk_span(json_string_value(value), json_string_length(value));
    int64_t percent = 0;
    *point = (struct sk_renewal_point){0};
    if (text.n && text.p[text.n - 1] == '%') {
        bool fine = sk_span_to_int(sk_span_first(text, text.n - 1), &percent) == SK_OK &&
                    percent >= 1 && percent <= 99;
        point->percent = (unsigned)percent;
        return fine;
    }
    return sk_duration_parse(text, &point->left_us) == SK_OK && point->left_us > 0;
}

static bool measure_point(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    struct sk_renewal_point point;
    (void)key;
    *n = 0;
    return json_is_string(value) && read_point(value, &point);
}

static void take_point(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       const json_t *value, void *to) {
    (void)config, (void)key, (void)path;
    read_point(value, to);
}

const struct sk_config_type edge_renewal_point = {
    .words = "a share of its life from \"1%\" to \"99%\", or a time",
    .measure = measure_point,
    .take = take_point};
