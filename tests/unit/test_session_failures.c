/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever happens to a worker, those who wait get an answer, nothing stays behind, and the next
 * session compiles as if nothing had been. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "fmt_sanitizer.h"
#include "jit_spawner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PROMISED (UINT64_C(1) << 20)

static const char source[] = "#include <stdio.h>\n"
                             "int main(void) { printf(\"hello\\n\"); return 0; }\n";

static void add_program(struct sample_image *image, const char *path)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, path, source, "", false);
        sample_program(image, record, path, PROMISED);
}

/* One whose module is LARGE bytes, which the compiler holds several times. */
#define LARGE (20u << 20)

static void add_large_program(struct sample_image *image)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        _cleanup_free_ char *data = NULL, *text = NULL;
        REQUIRE(asprintf(&data, "%s/data", image->folder) > 0);
        REQUIRE(asprintf(&text,
                        "#include <stdio.h>\n"
                        "const unsigned char data[] = {\n#embed \"%s\"\n};\n"
                        "int main(int argc, char **argv) { return data[argc * 7919] > 300; }\n",
                        data) > 0);
        _cleanup_fclose_ FILE *file = fopen(data, "we");
        REQUIRE(file);
        /* Whatever it is, as long as not all of it is the same. */
        for (uint32_t i = 0; i < LARGE / sizeof i; i++)
                REQUIRE(fwrite(&i, sizeof i, 1, file) == 1);
        REQUIRE(fflush(file) == 0);
        sample_module(image, record, "large.c", text, "-w", false);
        sample_program(image, record, "bin/large", LARGE + PROMISED);
}

struct asking {
        struct session_harness *harness;
        const char *path;
        struct harness_answer answer;
        pthread_t thread;
        atomic_bool is_answered;
};

static void *ask_in_thread(void *context)
{
        struct asking *asking = context;
        harness_ask(asking->harness, asking->path, &asking->answer);
        atomic_store(&asking->is_answered, true);
        return NULL;
}

static void start_asking(struct asking *asking, struct session_harness *harness, const char *path)
{
        *asking = (struct asking){.harness = harness, .path = path};
        REQUIRE(pthread_create(&asking->thread, NULL, ask_in_thread, asking) == 0);
}

static bool speaks_of(const char *process, const char *folder)
{
        char path[300], text[8192];
        snprintf(path, sizeof path, "/proc/%s/cmdline", process);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
        return n > 0 && strcmp(text, "xaas-worker") == 0 &&
               memmem(text, (size_t)n, folder, strlen(folder));
}

/* The worker of HARNESS, or 0. */
static pid_t find_worker(struct session_harness *harness)
{
        DIR *processes = opendir("/proc");
        pid_t found = 0;
        for (struct dirent *entry; !found && (entry = readdir(processes));)
                if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
                        speaks_of(entry->d_name, harness->image->folder))
                        found = (pid_t)atoi(entry->d_name);
        closedir(processes);
        return found;
}

static bool is_stopped(pid_t pid)
{
        char path[64], state = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        return file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'T';
}

/* Asks for bin/hello and stops its worker in the middle of it. A worker may be quicker than we
 * are: then it is tried again. */
static pid_t ask_and_stop_worker(struct session_harness *harness, struct asking *asking)
{
        for (int attempts = 0; attempts < 100; attempts++) {
                uint64_t freed;
                start_asking(asking, harness, "bin/hello");
                while (!atomic_load(&asking->is_answered)) {
                        pid_t pid = find_worker(harness);
                        if (pid == 0 || kill(pid, SIGSTOP) < 0)
                                continue;
                        for (int i = 0; i < 1000 && !atomic_load(&asking->is_answered); i++) {
                                if (is_stopped(pid))
                                        return pid;
                                usleep(1000);
                        }
                }
                pthread_join(asking->thread, NULL);
                REQUIRE(asking->answer.error == 0);
                harness_answer_done(&asking->answer);
                REQUIRE(cache_clear(harness->cache, true, &freed) == 0);
        }
        fprintf(stderr, "no worker could be caught at work\n");
        exit(1);
}

static void expect_recovery(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        _cleanup_free_ char *output = harness_ask_and_run(&harness, "bin/hello");
        REQUIRE(strcmp(output, "hello\n") == 0);
        uint64_t freed;
        REQUIRE(cache_clear(harness.cache, true, &freed) == 0);
        harness_close(&harness);
}

static void test_killed(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct asking asking;
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        kill(ask_and_stop_worker(&harness, &asking), SIGKILL);
        pthread_join(asking.thread, NULL);
        REQUIRE(asking.answer.error == -ENOMEM && strstr(asking.answer.reason, "killed"));
        REQUIRE(harness_count_files(&harness, "objects") == 0);
        struct jit_program *program = harness_load(&harness, "bin/hello");
        char *reason;
        while (jit_session_state(harness.session, program, NULL) == JIT_RUNNING)
                usleep(1000);
        REQUIRE(jit_session_state(harness.session, program, &reason) == JIT_FAILED);
        REQUIRE(reason && strstr(reason, "killed"));
        free(reason);
        jit_program_free(program);
        harness_answer_done(&asking.answer);
        /* Whoever comes next need not wait for another mount, nor for a minute. */
        _cleanup_free_ char *output = harness_ask_and_run(&harness, "bin/hello");
        REQUIRE(strcmp(output, "hello\n") == 0);
        uint64_t freed;
        REQUIRE(cache_clear(harness.cache, true, &freed) == 0);
        harness_close(&harness);
        REQUIRE(find_worker(&harness) == 0);
        expect_recovery(image, spawner);
}

static void test_hanging(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct asking asking;
        struct jit_options options = {.deadline_s = 2};
        harness_open(&harness, image, spawner, "cache", NULL, &options);
        ask_and_stop_worker(&harness, &asking);
        pthread_join(asking.thread, NULL);
        REQUIRE(asking.answer.error == -ETIMEDOUT && strstr(asking.answer.reason, "deadline"));
        harness_answer_done(&asking.answer);
        harness_close(&harness);
        REQUIRE(find_worker(&harness) == 0);
        expect_recovery(image, spawner);
}

static void test_called_off(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct asking running, queued;
        struct jit_options options = {.workers = 1};
        harness_open(&harness, image, spawner, "cache", NULL, &options);
        ask_and_stop_worker(&harness, &running);
        start_asking(&queued, &harness, "bin/other");
        struct jit_program *program = harness_load(&harness, "bin/other");
        while (jit_session_state(harness.session, program, NULL) != JIT_RUNNING)
                usleep(1000);
        struct jit_progress progress;
        REQUIRE(jit_session_progress(harness.session, program, &progress) == 0);
        REQUIRE(progress.step == JIT_STEP_QUEUED && progress.since_ns > 0);
        jit_program_free(program);
        jit_session_free(harness.session, false);
        pthread_join(running.thread, NULL);
        pthread_join(queued.thread, NULL);
        REQUIRE(running.answer.error == -ECANCELED && queued.answer.error == -ECANCELED);
        harness_answer_done(&running.answer);
        harness_answer_done(&queued.answer);
        REQUIRE(harness_count_files(&harness, "jobs") == 0);
        REQUIRE(find_worker(&harness) == 0);
        jit_target_free(harness.target);
        cache_close(harness.cache);
        expect_recovery(image, spawner);
}

static void test_out_of_memory(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct harness_answer answer;
        struct jit_options options = {.memory_limit = UINT64_C(32) << 20};
        harness_open(&harness, image, spawner, "cache", NULL, &options);
        harness_ask(&harness, "bin/large", &answer);
        REQUIRE(answer.error == -ENOMEM && strstr(answer.reason, "ran out of memory"));
        REQUIRE(strstr(answer.reason, "all compiles may use 32.0 MiB (jit_mem)"));
        harness_answer_done(&answer);
        harness_close(&harness);
        expect_recovery(image, spawner);
}

static enum jit_step step_of(struct session_harness *harness, const char *path)
{
        struct jit_program *program = harness_load(harness, path);
        struct jit_progress progress = {.step = JIT_STEP_PUBLISHING};
        jit_session_progress(harness->session, program, &progress);
        jit_program_free(program);
        return progress.step;
}

/* Two programs at the same time, of which the first is held: the other one must wait for it if
 * there is memory for one alone, and else not. */
static void test_memory_is_shared(
        struct sample_image *image, struct jit_spawner *spawner, uint64_t memory)
{
        struct session_harness harness;
        struct asking first, second;
        struct jit_options options = {.threads = 2, .workers = 2, .memory_limit = memory};
        harness_open(&harness, image, spawner, "cache", NULL, &options);
        pid_t held = ask_and_stop_worker(&harness, &first);
        start_asking(&second, &harness, "bin/other");
        if (memory > 0) {
                while (step_of(&harness, "bin/other") != JIT_STEP_MEMORY)
                        usleep(1000);
                REQUIRE(!atomic_load(&second.is_answered));
                REQUIRE(kill(held, SIGCONT) == 0);
        }
        pthread_join(second.thread, NULL);
        (void)kill(held, SIGCONT);
        pthread_join(first.thread, NULL);
        REQUIRE(first.answer.error == 0 && second.answer.error == 0);
        harness_answer_done(&first.answer);
        harness_answer_done(&second.answer);
        uint64_t freed;
        REQUIRE(cache_clear(harness.cache, true, &freed) == 0);
        harness_close(&harness);
}

/* A cache without room: the program is served all the same. */
static void test_disk_full(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        _cleanup_free_ char *folder = NULL;
        REQUIRE(asprintf(&folder, "%s/small", image->folder) > 0);
        REQUIRE(mkdir(folder, 0700) == 0);
        if (mount("tmpfs", folder, "tmpfs", 0, "size=256k,mode=0700") < 0) {
                printf("not root: a full disk is not tried\n");
                return;
        }
        harness_open(&harness, image, spawner, "small/cache", NULL, NULL);
        char command[4096];
        snprintf(command, sizeof command, "cat /dev/zero >%s/filler 2>/dev/null; true", folder);
        REQUIRE(system(command) == 0);
        _cleanup_free_ char *output = harness_ask_and_run(&harness, "bin/hello");
        REQUIRE(strcmp(output, "hello\n") == 0);
        struct cache_stats stats;
        REQUIRE(cache_stats(harness.cache, &stats) == 0 && stats.objects == 0);
        harness_close(&harness);
        REQUIRE(umount2(folder, MNT_DETACH) == 0);
}

/* Two processes, one cache: one compile. */
static void test_two_processes(struct sample_image *image)
{
        struct session_harness harness;
        int ready[2];
        char byte;
        REQUIRE(pipe(ready) == 0);
        pid_t children[2];
        for (int i = 0; i < 2; i++) {
                children[i] = fork();
                REQUIRE(children[i] >= 0);
                if (children[i] > 0)
                        continue;
                close(ready[1]);
                struct jit_spawner *spawner = harness_spawner();
                harness_open(&harness, image, spawner, "both", NULL, NULL);
                harness.is_shared = true;
                REQUIRE(read(ready[0], &byte, 1) == 0);
                free(harness_ask_and_run(&harness, "bin/hello"));
                harness_close(&harness);
                jit_spawner_stop(spawner);
                _exit(0);
        }
        close(ready[0]);
        close(ready[1]);
        for (int i = 0; i < 2; i++) {
                int status;
                REQUIRE(waitpid(children[i], &status, 0) == children[i] && status == 0);
        }
        struct cache_options where = {0};
        _cleanup_free_ char *folder = NULL;
        REQUIRE(asprintf(&folder, "%s/both", image->folder) > 0);
        where.directory = folder;
        struct cache_stats stats;
        REQUIRE(cache_open(&where, &harness.cache) == 0 && cache_stats(harness.cache, &stats) == 0);
        REQUIRE(stats.counters[CACHE_COMPILES] == 1 && stats.objects == 1);
        cache_close(harness.cache);
}

/* A cache that cannot be read is no reason not to compile. */
static void test_unreadable_cache(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        harness_open(&harness, image, spawner, "unreadable", NULL, NULL);
        for (unsigned i = 0; i < 256; i++) {
                char path[PATH_MAX];
                snprintf(
                        path, sizeof path, "%s/v1/objects/%02x", cache_directory(harness.cache), i);
                _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                REQUIRE(fd >= 0);
        }
        char *output = harness_ask_and_run(&harness, "bin/hello");
        REQUIRE(strcmp(output, "hello\n") == 0);
        free(output);
        harness_close(&harness);
}

/* Last of all, since nothing can be compiled afterwards. */
static void test_spawner_killed(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct harness_answer answer;
        char path[64];
        int pid = 0;
        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        _cleanup_fclose_ FILE *children = fopen(path, "re");
        REQUIRE(children && fscanf(children, "%d", &pid) == 1 && kill(pid, SIGKILL) == 0);
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        harness_ask(&harness, "bin/hello", &answer);
        REQUIRE(answer.error == -ECHILD && strstr(answer.reason, "mounted again"));
        harness_answer_done(&answer);
        harness_close(&harness);
}

int main(void)
{
        struct sample_image image;
        sample_image_open(&image);
        add_program(&image, "bin/hello");
        add_program(&image, "bin/other");
        add_large_program(&image);
        sample_image_close(&image);
        test_two_processes(&image);
        struct jit_spawner *spawner = harness_spawner();
        test_killed(&image, spawner);
        test_hanging(&image, spawner);
        test_called_off(&image, spawner);
        /* A sanitizer's shadow memory allows for no limit on address space. */
        if (!FMT_SANITIZER)
                test_out_of_memory(&image, spawner);
        test_memory_is_shared(&image, spawner, UINT64_C(64) << 20);
        test_memory_is_shared(&image, spawner, 0);
        test_disk_full(&image, spawner);
        test_unreadable_cache(&image, spawner);
        test_spawner_killed(&image, spawner);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
