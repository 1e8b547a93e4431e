/* SPDX-License-Identifier: Apache-2.0 */
/* Digests against the examples of FIPS 180-4; sources at and past their ends; lists of strings. */
#include "fmt_cleanup.h"
#include "fmt_digest.h"
#include "fmt_source.h"
#include "fmt_strings.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>

static void check_hex(const char *data, size_t size, const char *wanted)
{
        struct fmt_digest digest;
        struct fmt_digest again;
        char hex[FMT_DIGEST_HEX_SIZE];

        REQUIRE(fmt_digest_of(data, size, &digest) == 0);
        fmt_digest_to_hex(&digest, hex);
        CHECK(strcmp(hex, wanted) == 0);
        CHECK(fmt_digest_from_hex(wanted, &again) == 0 && fmt_digest_equal(&digest, &again));
}

static void check_digests(void)
{
        static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        struct fmt_digest_state *state;
        struct fmt_digest whole;
        struct fmt_digest parts;

        check_hex("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check_hex(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check_hex(
                long_text, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        REQUIRE(fmt_digest_begin(&state) == 0);
        for (size_t i = 0; i < 56; i += 7)
                CHECK(fmt_digest_update(state, long_text + i, 7) == 0);
        CHECK(fmt_digest_update(state, NULL, 0) == 0);
        CHECK(fmt_digest_finish(state, &parts) == 0);
        CHECK(fmt_digest_of(long_text, 56, &whole) == 0 && fmt_digest_equal(&whole, &parts));
        REQUIRE(fmt_digest_begin(&state) == 0);
        fmt_digest_abandon(state);
        parts.bytes[31]++;
        CHECK(!fmt_digest_equal(&whole, &parts) && fmt_digest_compare(&whole, &parts) < 0);
}

static void check_bad_hex(void)
{
        char hex[FMT_DIGEST_HEX_SIZE + 1];
        struct fmt_digest digest;

        CHECK(fmt_digest_from_hex("", &digest) == -EINVAL);
        for (size_t i = 0; i < 64; i++) {
                memset(hex, '0', sizeof hex);
                hex[64] = '\0';
                hex[i] = "gG/: \0A-"[i % 8];
                CHECK(fmt_digest_from_hex(hex, &digest) == -EINVAL);
        }
        memset(hex, '0', sizeof hex);
        hex[65] = '\0'; /* one digit too many */
        CHECK(fmt_digest_from_hex(hex, &digest) == -EINVAL);
}

static void check_ranges(struct fmt_source source)
{
        char byte[8] = "";

        CHECK(source.size == 5);
        CHECK(source.read(source.context, byte, 5, 0) == 0 && memcmp(byte, "world", 5) == 0);
        CHECK(source.read(source.context, byte, 2, 3) == 0 && memcmp(byte, "ld", 2) == 0);
        CHECK(source.read(source.context, byte, 0, 5) == 0);
        CHECK(source.read(source.context, byte, 1, 5) == -EIO);
        CHECK(source.read(source.context, byte, 6, 0) == -EIO);
        CHECK(source.read(source.context, byte, 2, UINT64_MAX) == -EIO);
        CHECK(source.read(source.context, byte, SIZE_MAX, 1) == -EIO);
}

static void check_sources(void)
{
        _cleanup_close_ int fd = memfd_create("source", MFD_CLOEXEC);
        struct fmt_source_memory memory = {.data = "world", .size = 5};
        struct fmt_source_fd part = {.fd = fd, .offset = 6, .size = 5};
        struct fmt_source_fd beyond = {.fd = fd, .offset = 9, .size = 5};
        struct fmt_source_fd wraps = {.fd = fd, .offset = UINT64_MAX - 1, .size = 5};
        char bytes[8];

        REQUIRE(fd >= 0 && write(fd, "hello world", 11) == 11);
        check_ranges(fmt_source_of_memory(&memory));
        check_ranges(fmt_source_of_fd(&part));
        /* The file is shorter than the part was said to be: an error, not fewer bytes. */
        struct fmt_source source = fmt_source_of_fd(&beyond);
        CHECK(source.read(source.context, bytes, 5, 0) == -EIO);
        CHECK(fmt_source_of_fd(&wraps).size == 0);
}

static void check_strings(void)
{
        char **list = NULL;
        char number[16];

        CHECK(fmt_strings_count(list) == 0 && !fmt_strings_contain(list, "0"));
        for (int i = 0; i < 100; i++) {
                snprintf(number, sizeof number, "%d", i);
                REQUIRE(fmt_strings_append(&list, number) == 0);
                CHECK(fmt_strings_count(list) == (size_t)i + 1);
        }
        CHECK(fmt_strings_contain(list, "99") && !fmt_strings_contain(list, "100"));
        CHECK(strcmp(list[42], "42") == 0);
        fmt_strings_free(list);
        /* A list that others made, with no room to spare. */
        list = calloc(1, sizeof *list);
        REQUIRE(list && fmt_strings_append(&list, "a") == 0);
        CHECK(fmt_strings_count(list) == 1);
        fmt_strings_free(list);
        fmt_strings_free(NULL);
}

int main(void)
{
        check_digests();
        check_bad_hex();
        check_sources();
        check_strings();
        return unit_report();
}
