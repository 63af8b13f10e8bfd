/* A file that is somebody's is replaced, in the real world: what it says is another, whose it is
 * and who may read it is not. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/io.h"
#include "support/test.h"

static struct sk_io *io;
static char folder[64], path[128], link_path[128];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/replace-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    io = sk_io_uv_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    unlink(link_path);
    rmdir(folder);
    sk_io_free(io);
    return 0;
}

AROUND(set_up, tear_down);

static void says(const char *expected) {
    struct sk_buffer text = {0};
    assert_int_equal(sk_file_load(io, path, &text), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&text), expected));
    sk_buffer_free(&text);
}

TEST(mode_and_owner_stay) {
    struct stat now;
    assert_int_equal(sk_file_save(io, path, SK_SPAN("one"), 0640), SK_OK);
    if (geteuid() == 0) assert_int_equal(chown(path, 4711, 4712), 0);
    assert_int_equal(sk_file_replace(io, path, SK_SPAN("two")), SK_OK);
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0640);
    if (geteuid() == 0) assert_int_equal(now.st_uid * 10000 + now.st_gid, 47114712);
    says("two");
}

TEST(a_link_stays_one_and_what_it_leads_to_is_replaced) {
    struct stat now;
    assert_int_equal(sk_file_save(io, path, SK_SPAN("one"), 0600), SK_OK);
    assert_int_equal(symlink("file", link_path), 0);
    assert_int_equal(sk_file_replace(io, link_path, SK_SPAN("two")), SK_OK);
    assert_int_equal(lstat(link_path, &now), 0);
    assert_true(S_ISLNK(now.st_mode));
    says("two");
}

TEST(what_a_crash_has_left_behind_is_no_obstacle) {
    char left[160];
    snprintf(left, sizeof left, "%s.new", path);
    assert_int_equal(sk_file_save(io, path, SK_SPAN("one"), 0600), SK_OK);
    assert_int_equal(sk_file_save(io, left, SK_SPAN("half"), 0644), SK_OK);
    assert_int_equal(sk_file_replace(io, path, SK_SPAN("two")), SK_OK);
    assert_int_equal(access(left, F_OK), -1);
    says("two");
}

TEST(a_file_that_is_not_there_is_not_made) {
    assert_int_equal(sk_file_replace(io, path, SK_SPAN("two")), SK_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
}
