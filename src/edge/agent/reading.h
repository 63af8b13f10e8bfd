/* Reading members of a deployment; each refusal names the place in the manifest and the mend.
 * Inside src/edge/agent only. */
#ifndef SK_EDGE_AGENT_READING_H
#define SK_EDGE_AGENT_READING_H

#include "edge/agent/deployment.h"

struct reader {
    struct sk_deployment_fault *fault;
    char place[160]; /* "modules.filter" */
};

/* SK_INVALID, with the sentence behind its place. */
enum sk_status reading_refuse(struct reader *reader, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An optional text member; absent and null give the empty span. */
enum sk_status reading_text(struct reader *reader, const json_t *object, const char *name,
                            struct sk_span *text);
enum sk_status reading_copy(struct reader *reader, const json_t *object, const char *name,
                            char **to);
/* One of `count` words; `*index` stays when the member is absent. */
enum sk_status reading_word(struct reader *reader, const json_t *object, const char *name,
                            const char *const *words, size_t count, size_t *index);
/* A whole number from `least` to `most`; `*to` stays when the member is absent. */
enum sk_status reading_number(struct reader *reader, const json_t *object, const char *name,
                              json_int_t least, json_int_t most, json_int_t *to);

/* --- spec_read.c --- */

/* What user modules and system modules share. `spec` has its default policy. */
enum sk_status read_common(struct reader *reader, const char *name, const json_t *module,
                           struct sk_module_spec *spec);
enum sk_status read_module(struct reader *reader, const char *name, const json_t *module,
                           struct sk_module_spec *spec);

#endif
