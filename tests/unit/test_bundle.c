/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: what goes in comes out, the same blobs give the same bytes, and no damage is ever
 * taken for data. */
#include "fmt_bundle.h"
#include "fmt_cleanup.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>

#define N_MODULES 60

struct blob {
        enum fmt_blob_kind kind;
        char *data;
        size_t size;
};

struct bytes {
        char *data;
        size_t size;
};

/* Text with much in common between modules, as bitcode has: a dictionary must pay. */
static struct blob make_module(uint64_t *random)
{
        static const char *const words[] = {"llvm.fmuladd.v4f64", "getelementptr",
                "target-features", "Ubuntu clang version 19.1.7", "_ZNSt6vectorIdSaIdEE", "noundef",
                "!tbaa", "phi double"};
        struct blob blob = {.kind = FMT_BLOB_MODULE, .data = malloc(8192)};

        REQUIRE(blob.data);
        while (blob.size < 6000)
                blob.size += (size_t)sprintf(blob.data + blob.size, "%s %x ",
                        words[unit_random(random) % 8], (unsigned)(unit_random(random) & 0xff));
        return blob;
}

static struct blob make_text(enum fmt_blob_kind kind, const char *text)
{
        return (struct blob){.kind = kind, .data = strdup(text), .size = strlen(text)};
}

static struct bytes take(int fd, uint64_t size)
{
        struct bytes bytes = {.data = malloc(size + 1), .size = size};

        REQUIRE(bytes.data && pread(fd, bytes.data, size, 0) == (ssize_t)size);
        return bytes;
}

static struct bytes write_bundle(
        const struct blob *blobs, size_t n, bool backwards, unsigned threads, size_t dictionary)
{
        struct fmt_bundle_writer *writer;
        struct fmt_digest root;
        uint64_t size = 0;
        _cleanup_close_ int fd = memfd_create("bundle", MFD_CLOEXEC);

        REQUIRE(fd >= 0 && fmt_bundle_writer_new(5, &writer) == 0);
        fmt_bundle_want_dictionary(writer, dictionary);
        for (size_t i = 0; i < n; i++) {
                const struct blob *blob = &blobs[backwards ? n - 1 - i : i];
                CHECK(fmt_bundle_add(writer, blob->kind, blob->data, blob->size, NULL) == 0);
        }
        CHECK(fmt_bundle_add(writer, blobs[0].kind, blobs[0].data, blobs[0].size, &root) == 0);
        CHECK(fmt_bundle_write(writer, &root, threads, fd, &size) == 0);
        CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)size);
        fmt_bundle_writer_free(writer);
        return take(fd, size);
}

static void check_contents(struct bytes bytes, const struct blob *blobs, size_t n)
{
        struct fmt_source_memory memory = {.data = bytes.data, .size = bytes.size};
        struct fmt_bundle *bundle;
        struct fmt_digest root;
        struct fmt_digest digest;

        REQUIRE(fmt_bundle_open(fmt_source_of_memory(&memory), &bundle) == 0);
        fmt_bundle_root(bundle, &root);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ void *data = NULL;
                size_t size;
                struct fmt_blob_info info;
                CHECK(fmt_digest_of(blobs[i].data, blobs[i].size, &digest) == 0);
                CHECK(i > 0 || fmt_digest_equal(&digest, &root));
                CHECK(fmt_bundle_find(bundle, &digest, &info) == 0);
                CHECK(info.kind == blobs[i].kind && info.raw_size == blobs[i].size);
                REQUIRE(fmt_bundle_read(bundle, &digest, &data, &size) == 0);
                CHECK(size == blobs[i].size && memcmp(data, blobs[i].data, size) == 0);
                CHECK(((char *)data)[size] == '\0');
        }
        memset(&digest, 0x5a, sizeof digest);
        CHECK(fmt_bundle_find(bundle, &digest, &(struct fmt_blob_info){0}) == -ENOENT);
        fmt_bundle_free(bundle);
}

/* Opens and reads everything; whatever is returned must be what its digest says, which
 * fmt_bundle_read promises: this recomputes it. Returns true if nothing was refused. */
static bool survives(struct bytes bytes)
{
        struct fmt_source_memory memory = {.data = bytes.data, .size = bytes.size};
        struct fmt_bundle *bundle;
        bool whole = true;

        int r = fmt_bundle_open(fmt_source_of_memory(&memory), &bundle);
        if (r < 0) {
                CHECK(r == -EBADMSG || r == -EPROTONOSUPPORT);
                return false;
        }
        for (size_t i = 0; i < fmt_bundle_count(bundle); i++) {
                _cleanup_free_ void *data = NULL;
                size_t size;
                struct fmt_blob_info info;
                struct fmt_digest digest;
                fmt_bundle_info(bundle, i, &info);
                r = fmt_bundle_read(bundle, &info.digest, &data, &size);
                CHECK(r == 0 || r == -EBADMSG);
                if (r < 0) {
                        whole = false;
                        continue;
                }
                CHECK(fmt_digest_of(data, size, &digest) == 0);
                CHECK(fmt_digest_equal(&digest, &info.digest));
        }
        fmt_bundle_free(bundle);
        return whole;
}

static void check_damage(struct bytes good, uint64_t *random)
{
        struct bytes bad = {.data = malloc(good.size), .size = good.size};

        REQUIRE(bad.data);
        CHECK(survives(good));
        for (int i = 0; i < 400; i++) {
                /* Half of the flips hit header or table, where the structure is. */
                size_t at = unit_random(random) % good.size;
                if (i % 4 == 0)
                        at = unit_random(random) % 88;
                if (i % 4 == 1)
                        at = good.size - 1 - unit_random(random) % 256;
                memcpy(bad.data, good.data, good.size);
                bad.data[at] ^= (char)(1 << unit_random(random) % 8);
                /* zstd frames have bits that mean nothing; header and table have none. */
                bool whole = survives(bad);
                CHECK(!whole || (at >= 88 && at < good.size - 256));
        }
        for (int i = 0; i < 200; i++) {
                bad.size = i < 100 ? (size_t)i : unit_random(random) % good.size;
                memcpy(bad.data, good.data, bad.size);
                CHECK(!survives(bad));
        }
        free(bad.data);
}

static void check_refusals(void)
{
        struct fmt_bundle_writer *writer;
        struct fmt_digest digest;

        CHECK(fmt_bundle_writer_new(0, &writer) == -EINVAL);
        CHECK(fmt_bundle_writer_new(99, &writer) == -EINVAL);
        REQUIRE(fmt_bundle_writer_new(3, &writer) == 0);
        CHECK(fmt_bundle_add(writer, 0, "x", 1, &digest) == -EINVAL);
        CHECK(fmt_bundle_add(writer, 99, "x", 1, &digest) == -EINVAL);
        CHECK(fmt_bundle_add(writer, FMT_BLOB_TEXT, "", 0, &digest) == 0);
        CHECK(fmt_bundle_write(writer, &digest, 1, -1, NULL) == -EINVAL); /* root is no manifest */
        CHECK(fmt_bundle_add(writer, FMT_BLOB_MANIFEST, "{}", 2, &digest) == 0);
        CHECK(fmt_bundle_write(writer, &digest, 1, -1, NULL) == -EBADF);
        fmt_bundle_writer_free(writer);
}

static bool same(struct bytes a, struct bytes b)
{
        return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

int main(void)
{
        uint64_t random = unit_seed();
        struct blob blobs[N_MODULES + 4];
        size_t n = 0;

        blobs[n++] = make_text(FMT_BLOB_MANIFEST, "{\"root\":true}");
        blobs[n++] = make_text(FMT_BLOB_TEXT, "VERS_1 { global: f; local: *; };");
        blobs[n++] = make_text(FMT_BLOB_NATIVE, "\177ELF and so on");
        blobs[n++] = make_text(FMT_BLOB_STUB, "");
        while (n < N_MODULES + 4)
                blobs[n++] = make_module(&random);

        struct bytes plain = write_bundle(blobs, n, false, 1, 0);
        struct bytes small = write_bundle(blobs, n, false, 1, 4096);
        struct bytes again = write_bundle(blobs, n, true, 4, 4096);
        struct bytes plain_again = write_bundle(blobs, n, true, 3, 0);
        CHECK(same(plain, plain_again));
        CHECK(same(small, again));
        CHECK(small.size < plain.size);
        check_contents(plain, blobs, n);
        check_contents(small, blobs, n);
        /* Too little to learn from: left out, without an error. */
        struct bytes tiny = write_bundle(blobs, 4, false, 2, 4096);
        check_contents(tiny, blobs, 4);
        check_damage(plain, &random);
        check_damage(small, &random);
        check_damage(tiny, &random);
        check_refusals();
        free(plain.data), free(plain_again.data), free(small.data), free(again.data);
        free(tiny.data);
        for (size_t i = 0; i < n; i++)
                free(blobs[i].data);
        return unit_report();
}
