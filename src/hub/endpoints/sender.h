/* Mails of other parts of the hub, by the server of an endpoint of type mail. */
#ifndef SK_HUB_ENDPOINTS_SENDER_H
#define SK_HUB_ENDPOINTS_SENDER_H

#include "hub/parts.h"
#include "net/smtp.h"

/* The endpoint of type mail of this name, or (NULL or "") the first; NULL: there is none. It lives
 * until the configuration is read again. */
const struct sk_hub_endpoint *sk_hub_mail_endpoint(const struct sk_hub *hub, const char *name);

/* A sender to its server, with a rate of its own. */
struct sk_hub_mail;
/* `*sender` is the caller's, on failure NULL; `reason`: one sentence then. */
enum sk_status sk_hub_mail_new(struct sk_hub *hub, const struct sk_hub_endpoint *endpoint,
                               struct sk_hub_mail **sender, char reason[512]);
/* One at a time; see sk_smtp_send. */
void sk_hub_mail_send(struct sk_hub_mail *sender, const struct sk_hub_endpoint *endpoint,
                      const struct sk_mail *mail, sk_smtp_done *done, void *arg);
void sk_hub_mail_free(struct sk_hub_mail *sender); /* NULL is fine */

#endif
