/* SPDX-License-Identifier: Apache-2.0 */
#include "session_harness.h"

#include "fmt_cleanup.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

struct jit_spawner *harness_spawner(void)
{
        struct jit_spawner *spawner;
        REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
        return spawner;
}

void harness_open(struct session_harness *harness, struct sample_image *image,
        struct jit_spawner *spawner, const char *cache_name, const char *target,
        const struct jit_options *options)
{
        static const struct jit_options defaults;
        _cleanup_free_ char *folder = NULL;
        REQUIRE(asprintf(&folder, "%s/%s", image->folder, cache_name) > 0);
        struct cache_options where = {.directory = folder};
        *harness = (struct session_harness){.image = image};
        REQUIRE(cache_open(&where, &harness->cache) == 0);
        REQUIRE(jit_target_detect(target, true, &harness->target) == 0);
        REQUIRE(jit_session_new(options ? options : &defaults, spawner, harness->cache,
                        harness->target, image->bundle, image->manifest, &harness->session) == 0);
}

void harness_close(struct session_harness *harness)
{
        jit_session_free(harness->session, true);
        REQUIRE(harness->is_shared || harness_count_files(harness, "jobs") == 0);
        jit_target_free(harness->target);
        cache_close(harness->cache);
}

struct jit_program *harness_load(struct session_harness *harness, const char *path)
{
        struct jit_program *program;
        REQUIRE(jit_program_load(harness->session, sample_find(harness->image, path), &program) ==
                0);
        return program;
}

struct wait {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool done;
        struct harness_answer *answer;
};

static void take_answer(void *context, const struct jit_result *result)
{
        struct wait *wait = context;
        pthread_mutex_lock(&wait->lock);
        *wait->answer = (struct harness_answer){.error = result->error,
                .reason = result->reason ? strdup(result->reason) : NULL,
                .fd = result->fd >= 0 ? dup(result->fd) : -1,
                .from_cache = result->from_cache,
                .phases = result->phases};
        wait->done = true;
        pthread_cond_signal(&wait->changed);
        pthread_mutex_unlock(&wait->lock);
}

void harness_ask(struct session_harness *harness, const char *path, struct harness_answer *ret)
{
        struct jit_program *program = harness_load(harness, path);
        struct wait wait = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, ret};
        REQUIRE(jit_session_request(harness->session, program, take_answer, &wait) == 0);
        pthread_mutex_lock(&wait.lock);
        while (!wait.done)
                pthread_cond_wait(&wait.changed, &wait.lock);
        pthread_mutex_unlock(&wait.lock);
        /* What follows the answer: publishing, keeping results of modules. */
        while (ret->error == 0 && jit_session_state(harness->session, program, NULL) == JIT_RUNNING)
                usleep(1000);
        jit_program_free(program);
}

void harness_answer_done(struct harness_answer *answer)
{
        free(answer->reason);
        if (answer->fd >= 0)
                close(answer->fd);
}

char *harness_ask_and_run(struct session_harness *harness, const char *path)
{
        struct harness_answer answer;
        harness_ask(harness, path, &answer);
        if (answer.error < 0)
                fprintf(stderr, "%s: %s\n", path, answer.reason);
        REQUIRE(answer.error == 0);
        char *output = sample_run(harness->image, answer.fd);
        harness_answer_done(&answer);
        return output;
}

uint64_t harness_counter(struct session_harness *harness, enum cache_counter counter)
{
        struct cache_stats stats;
        REQUIRE(cache_stats(harness->cache, &stats) == 0);
        return stats.counters[counter];
}

size_t harness_count_files(struct session_harness *harness, const char *folder)
{
        _cleanup_free_ char *path = NULL;
        size_t n = 0;
        REQUIRE(asprintf(&path, "%s/v1/%s", cache_directory(harness->cache), folder) > 0);
        DIR *open_folder = opendir(path);
        for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
                n += entry->d_name[0] != '.';
        if (open_folder)
                closedir(open_folder);
        return n;
}

void harness_digest(int fd, char ret_hex[FMT_DIGEST_HEX_SIZE])
{
        struct stat st;
        struct fmt_digest digest;
        REQUIRE(fstat(fd, &st) == 0);
        _cleanup_free_ char *data = malloc((size_t)st.st_size + 1);
        REQUIRE(data && pread(fd, data, (size_t)st.st_size, 0) == st.st_size);
        REQUIRE(fmt_digest_of(data, (size_t)st.st_size, &digest) == 0);
        fmt_digest_to_hex(&digest, ret_hex);
}
