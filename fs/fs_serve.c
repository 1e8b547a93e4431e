/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_serve.h"

#include "fs_mountpoint.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Threads that are kept although nothing is asked of them. */
#define IDLE_THREADS 16
/* How often a loop that shall end is woken until it has. */
#define WAKE_NS 50000000

struct fs_session {
        struct fuse_session *fuse;
        char *mountpoint;
        atomic_bool mounted; /* somewhere in the tree */
        pthread_t serving;   /* the thread that is in the loop */
};

/* libfuse's own words, kept while it mounts so that they can be part of one sentence. */
static char fuse_words[256];
static bool keep_fuse_words;

static void take_fuse_words(enum fuse_log_level level, const char *format, va_list arguments)
{
        char text[sizeof fuse_words];
        vsnprintf(text, sizeof text, format, arguments);
        text[strcspn(text, "\n")] = '\0';
        const char *words = !strncmp(text, "fuse: ", 6) ? text + 6 : text;
        if (keep_fuse_words)
                memmove(fuse_words, words, strlen(words) + 1);
        /* What it says later is about requests and connections; passthrough that does not work is
         * reported by who tried it. */
        else if (level <= FUSE_LOG_ERR && strstr(words, "passthrough") == NULL)
                fmt_warning("libfuse: %s", words);
        else
                fmt_debug("libfuse: %s", words);
}

static int add_options(struct fuse_args *args, const struct fs_options *options)
{
        _cleanup_free_ char *text = NULL, *source = NULL;
        /* Commas and backslashes separate and escape options. */
        const char *name = options->fsname != NULL ? options->fsname : options->image;
        source = malloc(2 * strlen(name) + 1);
        if (source == NULL)
                return -ENOMEM;
        size_t size = 0;
        for (const char *c = name; *c != '\0'; c++) {
                if (*c == ',' || *c == '\\')
                        source[size++] = '\\';
                source[size++] = *c;
        }
        source[size] = '\0';
        if (asprintf(&text, "-oro,default_permissions,subtype=xaasfs,fsname=%s,%s,%s%s%s", source,
                    options->suid ? "suid" : "nosuid", options->dev ? "dev" : "nodev",
                    options->fuse != NULL ? "," : "",
                    options->fuse != NULL ? options->fuse : "") < 0)
                return -ENOMEM;
        if (fuse_opt_add_arg(args, "xaasfs") < 0 || fuse_opt_add_arg(args, text) < 0)
                return -ENOMEM;
        return options->debug && fuse_opt_add_arg(args, "-d") < 0 ? -ENOMEM : 0;
}

static int new_session(struct fs *fs, const struct fs_options *options, struct fuse_session **ret)
{
        struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
        int error = add_options(&args, options);
        if (error == 0) {
                *ret = fuse_session_new(
                        &args, &fs_counted_operations, sizeof fs_counted_operations, fs);
                if (*ret == NULL) {
                        fs_mountpoint_explain(options->mountpoint, fuse_words);
                        error = -EINVAL;
                }
        }
        fuse_opt_free_args(&args);
        return error;
}

/* The kernel's first request negotiates what both can do. It is answered here, before threads:
 * then whoever waits for the mount may go on. */
static int answer_first(struct fuse_session *fuse)
{
        struct fuse_buf buffer = {.mem = NULL};
        int size;
        while ((size = fuse_session_receive_buf(fuse, &buffer)) == -EINTR)
                ;
        if (size > 0)
                fuse_session_process_buf(fuse, &buffer);
        free(buffer.mem);
        return size > 0 ? 0 : size < 0 ? size : -ENOTCONN;
}

int fs_session_mount(struct fs *fs, const struct fs_options *options, struct fs_session **ret)
{
        struct fs_session *session = calloc(1, sizeof *session);
        if (session == NULL)
                return -ENOMEM;
        int error = fs_mountpoint_check(options->mountpoint, &session->mountpoint);
        fuse_set_log_func(take_fuse_words);
        keep_fuse_words = true;
        if (error == 0)
                error = new_session(fs, options, &session->fuse);
        if (error == 0 && fuse_session_mount(session->fuse, session->mountpoint) != 0) {
                fs_mountpoint_explain(session->mountpoint, fuse_words);
                error = -EPERM;
        }
        keep_fuse_words = false;
        if (error == 0) {
                session->mounted = true;
                error = answer_first(session->fuse);
                if (error < 0)
                        fmt_error("cannot mount on %s: the kernel hung up: %s", session->mountpoint,
                                strerror(-error));
        }
        if (error < 0) {
                fs_session_free(session);
                return error;
        }
        *ret = session;
        return 0;
}

int fs_session_device(const struct fs_session *session)
{
        return fuse_session_fd(session->fuse);
}

/* ---- ending ---- */

static const int ending_signals[] = {SIGTERM, SIGINT, SIGHUP};

static void ending_set(sigset_t *set)
{
        sigemptyset(set);
        for (size_t i = 0; i < sizeof ending_signals / sizeof *ending_signals; i++)
                sigaddset(set, ending_signals[i]);
}

static void do_nothing(int number)
{
        (void)number;
}

void fs_signals_block(void)
{
        sigset_t set;
        ending_set(&set);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        /* SIGUSR1 only interrupts the loop's wait. */
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
}

/* Takes the mount out of the tree; those who are in it stay. */
static int detach(const char *mountpoint)
{
        if (umount2(mountpoint, MNT_DETACH) == 0)
                return 0;
        char *argv[] = {"fusermount3", "-u", "-z", "-q", "--", (char *)mountpoint, NULL};
        pid_t pid;
        int status;
        int error = posix_spawnp(&pid, "fusermount3", NULL, NULL, argv, environ);
        if (error != 0)
                return -error;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static void *wait_for_signals(void *context)
{
        struct fs_session *session = context;
        sigset_t set;
        int number;
        ending_set(&set);
        while (sigwait(&set, &number) != 0)
                ;
        fmt_debug("%s: %s", session->mountpoint, strsignal(number));
        if (detach(session->mountpoint) == 0) {
                session->mounted = false;
                while (sigwait(&set, &number) != 0)
                        ;
        }
        fuse_session_exit(session->fuse);
        for (;;) {
                pthread_kill(session->serving, SIGUSR1);
                nanosleep(&(struct timespec){.tv_nsec = WAKE_NS}, NULL);
        }
        return NULL;
}

static int serve_threaded(struct fs_session *session, const struct fs_options *options)
{
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        if (config == NULL)
                return -ENOMEM;
        fuse_loop_cfg_set_max_threads(config, options->max_threads);
        fuse_loop_cfg_set_idle_threads(
                config, options->max_threads < IDLE_THREADS ? options->max_threads : IDLE_THREADS);
        fuse_loop_cfg_set_clone_fd(config, options->clone_fd);
        int error = fuse_session_loop_mt(session->fuse, config);
        fuse_loop_cfg_destroy(config);
        return error;
}

int fs_session_serve(struct fs_session *session, const struct fs_options *options)
{
        pthread_t signals;
        session->serving = pthread_self();
        int error = -pthread_create(&signals, NULL, wait_for_signals, session);
        if (error < 0)
                return error;
        error = options->single_threaded ? fuse_session_loop(session->fuse)
                                         : serve_threaded(session, options);
        pthread_cancel(signals);
        pthread_join(signals, NULL);
        /* Aborting the connection through fusectl and unmounting are both ways to end. */
        return error < 0 && error != -ENODEV && error != -ECONNABORTED && error != -EINTR ? error
                                                                                          : 0;
}

void fs_session_free(struct fs_session *session)
{
        if (session == NULL)
                return;
        if (session->mounted)
                fuse_session_unmount(session->fuse);
        if (session->fuse != NULL)
                fuse_session_destroy(session->fuse);
        free(session->mountpoint);
        free(session);
}
