/* The page's files, built in. Inside src/edge/page only. */
#ifndef SK_EDGE_PAGE_FILES_H
#define SK_EDGE_PAGE_FILES_H

#include "base/base.h"

struct sk_span page_html(void), page_js(void), page_css(void);

#endif
