/* SPDX-License-Identifier: Apache-2.0 */
/* driver/definition/: what libvirt says of a domain, thrice with NUL between for a comparison. */
#include "driver/definition/definition_merge.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/root_disk.h"
#include "tests/fuzz/fuzz.h"

static void describe(const char *xml)
{
    static const struct guest_id guest = {.uuid = "2e0af6cc-8dab-4d5d-b039-8bb41cec430e",
                                          .root_device_name = "/dev/vda"};
    struct domain_description *description = NULL;
    const struct domain_disk *disk = NULL;
    struct error err = ERROR_INIT;
    int r = domain_description_parse(xml, &description, &err);
    fuzz_check(r, &err);
    if (r == 0)
        (void)root_disk_find(description, &guest, "/var/lib/nova/instances", &disk, &err);
    domain_description_free(description);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    char *merged = NULL;
    char *text = fuzz_text(data, size);
    char *texts[3] = {text, text, text};
    for (size_t i = 1, at = 0; i < 3; i++) {
        at += strlen(text + at) + 1;
        if (at >= size)
            break;
        texts[i] = text + at;
    }
    describe(text);
    fuzz_check(definition_merge(texts[0], texts[1], texts[2], &merged, &err), &err);
    free(merged);
    free(text);
    return 0;
}
