/* What parsing and evaluation of expressions share. */
#ifndef SK_SERIES_TSX_PARTS_H
#define SK_SERIES_TSX_PARTS_H

#include "series/tsx.h"

enum tsx_op {
    TSX_LITERAL,
    TSX_PROPERTY,
    TSX_TIME,
    TSX_NOT,
    TSX_AND,
    TSX_OR,
    TSX_IS_NULL,
    TSX_NOT_NULL,
    TSX_EQUAL,
    TSX_NOT_EQUAL,
    TSX_LESS,
    TSX_GREATER,
    TSX_AT_MOST,
    TSX_AT_LEAST,
    TSX_ADD,
    TSX_SUBTRACT,
    TSX_MULTIPLY,
    TSX_DIVIDE,
    TSX_CALL,
};
enum tsx_function {
    TSX_TO_DOUBLE,
    TSX_TO_LONG,
    TSX_TO_STRING,
    TSX_MATH, /* one double to one */
    TSX_ATAN2,
    TSX_MONTH,
    TSX_DAY,
    TSX_HOUR,
    TSX_NOW,
    TSX_UPPER,
    TSX_LOWER,
    TSX_LENGTH,
    TSX_CONCAT,
    TSX_SUBSTRING,
    TSX_TRIM,
    TSX_INDEX,
    TSX_REPLACE,
    TSX_COALESCE,
    TSX_IFF,
};
struct tsx_node {
    enum tsx_op op;
    enum sk_series_type type;
    bool null; /* the literal NULL, which has no type */
    union sk_series_value value;
    struct sk_series_property property;
    enum tsx_function function;
    double (*math)(double);
    size_t count;
    struct tsx_node **arguments;
};

#endif
