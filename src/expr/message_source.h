/* Messages as sources of expressions. */
#ifndef SK_EXPR_MESSAGE_SOURCE_H
#define SK_EXPR_MESSAGE_SOURCE_H

#include "expr/expr.h"
#include "model/message.h"

/* A source over a message; borrows it. */
struct sk_expr_source sk_expr_source_of(const struct sk_message *message);

#endif
