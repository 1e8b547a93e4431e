/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A list carries no capacity; asking for the same power of two again costs nothing. */
static size_t capacity_for(size_t count)
{
        size_t capacity = 4;

        while (capacity < count + 1)
                capacity *= 2;
        return capacity;
}

int fmt_strings_append(char ***list, const char *string)
{
        size_t count = fmt_strings_count(*list);
        char **grown = realloc(*list, capacity_for(count + 1) * sizeof *grown);

        if (!grown)
                return -ENOMEM;
        *list = grown;
        grown[count] = strdup(string);
        grown[count + (grown[count] != NULL)] = NULL;
        return grown[count] ? 0 : -ENOMEM;
}

void fmt_strings_free(char **list)
{
        for (size_t i = 0; list && list[i]; i++)
                free(list[i]);
        free(list);
}

size_t fmt_strings_count(char *const *list)
{
        size_t count = 0;

        while (list && list[count])
                count++;
        return count;
}

bool fmt_strings_contain(char *const *list, const char *string)
{
        for (size_t i = 0; list && list[i]; i++)
                if (strcmp(list[i], string) == 0)
                        return true;
        return false;
}
