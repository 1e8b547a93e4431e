/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_log.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 20 /* of each kind; builds of thousands of programs must not scroll away */

/* kind TAB path TAB text NEWLINE; paths are absolute so that the same file is told once. */
static void append(const char *kind, const char *path, const char *text)
{
        const char *log = getenv(CAPTURE_LOG_VARIABLE);
        if (!log || !*log)
                return;
        char real[PATH_MAX];
        _cleanup_free_ char *line = NULL;
        if (!realpath(path, real))
                snprintf(real, sizeof(real), "%s", path);
        int size = asprintf(&line, "%s\t%s\t%s\n", kind, real, text);
        if (size < 0)
                return;
        for (char *p = line; p < line + size - 1; p++)
                if (*p == '\n')
                        *p = ' ';
        _cleanup_close_ int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd >= 0 && write(fd, line, (size_t)size) < 0)
                return; /* a summary that lacks a line harms nobody */
}

void capture_log_program(const char *path, size_t modules, size_t natives)
{
        char text[64];
        snprintf(text, sizeof(text), "%zu %zu", modules, natives);
        append("program", path, text);
}

void capture_log_native(const char *path, const char *reason)
{
        append("native", path, reason);
}

void capture_log_uncaptured(const char *path, const char *reason)
{
        append("uncaptured", path, reason);
}

void capture_log_library(const char *path, const char *name)
{
        append("library", path, name);
}

/* ---- the summary ---- */

struct event {
        char *kind, *path, *text;
        size_t order;
        bool last; /* of its kind and path */
};

struct events {
        char *content;
        struct event *list;
        size_t n;
};

static void events_done(struct events *events)
{
        free(events->content);
        free(events->list);
}

static int read_events(const char *log, struct events *ret)
{
        _cleanup_fclose_ FILE *file = fopen(log, "re");
        size_t room = 0;
        *ret = (struct events){0};
        if (!file || getdelim(&ret->content, &room, 0, file) < 0)
                return -ENOENT;
        for (char *line = strtok(ret->content, "\n"); line; line = strtok(NULL, "\n")) {
                char *path = strchr(line, '\t');
                char *text = path ? strchr(path + 1, '\t') : NULL;
                if (!text)
                        continue;
                *path++ = *text++ = 0;
                struct event *grown = realloc(ret->list, (ret->n + 1) * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                ret->list = grown;
                grown[ret->n] = (struct event){line, path, text, ret->n, true};
                ret->n++;
        }
        return 0;
}

/* A file that was linked again counts once, as it is now. */
static bool same_file(const struct event *a, const struct event *b)
{
        bool both_outputs = (strcmp(a->kind, "program") == 0 || strcmp(a->kind, "native") == 0) &&
                            (strcmp(b->kind, "program") == 0 || strcmp(b->kind, "native") == 0);
        return strcmp(a->path, b->path) == 0 &&
               (both_outputs || (strcmp(a->kind, b->kind) == 0 && strcmp(a->text, b->text) == 0));
}

static int by_path(const void *a, const void *b)
{
        const struct event *x = a, *y = b;
        int r = strcmp(x->path, y->path);
        return r ? r : (x->order > y->order) - (x->order < y->order);
}

static void mark_last(struct events *events)
{
        qsort(events->list, events->n, sizeof(*events->list), by_path);
        for (size_t i = 0; i < events->n; i++)
                for (size_t k = i + 1;
                        k < events->n && strcmp(events->list[i].path, events->list[k].path) == 0;
                        k++)
                        if (same_file(&events->list[i], &events->list[k]))
                                events->list[i].last = false;
}

static const char *shown_path(const char *path)
{
        char here[PATH_MAX];
        size_t length = getcwd(here, sizeof(here)) ? strlen(here) : 0;
        return length && strncmp(path, here, length) == 0 && path[length] == '/' ? path + length + 1
                                                                                 : path;
}

static size_t count(const struct events *events, const char *kind)
{
        size_t n = 0;
        for (size_t i = 0; i < events->n; i++)
                n += events->list[i].last && strcmp(events->list[i].kind, kind) == 0 &&
                     access(events->list[i].path, F_OK) == 0;
        return n;
}

static void print_kind(const struct events *events, const char *kind, const char *title)
{
        size_t n = count(events, kind), shown = 0;
        if (n == 0)
                return;
        fprintf(stderr, "  %s\n", title);
        for (size_t i = 0; i < events->n && shown < SHOWN_MAX; i++) {
                const struct event *event = &events->list[i];
                if (!event->last || strcmp(event->kind, kind) != 0 || access(event->path, F_OK) < 0)
                        continue;
                fprintf(stderr, "    %s: %s\n", shown_path(event->path), event->text);
                shown++;
        }
        if (n > shown)
                fprintf(stderr, "    … and %zu more\n", n - shown);
}

static void print_programs(const struct events *events)
{
        size_t shown = 0, n = count(events, "program");
        for (size_t i = 0; i < events->n && shown < SHOWN_MAX; i++) {
                const struct event *event = &events->list[i];
                size_t modules = 0, natives = 0;
                if (!event->last || strcmp(event->kind, "program") != 0 ||
                        access(event->path, F_OK) < 0 ||
                        sscanf(event->text, "%zu %zu", &modules, &natives) != 2)
                        continue;
                fprintf(stderr, "    %s: %zu module%s, %zu native input%s\n",
                        shown_path(event->path), modules, modules == 1 ? "" : "s", natives,
                        natives == 1 ? "" : "s");
                shown++;
        }
        if (n > shown)
                fprintf(stderr, "    … and %zu more\n", n - shown);
}

void capture_log_summarise(const char *log)
{
        _cleanup_(events_done) struct events events;
        if (read_events(log, &events) < 0)
                events.n = 0;
        mark_last(&events);
        size_t n = count(&events, "program");
        fprintf(stderr, "xaas build: %zu %s captured\n", n,
                n == 1 ? "program or library" : "programs and libraries");
        print_programs(&events);
        print_kind(&events, "native", "stayed native:");
        print_kind(&events, "uncaptured", "compiled without bitcode:");
        print_kind(&events, "library", "needs a library that a plain runtime image may lack:");
}
