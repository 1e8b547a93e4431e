/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner with real children: this program itself, started again with the name of a role. */
#include "fmt_cleanup.h"
#include "jit_spawner.h"
#include "unit_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PARALLEL 64

static char self[4096];
static char *const *environment;

/* ---- roles of the child ---- */

static int role_list_descriptors(void)
{
        DIR *folder = opendir("/proc/self/fd");
        struct dirent *entry;
        int own = folder ? dirfd(folder) : -1;

        while (folder && (entry = readdir(folder))) {
                if (entry->d_name[0] != '.' && atoi(entry->d_name) != own)
                        printf("%s ", entry->d_name);
        }
        printf("\n");
        if (folder)
                closedir(folder);
        return 0;
}

static int role_describe(void)
{
        char folder[64] = "";
        sigset_t blocked;
        struct sigaction action;
        unsigned altered = 0;
        int death = 0;
        char score[16] = "";
        FILE *file = fopen("/proc/self/oom_score_adj", "r");

        sigprocmask(SIG_SETMASK, NULL, &blocked);
        for (int number = 1; number < 32; number++) {
                /* The runtime of a sanitizer takes the faults. */
                bool fault = number == SIGSEGV || number == SIGBUS || number == SIGFPE;
                if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL && !fault)
                        altered++;
                if (sigismember(&blocked, number))
                        altered++;
        }
        prctl(PR_GET_PDEATHSIG, &death);
        if (file && !fgets(score, sizeof(score), file))
                score[0] = 0;
        if (file)
                fclose(file);
        printf("%u %d %d %d %s %s", altered, getpid() == getpgrp(), getpid() == getsid(0), death,
                getcwd(folder, sizeof(folder)), score);
        for (size_t i = 0; environment[i]; i++)
                printf("%s\n", environment[i]);
        return 0;
}

/* Tells its pid and that of a grandchild, then stays. */
static int role_family(void)
{
        pid_t child = fork();

        if (child == 0) {
                for (;;)
                        pause();
        }
        dprintf(1, "%d %d\n", (int)getpid(), (int)child);
        while (pause() < 0)
                ;
        return 0;
}

/* Leaves a grandchild behind. */
static int role_orphan(void)
{
        pid_t child = fork();

        if (child == 0) {
                for (;;)
                        pause();
        }
        dprintf(1, "%d\n", (int)child);
        return 5;
}

static int play(const char *role, const char *argument)
{
        if (!strcmp(role, "descriptors"))
                return role_list_descriptors();
        if (!strcmp(role, "describe"))
                return role_describe();
        if (!strcmp(role, "family"))
                return role_family();
        if (!strcmp(role, "orphan"))
                return role_orphan();
        if (!strcmp(role, "exit"))
                return atoi(argument);
        if (!strcmp(role, "abort"))
                abort();
        return 99;
}

/* ---- what the tests share ---- */

static int start(struct jit_spawner *spawner, const char *role, const char *argument,
        const int *fds, size_t n, struct jit_child **ret)
{
        char *const argv[] = {"role", (char *)role, (char *)argument, NULL};
        return jit_spawner_run(spawner, self, argv, fds, n, ret);
}

/* Runs a role to its end with stdout in a pipe; returns the wait status. */
static int output_of(struct jit_spawner *spawner, const char *role, const int *more, size_t n_more,
        char *text, size_t size)
{
        int ends[2];
        int status = -1;
        int fds[JIT_SPAWNER_MAX_FDS] = {-1, -1, 2};
        struct jit_child *child;
        size_t used = 0;
        ssize_t n;

        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        fds[1] = ends[1];
        if (n_more)
                memcpy(fds + 3, more, n_more * sizeof(int));
        REQUIRE(start(spawner, role, "", fds, 3 + n_more, &child) == 0);
        close(ends[1]);
        while ((n = read(ends[0], text + used, size - 1 - used)) > 0)
                used += (size_t)n;
        text[used] = 0;
        close(ends[0]);
        CHECK(jit_child_wait(child, -1, &status) == 0);
        return status;
}

static size_t open_descriptors(pid_t pid)
{
        char path[64];
        size_t n = 0;
        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        DIR *folder = opendir(path);
        REQUIRE(folder);
        while (readdir(folder))
                n++;
        closedir(folder);
        return n;
}

static pid_t only_child_of(pid_t pid)
{
        char path[64];
        int child = 0;
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%d", &child) != 1)
                child = 0;
        if (file)
                fclose(file);
        return child;
}

/* Gone, or a zombie that its new parent has not looked at. */
static bool is_dead(pid_t pid)
{
        char path[64];
        char state = 0;
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "r");
        if (!file)
                return true;
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
                state = 0;
        fclose(file);
        return state == 'Z' || state == 'X' || state == 0;
}

static bool dies(pid_t pid)
{
        for (int i = 0; i < 2000 && !is_dead(pid); i++)
                usleep(5000);
        return is_dead(pid);
}

/* Starts the role "family" and reads both pids; *ret_fd stays open until the family is gone. */
static void start_family(struct jit_spawner *spawner, struct jit_child **ret, int pids[2])
{
        int ends[2];
        char text[64] = "";
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        int fds[] = {-1, ends[1], -1};

        REQUIRE(start(spawner, "family", "", fds, 3, ret) == 0);
        close(ends[1]);
        REQUIRE(read(ends[0], text, sizeof(text) - 1) > 0);
        close(ends[0]);
        REQUIRE(sscanf(text, "%d %d", &pids[0], &pids[1]) == 2);
}

/* ---- tests ---- */

static void test_status(struct jit_spawner *spawner)
{
        struct jit_child *child;
        int status;

        for (int code = 0; code < 4; code++) {
                char text[8];
                snprintf(text, sizeof(text), "%d", code);
                REQUIRE(start(spawner, "exit", text, NULL, 0, &child) == 0);
                CHECK(jit_child_pid(child) > 0);
                CHECK(jit_child_wait(child, -1, &status) == 0);
                CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
        }
        REQUIRE(start(spawner, "abort", "", NULL, 0, &child) == 0);
        struct pollfd ended = {.fd = jit_child_fd(child), .events = POLLIN};
        CHECK(poll(&ended, 1, 20000) == 1 && (ended.revents & POLLIN));
        jit_child_kill(child); /* too late, and harmless */
        CHECK(jit_child_wait(child, 0, &status) == 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_failures(struct jit_spawner *spawner)
{
        char *const argv[] = {"x", NULL};
        char *const large[] = {"x", malloc(100000), NULL};
        int fds[JIT_SPAWNER_MAX_FDS + 1];
        struct jit_child *child;

        memset(large[1], 'a', 99999);
        large[1][99999] = 0;
        memset(fds, 0xff, sizeof(fds));
        CHECK(jit_spawner_run(spawner, "/no/such/program", argv, NULL, 0, &child) == -ENOENT);
        CHECK(jit_spawner_run(spawner, "/etc/passwd", argv, NULL, 0, &child) == -EACCES);
        CHECK(jit_spawner_run(spawner, "relative", argv, NULL, 0, &child) == -EINVAL);
        CHECK(jit_spawner_run(spawner, self, large, NULL, 0, &child) == -E2BIG);
        CHECK(jit_spawner_run(spawner, self, argv, fds, JIT_SPAWNER_MAX_FDS + 1, &child) ==
                -EINVAL);
        fds[5] = 1000;
        CHECK(jit_spawner_run(spawner, self, argv, fds, 6, &child) == -EBADF);
        free(large[1]);
}

/* Exactly the descriptors asked for, in order, whatever else is open on this side. */
static void test_descriptors(struct jit_spawner *spawner)
{
        char text[4096];
        char expected[512] = "";
        int more[JIT_SPAWNER_MAX_FDS];
        _cleanup_close_ int extra = open("/dev/null", O_RDONLY); /* not close-on-exec */

        CHECK(output_of(spawner, "descriptors", NULL, 0, text, sizeof(text)) == 0);
        CHECK(!strcmp(text, "0 1 2 \n"));
        for (int i = 0; i < JIT_SPAWNER_MAX_FDS - 3; i++)
                more[i] = i % 3 ? extra : -1;
        CHECK(output_of(spawner, "descriptors", more, JIT_SPAWNER_MAX_FDS - 3, text,
                      sizeof(text)) == 0);
        for (int i = 0; i < JIT_SPAWNER_MAX_FDS; i++)
                snprintf(expected + strlen(expected), 8, "%d ", i);
        strcat(expected, "\n");
        CHECK(!strcmp(text, expected));
}

static void test_surroundings(struct jit_spawner *spawner)
{
        char text[4096];

        setenv("XAASFS_SECRET", "do not pass on", 1);
        CHECK(output_of(spawner, "describe", NULL, 0, text, sizeof(text)) == 0);
        CHECK(!strcmp(text, "0 1 1 9 / 1000\nPATH=/usr/bin:/bin\nLANG=C\n"));
}

static void test_kill(struct jit_spawner *spawner)
{
        struct jit_child *child;
        int status;
        int pids[2];

        start_family(spawner, &child, pids);
        CHECK(pids[0] == jit_child_pid(child));
        jit_child_kill(child);
        CHECK(jit_child_wait(child, -1, &status) == 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(dies(pids[0]) && dies(pids[1]));

        start_family(spawner, &child, pids);
        CHECK(jit_child_wait(child, 20, &status) == -ETIMEDOUT);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(dies(pids[0]) && dies(pids[1]));
}

static void test_orphan(struct jit_spawner *spawner)
{
        char text[64];
        int status = output_of(spawner, "orphan", NULL, 0, text, sizeof(text));

        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
        CHECK(dies(atoi(text)));
}

static void *one_of_many(void *argument)
{
        struct jit_spawner *spawner = argument;
        int seen = -1;

        for (int i = 0; i < 4; i++) {
                struct jit_child *child;
                char text[8];
                int status = 0;
                int code = (int)(((uintptr_t)pthread_self() >> 12) % 50) + i;
                snprintf(text, sizeof(text), "%d", code);
                if (start(spawner, "exit", text, NULL, 0, &child) < 0 ||
                        jit_child_wait(child, 60000, &status) < 0 || WEXITSTATUS(status) != code)
                        return NULL;
                seen = i;
        }
        return seen == 3 ? spawner : NULL;
}

static void test_parallel(struct jit_spawner *spawner, pid_t spawner_pid)
{
        pthread_t threads[PARALLEL];
        struct jit_child *children[PARALLEL];
        void *result;
        int pids[2];
        int status;
        size_t ours = open_descriptors(getpid());
        /* It may still be tidying up after an earlier test: this is an upper bound. */
        size_t theirs = open_descriptors(spawner_pid);

        for (int i = 0; i < PARALLEL; i++)
                REQUIRE(pthread_create(&threads[i], NULL, one_of_many, spawner) == 0);
        for (int i = 0; i < PARALLEL; i++) {
                REQUIRE(pthread_join(threads[i], &result) == 0);
                CHECK(result == spawner);
        }
        for (int i = 0; i < PARALLEL; i++)
                start_family(spawner, &children[i], pids);
        for (int i = 0; i < PARALLEL; i++)
                jit_child_kill(children[i]);
        for (int i = 0; i < PARALLEL; i++)
                CHECK(jit_child_wait(children[i], 60000, &status) == 0 && WIFSIGNALED(status));
        CHECK(open_descriptors(getpid()) == ours);
        /* The spawner answers first and tidies up (adopted grandchildren, too) right afterwards. */
        for (int i = 0;
                i < 2000 && (only_child_of(spawner_pid) || open_descriptors(spawner_pid) > theirs);
                i++)
                usleep(5000);
        CHECK(open_descriptors(spawner_pid) <= theirs);
        CHECK(only_child_of(spawner_pid) == 0);
}

/* The parent of the spawner is killed: nothing of it stays. */
static void test_parent_killed(void)
{
        int ends[2];
        int pids[3] = {0};
        int status;

        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        pid_t parent = fork();
        if (parent == 0) {
                struct jit_spawner *spawner;
                struct jit_child *child;
                REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
                start_family(spawner, &child, pids);
                pids[2] = only_child_of(getpid());
                REQUIRE(write(ends[1], pids, sizeof(pids)) == sizeof(pids));
                for (;;)
                        pause();
        }
        close(ends[1]);
        REQUIRE(read(ends[0], pids, sizeof(pids)) == sizeof(pids));
        close(ends[0]);
        CHECK(!is_dead(pids[0]) && !is_dead(pids[1]) && !is_dead(pids[2]));
        kill(parent, SIGKILL);
        waitpid(parent, &status, 0);
        CHECK(dies(pids[0]) && dies(pids[1]) && dies(pids[2]));
}

/* A parent that went to the background keeps its spawner. */
static void test_background(void)
{
        struct jit_spawner *spawner;
        struct jit_child *child;
        int status = 1;
        int ends[2];

        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        pid_t parent = fork();
        if (parent == 0) {
                REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
                if (fork() > 0)
                        _exit(0);
                usleep(50000);
                bool good = start(spawner, "exit", "7", NULL, 0, &child) == 0 &&
                            jit_child_wait(child, -1, &status) == 0 && WEXITSTATUS(status) == 7;
                jit_spawner_stop(spawner);
                _exit(write(ends[1], good ? "+" : "-", 1) == 1 ? 0 : 1);
        }
        char answer = 0;
        close(ends[1]);
        waitpid(parent, &status, 0);
        CHECK(read(ends[0], &answer, 1) == 1 && answer == '+');
        close(ends[0]);
}

static void test_spawner_killed(void)
{
        struct jit_spawner *spawner;
        struct jit_child *child;
        struct jit_child *other;
        int pids[2];
        int status;

        REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
        pid_t spawner_pid = only_child_of(getpid());
        start_family(spawner, &child, pids);
        kill(spawner_pid, SIGKILL);
        CHECK(jit_child_wait(child, -1, &status) == -ECHILD);
        CHECK(dies(pids[0]));
        CHECK(start(spawner, "exit", "0", NULL, 0, &other) == -ECHILD);
        kill(pids[1], SIGKILL);
        jit_spawner_stop(spawner);
}

static void test_stop_ends_children(struct jit_spawner *spawner)
{
        struct jit_child *child;
        int pids[2];
        int status;

        start_family(spawner, &child, pids);
        jit_spawner_stop(spawner);
        CHECK(is_dead(pids[0]));
        CHECK(dies(pids[1]));
        CHECK(jit_child_wait(child, -1, &status) == 0 && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv, char **envp)
{
        struct jit_spawner *spawner;

        environment = envp;
        if (argc == 3)
                return play(argv[1], argv[2]);
        REQUIRE(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        signal(SIGCHLD, SIG_IGN); /* must not reach the spawner */
        REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
        signal(SIGCHLD, SIG_DFL);
        pid_t spawner_pid = only_child_of(getpid());
        test_status(spawner);
        test_failures(spawner);
        test_descriptors(spawner);
        test_surroundings(spawner);
        test_kill(spawner);
        test_orphan(spawner);
        test_parallel(spawner, spawner_pid);
        test_stop_ends_children(spawner);
        test_parent_killed();
        test_background();
        test_spawner_killed();
        return unit_report();
}
