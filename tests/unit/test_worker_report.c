/* SPDX-License-Identifier: Apache-2.0 */
/* Reports and jobs come back as they were written; of what is cut off or made up, nothing is
 * believed but an error. */
#include "fmt_cleanup.h"
#include "jit_worker_job.h"
#include "jit_worker_report.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>

static void read_text(int fd, const char *text, struct jit_worker_report *ret)
{
        REQUIRE(ftruncate(fd, 0) == 0);
        REQUIRE(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
        REQUIRE(jit_worker_report_read(fd, ret) == 0);
}

static void test_report(void)
{
        _cleanup_close_ int fd = memfd_create("report", MFD_CLOEXEC);
        struct jit_worker_report written = {.error = -EBADMSG,
                .reason = (char *)"module src/a.c: Malformed block",
                .elf_size = 1,
                .modules = 2,
                .compiled = 3,
                .opt = 3,
                .start_ns = 4,
                .retarget_ns = 5,
                .link_ns = 6,
                .check_ns = 7,
                .swept = 8};
        struct jit_worker_report read;
        REQUIRE(jit_worker_report_write(&written, fd) == 0);
        REQUIRE(jit_worker_report_read(fd, &read) == 0);
        REQUIRE(read.error == -EBADMSG && strcmp(read.reason, written.reason) == 0);
        REQUIRE(read.elf_size == 1 && read.modules == 2 && read.compiled == 3 && read.opt == 3);
        REQUIRE(read.start_ns == 4 && read.retarget_ns == 5 && read.link_ns == 6);
        REQUIRE(read.check_ns == 7 && read.swept == 8);
        jit_worker_report_done(&read);

        /* What is told on the way is no outcome, whatever stood there before. */
        written.link_ns = 0;
        jit_worker_report_tell(&written, fd);
        REQUIRE(jit_worker_report_read(fd, &read) == 0);
        REQUIRE(read.error == -EIO && !read.reason && read.retarget_ns == 5 && read.link_ns == 0);

        read_text(fd, "", &read);
        REQUIRE(read.error == -EIO && !read.reason);
        read_text(fd, "elf 17\nerror 0", &read);
        REQUIRE(read.error == -EIO && read.elf_size == 17);
        read_text(fd, "error 0\n", &read);
        REQUIRE(read.error == 0);
        read_text(fd, "error 99999999999\n", &read);
        REQUIRE(read.error < 0);
        read_text(fd, "error -3\nunknown x\n\n  \nreason\n", &read);
        REQUIRE(read.error < 0 && !read.reason);
        jit_worker_report_done(&read);
}

static void test_job(void)
{
        struct jit_worker_job written = {.triple = (char *)"x86_64-pc-linux-gnu",
                .tune = (char *)"znver4",
                .features = (char *)"+avx2,-avx512f",
                .size = UINT64_C(1) << 33,
                .policy = {.opt = 2, .fp = JIT_FP_STRICT, .width = 512, .tune = "znver5"},
                .threads = 16};
        struct jit_worker_job read;
        _cleanup_free_ char *text = NULL;
        REQUIRE(jit_worker_job_encode(&written, &text) == 0);
        REQUIRE(jit_worker_job_decode(text, strlen(text), &read) == 0);
        REQUIRE(strcmp(read.triple, written.triple) == 0 && strcmp(read.tune, written.tune) == 0);
        REQUIRE(strcmp(read.features, written.features) == 0 && read.size == written.size);
        REQUIRE(jit_policy_equal(&read.policy, &written.policy) && read.threads == 16);
        jit_worker_job_done(&read);
        for (size_t size = 0; size + 1 < strlen(text); size++)
                REQUIRE(jit_worker_job_decode(text, size, &read) == -EBADMSG);
        REQUIRE(jit_worker_job_decode("unknown 1\n", 10, &read) == -EBADMSG);
}

int main(void)
{
        test_report();
        test_job();
        return 0;
}
