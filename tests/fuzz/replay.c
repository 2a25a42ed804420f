/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a fuzz target each file of its corpus. Says TAP, from the top of the source tree. */
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1 << 20)

static void replay(const char *folder, const char *name, unsigned number)
{
    static uint8_t data[INPUT_MAX];
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        abort();
    size_t size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    (void)printf("ok %u - %s\n", number, name);
}

int main(int argc, char **argv)
{
    char folder[512];
    unsigned n = 0;
    if (argc != 1)
        return 2;
    const char *name = basename(argv[0]);
    (void)snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", name + strlen("fuzz_"));
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            replay(folder, entry->d_name, ++n);
    (void)closedir(dir);
    (void)printf("1..%u\n", n);
    return n > 0 ? 0 : 1;
}
