/* SPDX-License-Identifier: Apache-2.0 */
/* Compile-once, with real processes: one holder at a time, released by death, no lock file left. */
#include "cache_scratch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>

#define PROCESSES 10

/* Shared by all processes of a test. */
struct board {
        _Atomic int inside;
        _Atomic int overlaps;
        _Atomic int compiles;
};

static struct board *board;

/* What a session does for a program: look, lock, look again, compile, publish. */
static int open_once(struct cache *cache, uint64_t number)
{
        struct fmt_digest key = key_of(number);
        struct cache_lock *lock;
        int fd, r;

        if (cache_lookup(cache, &key, &fd, NULL) == 0) {
                close(fd);
                return 0;
        }
        r = cache_lock_take(cache, &key, true, &lock);
        if (r < 0)
                return r;
        if (board->inside++ > 0)
                board->overlaps++;
        if (cache_peek(cache, &key, &fd, NULL) == 0) {
                close(fd);
        } else {
                board->compiles++;
                usleep(20000);
                r = publish_object(cache, number, 10000, 65536);
        }
        board->inside--;
        cache_lock_release(lock);
        return r;
}

static void test_one_compile_for_ten_processes(void)
{
        pid_t children[PROCESSES];

        for (uint64_t number = 100; number < 110; number++) {
                *board = (struct board){0};
                for (int i = 0; i < PROCESSES; i++) {
                        children[i] = fork();
                        REQUIRE(children[i] >= 0);
                        if (children[i] == 0) {
                                struct cache *own = scratch_cache(0);
                                _exit(open_once(own, number) == 0 ? 0 : 1);
                        }
                }
                for (int i = 0; i < PROCESSES; i++)
                        CHECK(exit_status_of(children[i]) == 0);
                CHECK(board->compiles == 1 && board->overlaps == 0);
        }
        CHECK(count_names("cache/v1/locks") == 0);
}

static void *thread_opens(void *cache)
{
        return open_once(cache, 200) == 0 ? NULL : cache;
}

static void test_one_compile_for_ten_threads(void)
{
        struct cache *cache = scratch_cache(0);
        pthread_t threads[PROCESSES];
        void *failed;

        *board = (struct board){0};
        for (int i = 0; i < PROCESSES; i++)
                REQUIRE(pthread_create(&threads[i], NULL, thread_opens, cache) == 0);
        for (int i = 0; i < PROCESSES; i++) {
                pthread_join(threads[i], &failed);
                CHECK(!failed);
        }
        CHECK(board->compiles == 1 && board->overlaps == 0);
        cache_close(cache);
}

/* Locks are removed on release: whoever waited on a removed one must not think it holds
 * anything. Many short holds by many processes would overlap otherwise. */
static void test_removal_races(void)
{
        pid_t children[PROCESSES];

        *board = (struct board){0};
        for (int i = 0; i < PROCESSES; i++) {
                children[i] = fork();
                REQUIRE(children[i] >= 0);
                if (children[i] == 0) {
                        struct cache *own = scratch_cache(0);
                        struct fmt_digest key = key_of(300);
                        for (int j = 0; j < 300; j++) {
                                struct cache_lock *lock;
                                int r = cache_lock_take(own, &key, j % 3 != 0, &lock);
                                if (r == -EWOULDBLOCK)
                                        continue;
                                if (r < 0)
                                        _exit(1);
                                if (board->inside++ > 0)
                                        board->overlaps++;
                                if (j % 7 == 0)
                                        sched_yield();
                                board->inside--;
                                cache_lock_release(lock);
                                if (i == 0 && j % 10 == 0)
                                        cache_collect(own, 0, NULL);
                        }
                        _exit(0);
                }
        }
        for (int i = 0; i < PROCESSES; i++)
                CHECK(exit_status_of(children[i]) == 0);
        CHECK(board->overlaps == 0);
        CHECK(count_names("cache/v1/locks") == 0);
}

/* Starts a process that takes the lock of KEY, then says so and sleeps (after WITH, if any). */
static pid_t start_holder(const struct fmt_digest *key, void (*with)(void))
{
        int ready[2];
        char byte;
        pid_t child;

        REQUIRE(pipe(ready) == 0);
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
                struct cache *own = scratch_cache(0);
                struct cache_lock *lock;
                REQUIRE(cache_lock_take(own, key, true, &lock) == 0);
                if (with)
                        with();
                REQUIRE(write(ready[1], "r", 1) == 1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        REQUIRE(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        return child;
}

static void test_death_releases(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(400);
        pid_t holder = start_holder(&key, NULL);
        struct cache_lock *lock;

        CHECK(cache_lock_take(cache, &key, false, &lock) == -EWOULDBLOCK);
        kill(holder, SIGKILL);
        CHECK(exit_status_of(holder) == -1);
        CHECK(cache_lock_take(cache, &key, false, &lock) == 0);
        cache_lock_release(lock);
        cache_close(cache);
}

static void leave_an_exec_behind(void)
{
        pid_t child = fork();

        if (child == 0) {
                execl("/bin/sleep", "sleep", "600", NULL);
                _exit(127);
        }
        FILE *note = fopen(scratch_path("grandchild"), "w");
        REQUIRE(note);
        fprintf(note, "%d", child);
        fclose(note);
}

static void leave_a_fork_behind(void)
{
        pid_t child = fork();

        if (child == 0)
                for (;;)
                        pause();
        FILE *note = fopen(scratch_path("grandchild"), "w");
        REQUIRE(note);
        fprintf(note, "%d", child);
        fclose(note);
}

static pid_t grandchild(void)
{
        FILE *note = fopen(scratch_path("grandchild"), "r");
        int pid;

        REQUIRE(note && fscanf(note, "%d", &pid) == 1);
        fclose(note);
        return pid;
}

/* A child that execs does not keep the lock of its dead parent. */
static void test_exec_does_not_keep_it(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(401);
        pid_t holder = start_holder(&key, leave_an_exec_behind);
        struct cache_lock *lock;

        kill(holder, SIGKILL);
        CHECK(exit_status_of(holder) == -1);
        /* By the time that exec is through, at the latest. */
        CHECK(cache_lock_take(cache, &key, true, &lock) == 0);
        cache_lock_release(lock);
        kill(grandchild(), SIGKILL);
        cache_close(cache);
}

/* One that only forks does: the reason for the rule in cache_store.h. Should this ever fail, the
 * rule can go. */
static void test_a_bare_fork_keeps_it(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(402);
        pid_t holder = start_holder(&key, leave_a_fork_behind);
        struct cache_lock *lock;

        kill(holder, SIGKILL);
        CHECK(exit_status_of(holder) == -1);
        CHECK(cache_lock_take(cache, &key, false, &lock) == -EWOULDBLOCK);
        kill(grandchild(), SIGKILL);
        CHECK(cache_lock_take(cache, &key, true, &lock) == 0);
        cache_lock_release(lock);
        cache_close(cache);
}

/* kill -9 at any moment of compile and publish: never half an object, and the next one gets
 * through. */
static void test_killed_while_publishing(void)
{
        uint64_t random = unit_seed();

        for (uint64_t number = 500; number < 540; number++) {
                struct cache *cache;
                pid_t child = fork();

                REQUIRE(child >= 0);
                if (child == 0) {
                        struct cache *own = scratch_cache(0);
                        *board = (struct board){0};
                        for (;;)
                                open_once(own, number + 1000 * (uint64_t)board->compiles);
                }
                usleep((useconds_t)(unit_random(&random) % 30000));
                kill(child, SIGKILL);
                CHECK(exit_status_of(child) == -1);
                *board = (struct board){0};
                cache = scratch_cache(0);
                CHECK(open_once(cache, number) == 0);
                CHECK(is_cached(cache, number));
                CHECK(counter_of(cache, CACHE_DAMAGED) == 0);
                cache_close(cache);
        }
}

int main(void)
{
        struct cache *cache;

        scratch_make(NULL);
        board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(board != MAP_FAILED);
        test_one_compile_for_ten_processes();
        test_one_compile_for_ten_threads();
        test_removal_races();
        test_death_releases();
        test_exec_does_not_keep_it();
        test_a_bare_fork_keeps_it();
        test_killed_while_publishing();
        cache = scratch_cache(0);
        CHECK(cache_collect(cache, 0, NULL) == 0);
        CHECK(count_names("cache/v1/locks") == 0);
        cache_close(cache);
        scratch_remove();
        return unit_report();
}
