/* Values of expressions and of JSON text. */
#ifndef SK_EXPR_VALUE_H
#define SK_EXPR_VALUE_H

#include "base/base.h"

enum sk_value_type {
    SK_VALUE_UNDEFINED, /* nothing there, or an operation without a meaning; not an error */
    SK_VALUE_NULL,
    SK_VALUE_BOOL,
    SK_VALUE_NUMBER,
    SK_VALUE_STRING,
    SK_VALUE_ARRAY, /* arrays and objects are their JSON text */
    SK_VALUE_OBJECT,
};

struct sk_value {
    enum sk_value_type type;
    bool truth;
    double number;
    /* of a string: its characters; of an array or object: JSON with its brackets */
    struct sk_span text;
};

#endif
