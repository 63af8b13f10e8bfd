/* What an implementation of the registry gives: a table for each aggregate. The type of a
 * member, and its contract, are those of the function of registry.h that its type names. Inside
 * src/store/registry only. */
#ifndef SK_STORE_REGISTRY_OPS_H
#define SK_STORE_REGISTRY_OPS_H

#include "store/registry/registry.h"

struct sk_registry_identity_ops {
    __typeof__(sk_registry_get) *get;
    __typeof__(sk_registry_put) *put;
    __typeof__(sk_registry_delete) *remove;
    __typeof__(sk_registry_list_devices) *list_devices;
    __typeof__(sk_registry_list_modules) *list_modules;
    __typeof__(sk_registry_list_scope) *list_scope;
    __typeof__(sk_registry_model_set) *model_set;
};
struct sk_registry_twin_ops {
    __typeof__(sk_registry_twin_get) *get;
    __typeof__(sk_registry_twin_change) *change;
    __typeof__(sk_registry_twin_past) *past;
    __typeof__(sk_registry_remember) *remember;
};
struct sk_registry_line_ops {
    __typeof__(sk_registry_line) *run;
};
struct sk_registry_search_ops {
    __typeof__(sk_registry_find_twins) *find;
    __typeof__(sk_registry_row_field) *field;
    __typeof__(sk_registry_row_rest) *rest;
};
struct sk_registry_session_ops {
    __typeof__(sk_registry_session_save) *save;
    __typeof__(sk_registry_session_load) *load;
    __typeof__(sk_registry_session_delete) *remove;
};
struct sk_registry_c2d_ops {
    __typeof__(sk_registry_c2d_put) *put;
    __typeof__(sk_registry_c2d_list) *list;
    __typeof__(sk_registry_c2d_get) *get;
    __typeof__(sk_registry_c2d_end) *end;
    __typeof__(sk_registry_c2d_return) *back;
    __typeof__(sk_registry_c2d_purge) *purge;
    __typeof__(sk_registry_c2d_expired) *expired;
};
struct sk_registry_feedback_ops {
    __typeof__(sk_registry_feedback_add) *add;
    __typeof__(sk_registry_feedback_list) *list;
    __typeof__(sk_registry_feedback_delete) *remove;
    __typeof__(sk_registry_feedback_return) *back;
    __typeof__(sk_registry_feedback_expire) *expire;
};
struct sk_registry_job_ops {
    __typeof__(sk_registry_job_put) *put;
    __typeof__(sk_registry_job_twin) *twin;
    __typeof__(sk_registry_job_get) *get;
    __typeof__(sk_registry_job_list) *list;
    __typeof__(sk_registry_job_rows) *rows;
    __typeof__(sk_registry_job_counts) *counts;
    __typeof__(sk_registry_job_end) *end;
    __typeof__(sk_registry_job_delete) *remove;
};
struct sk_registry_document_ops {
    __typeof__(sk_registry_document_put) *put;
    __typeof__(sk_registry_document_get) *get;
    __typeof__(sk_registry_document_load) *load;
    __typeof__(sk_registry_document_delete) *remove;
    __typeof__(sk_registry_document_list) *list;
};

struct sk_registry_ops {
    __typeof__(sk_registry_close) *close;
    __typeof__(sk_registry_flush) *flush;
    __typeof__(sk_registry_counts) *counts;
    const struct sk_registry_identity_ops *identities;
    const struct sk_registry_twin_ops *twins;
    const struct sk_registry_line_ops *lines;
    const struct sk_registry_search_ops *searches;
    const struct sk_registry_session_ops *sessions;
    const struct sk_registry_c2d_ops *c2d;
    const struct sk_registry_feedback_ops *feedback;
    const struct sk_registry_job_ops *jobs;
    const struct sk_registry_document_ops *documents;
};

/* First member of an implementation's own. */
struct sk_registry {
    const struct sk_registry_ops *ops;
};
struct sk_registry_row {
    const struct sk_registry_ops *ops;
};

#endif
