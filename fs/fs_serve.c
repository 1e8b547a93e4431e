/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_serve.h"

#include "fs_guard.h"
#include "fs_io_uring.h"
#include "fs_mountpoint.h"
#include "fs_mounts.h"
#include "fs_read_ahead.h"
#include "fs_statistics.h"
#include "fs_unmount.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

/* How often a loop that shall end is woken until it has. */
#define WAKE_NS 50000000
#define NS_PER_S UINT64_C(1000000000)

struct fs_session {
        struct fuse_session *fuse;
        char *mountpoint;
        dev_t device;        /* the mount's number; 0: not known */
        atomic_bool mounted; /* by us, and not unmounted by us */
        pthread_t serving;   /* the thread that is in the loop */
        const struct fs_statistics *statistics;
        uint64_t timeout_ns; /* how long it may be unused; 0: for ever */
        uint64_t asked;      /* requests that came until the last time this was looked at */
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
        else if ((level <= FUSE_LOG_ERR && strstr(words, "passthrough") == NULL) ||
                 strstr(words, "failed to start io-uring") != NULL)
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
        if (asprintf(&text, "-oro,default_permissions,subtype=xaasfs,fsname=%s,%s%s%s,%s%s%s",
                    source, options->io_uring ? "io_uring," : "",
                    options->allow_root ? "allow_root," : "", options->suid ? "suid" : "nosuid",
                    options->dev ? "dev" : "nodev", options->fuse != NULL ? "," : "",
                    options->fuse != NULL ? options->fuse : "") < 0)
                return -ENOMEM;
        if (fuse_opt_add_arg(args, "xaasfs") < 0 || fuse_opt_add_arg(args, text) < 0)
                return -ENOMEM;
        return options->debug && fuse_opt_add_arg(args, "-d") < 0 ? -ENOMEM : 0;
}

static void warn_of_what_only_root_may(const struct fs_options *options)
{
        if (geteuid() != 0 && (options->suid || options->dev))
                fmt_warning("%s: mounted without suid and dev, which only root may ask for; leave "
                            "these options out",
                        options->mountpoint);
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

static int mount_session(struct fs_session *session)
{
        if (fuse_session_mount(session->fuse, session->mountpoint) != 0) {
                fs_mountpoint_explain(session->mountpoint, fuse_words);
                return -EPERM;
        }
        const bool passed = fs_mountpoint_is_passed(session->mountpoint);
        session->mounted = !passed;
        if (fs_mounts_of(fuse_session_fd(session->fuse), &session->device) == 0 || passed)
                return 0;
        int error = fs_mounts_at(session->mountpoint, &session->device);
        if (error < 0)
                fmt_error("cannot mount on %s: it was unmounted at once; mount again",
                        session->mountpoint);
        return error;
}

/* The kernel's first request negotiates what both can do. It is answered here, before threads:
 * then whoever waits for the mount may go on. */
static int answer_first(const struct fs_session *session)
{
        struct fuse_buf buffer = {.mem = NULL};
        int size;
        while ((size = fuse_session_receive_buf(session->fuse, &buffer)) == -EINTR)
                ;
        if (size > 0)
                fuse_session_process_buf(session->fuse, &buffer);
        free(buffer.mem);
        if (size > 0)
                return 0;
        const int error = size < 0 ? size : -ENOTCONN;
        fmt_error("cannot mount on %s: the kernel hung up: %s; mount again", session->mountpoint,
                strerror(-error));
        return error;
}

int fs_session_mount(struct fs *fs, const struct fs_options *options, struct fs_guard *guard,
        struct fs_session **ret)
{
        struct fs_session *session = calloc(1, sizeof *session);
        if (session == NULL)
                return -ENOMEM;
        session->statistics = fs->statistics;
        session->timeout_ns = options->timeout_ns;
        warn_of_what_only_root_may(options);
        int error = fs_mountpoint_check(
                options->mountpoint, options->auto_unmount, &session->mountpoint);
        fuse_set_log_func(take_fuse_words);
        keep_fuse_words = true;
        if (error == 0 && options->io_uring)
                error = fs_io_uring_check(fs);
        if (error == 0)
                error = new_session(fs, options, &session->fuse);
        if (error == 0)
                error = mount_session(session);
        keep_fuse_words = false;
        if (error == 0 && guard != NULL)
                error = fs_guard_watch(guard, session->mountpoint, session->device);
        if (error == 0)
                error = answer_first(session);
        if (error < 0) {
                fs_session_free(session);
                return error;
        }
        if (session->device != 0)
                fs_read_ahead_raise(session->device, options->read_ahead_kib);
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
        /* Where files may not be so large (ulimit -f), the cache does without; the mount goes on.
         */
        signal(SIGXFSZ, SIG_IGN);
        /* SIGUSR1 only interrupts the loop's wait. */
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
}

static bool has_hung_up(const struct fs_session *session)
{
        struct pollfd fuse = {.fd = session->fuse != NULL ? fuse_session_fd(session->fuse) : -1};
        return poll(&fuse, 1, 0) > 0 && (fuse.revents & POLLERR) != 0;
}

/* Whether the mount is where it was mounted. Somebody may have moved it, or unmounted it while
 * others were in it, and what lies there now is not ours to unmount. Its number proves that it is
 * ours for as long as the kernel has not hung up; after that, whoever mounted next may have got it,
 * and what is left of ours is dead. */
static bool is_in_tree(const struct fs_session *session)
{
        dev_t device;
        return session->mounted && fs_mounts_at(session->mountpoint, &device) == 0 &&
               device == session->device &&
               (!has_hung_up(session) || fs_mountpoint_is_dead(session->mountpoint));
}

static uint64_t times_asked(const struct fs_session *session)
{
        uint64_t times = 0;
        for (int kind = 0; kind < FS_N_REQUESTS; kind++) {
                struct fs_request_sums sums;
                fs_statistics_sum(session->statistics, (enum fs_request)kind, &sums);
                times += sums.count;
        }
        return times;
}

/* Once per timeout. Only root may ask the kernel whether anybody came by in between; others go by
 * what was asked of us, and the kernel refuses while somebody is in the mount. */
static int unmount_unused(struct fs_session *session)
{
        int error = fs_unmount_expire(session->mountpoint);
        if (error != -EPERM)
                return error;
        const uint64_t asked = times_asked(session);
        if (asked == session->asked)
                return fs_unmount_idle(session->mountpoint);
        session->asked = asked;
        return -EAGAIN;
}

/* As sigtimedwait, and the only place where the loop's end may end this thread: what it is doing
 * elsewhere is done, and said. */
static int wait_cancelled_with_the_loop(const sigset_t *set, const struct timespec *timeout)
{
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        int number = sigtimedwait(set, NULL, timeout);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        return number;
}

/* The next signal that ends the mount. While TIMEOUT_NS is not 0, unmounts when it was unused for
 * so long; then the loop ends with its last user, who may be in another namespace. */
static int wait_for_signal(struct fs_session *session, uint64_t timeout_ns)
{
        const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                .tv_nsec = (long)(timeout_ns % NS_PER_S)};
        sigset_t set;
        ending_set(&set);
        for (;;) {
                int number = wait_cancelled_with_the_loop(
                        &set, timeout_ns > 0 && session->mounted ? &timeout : NULL);
                if (number > 0)
                        return number;
                if (errno == EAGAIN && is_in_tree(session) && unmount_unused(session) == 0) {
                        session->mounted = false;
                        fmt_info("%s: unmounted, not having been used", session->mountpoint);
                }
        }
}

/* False if that cannot be done from here: then all that is left is to end. */
static bool leave_tree(struct fs_session *session)
{
        if (fs_mountpoint_is_passed(session->mountpoint))
                return false;
        if (is_in_tree(session) && fs_unmount_detach(session->mountpoint) < 0)
                return false;
        session->mounted = false;
        return true;
}

static void *wait_for_signals(void *context)
{
        struct fs_session *session = context;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        int number = wait_for_signal(session, session->timeout_ns);
        fmt_debug("%s: %s", session->mountpoint, strsignal(number));
        if (leave_tree(session))
                wait_for_signal(session, 0);
        fuse_session_exit(session->fuse);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
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
        fuse_loop_cfg_set_idle_threads(config, options->max_threads < options->idle_threads
                                                       ? options->max_threads
                                                       : options->idle_threads);
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
        if (is_in_tree(session))
                fs_unmount_detach(session->mountpoint);
        /* Here libfuse lets go of what it knows of the mount, and does nothing else if the kernel
         * has hung up; if not, it would unmount whatever lies at the mount point by now. */
        if (has_hung_up(session))
                fuse_session_unmount(session->fuse);
        if (session->fuse != NULL)
                fuse_session_destroy(session->fuse);
        free(session->mountpoint);
        free(session);
}
