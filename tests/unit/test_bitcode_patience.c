/* SPDX-License-Identifier: Apache-2.0 */
/* A module with which LLVM never comes to an end: the code of jit_bitcode.c, only less patient, and
 * a companion that hangs. */
#define TIMEOUT_BASE_MS 300
#define XAASFS_LIBEXECDIR "/nonexistent"
#include "jit_bitcode.c"

#include "unit_check.h"

#include <sys/stat.h>

int main(void)
{
        char folder[] = "/tmp/xaasfs-patience-XXXXXX";
        char path[128];
        struct jit_spawner *spawner;
        struct jit_bitcode_input inputs[] = {{"a", 1, "a"}, {"b", 1, "b"}};
        struct jit_bitcode_result results[2];

        REQUIRE(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/%s", folder, JIT_BITCODE_PROGRAM);
        FILE *file = fopen(path, "we");
        REQUIRE(file && fputs("#!/bin/sh\nsleep 1000 &\nwait\n", file) >= 0 && fclose(file) == 0);
        REQUIRE(chmod(path, 0755) == 0 && setenv("XAASFS_LIBEXEC", folder, 1) == 0);
        REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
        CHECK(jit_bitcode_normalise(spawner, inputs, 2, false, 1, NULL, NULL, results) == 0);
        for (size_t i = 0; i < 2; i++) {
                CHECK(results[i].error == -EBADMSG && results[i].reason);
                CHECK(results[i].reason && strstr(results[i].reason, "did not come to an end"));
                jit_bitcode_result_done(&results[i]);
        }
        jit_spawner_stop(spawner);
        unlink(path);
        rmdir(folder);
        return unit_report();
}
