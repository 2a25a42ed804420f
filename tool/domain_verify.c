/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_verify.h. */
#include "tool/domain_verify.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "domain/image_check.h"
#include "tool/domain_report.h"
#include "tool/domain_session.h"

static const char *reason_against(const struct invocation *invocation)
{
    static const enum invocation_option of_a_new_one[] = {
        INVOCATION_DOMAIN_DISK, INVOCATION_FORMAT,     INVOCATION_COMPRESS, INVOCATION_METHOD,
        INVOCATION_QUIESCE,     INVOCATION_CHECKPOINT, INVOCATION_SINCE};
    const char *output = invocation->values[INVOCATION_OUTPUT];
    if (!output || strcmp(output, "-") == 0)
        return "--chain-verify needs the --output of a file, or with --all-disks of a folder";
    for (size_t i = 0; i < ARRAY_SIZE(of_a_new_one); i++)
        if (invocation->values[of_a_new_one[i]])
            return "--chain-verify makes no image: besides --output it takes --all-disks alone";
    return NULL;
}

/* `images` NULL: it is reported at once. */
static enum invocation_exit verify_image(const struct invocation *invocation, const char *path,
                                         json_t *images, FILE *out)
{
    struct error err = ERROR_INIT;
    struct image_chain chain = {0};
    int r = image_check_chain(path, &chain, &err);
    if (r == 0 && !images)
        domain_report_chain(invocation, &chain, out);
    else if (r == 0)
        (void)json_array_append_new(images, domain_report_pack_chain(&chain));
    image_check_chain_done(&chain);
    return r < 0 ? domain_session_complain(INVOCATION_FAILED, err.message) : INVOCATION_DONE;
}

/* As `domain image --all-disks` calls them. */
static int is_image(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && entry->d_name[0] != '.' &&
           (strcmp(dot, ".qcow2") == 0 || strcmp(dot, ".raw") == 0);
}

static enum invocation_exit verify_entry(const struct invocation *invocation, const char *folder,
                                         const char *name, json_t *images, FILE *out)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof(path)
               ? verify_image(invocation, path, images, out)
               : domain_session_complain(INVOCATION_FAILED, "the path of an image is too long");
}

static enum invocation_exit verify_folder(const struct invocation *invocation, const char *folder,
                                          FILE *out)
{
    struct dirent **entries = NULL;
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    int n = scandir(folder, &entries, is_image, alphasort);
    if (n <= 0) {
        (void)(n < 0 ? error_errno(&err, errno, "cannot read the folder %s", folder)
                     : error_set(&err, ENOENT, EXC_INTERNAL_ERROR,
                                 "there is no <disk>.qcow2 and no <disk>.raw in %s", folder));
        free(entries);
        return domain_session_complain(INVOCATION_FAILED, err.message);
    }
    json_t *images = invocation->values[INVOCATION_JSON] ? json_array() : NULL;
    for (int i = 0; i < n; i++) {
        enum invocation_exit of_one =
            verify_entry(invocation, folder, entries[i]->d_name, images, out);
        status = status == INVOCATION_DONE ? of_one : status;
        free(entries[i]);
    }
    free(entries);
    if (images)
        domain_report_json(json_pack("{s:o}", "images", images), out);
    return status;
}

enum invocation_exit domain_verify(const struct invocation *invocation, FILE *out)
{
    const char *output = invocation->values[INVOCATION_OUTPUT];
    const char *reason = reason_against(invocation);
    struct error err = ERROR_INIT;
    if (reason)
        return domain_session_complain(INVOCATION_USAGE, reason);
    cleanup_free char *path = realpath(output, NULL);
    if (!path) {
        (void)error_errno(&err, errno, "cannot find %s", output);
        return domain_session_complain(INVOCATION_FAILED, err.message);
    }
    return invocation->values[INVOCATION_ALL_DISKS] ? verify_folder(invocation, path, out)
                                                    : verify_image(invocation, path, NULL, out);
}
