#include "edge/page/files.h"

/* What cmake has made of files/page.*: bytes, one array a file (sk_embed in CMakeLists.txt). */
#include "edge_page_files.inc"

struct sk_span page_html(void) {
    return sk_span(file_page_html, sizeof file_page_html);
}

struct sk_span page_js(void) {
    return sk_span(file_page_js, sizeof file_page_js);
}

struct sk_span page_css(void) {
    return sk_span(file_page_css, sizeof file_page_css);
}
