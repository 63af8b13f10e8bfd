/* Mails: see mail.c. */
#ifndef SK_HUB_ENDPOINTS_MAIL_H
#define SK_HUB_ENDPOINTS_MAIL_H

#include "model/message.h"

#define MAIL_SUBJECT "{hub}: {device}"
#define MAIL_TEXT "{time} {device}: {body}"

/* Appends what a template says of a message: {hub}, {device}, {module}, {time} and {body} (cut
 * where it is long), and of any other name in braces the property; what there is not is empty. */
void mail_put(struct sk_buffer *to, struct sk_span form, const char *hub,
              const struct sk_message *message);

#endif
