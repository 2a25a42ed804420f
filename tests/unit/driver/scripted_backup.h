/* SPDX-License-Identifier: Apache-2.0 */
/* What scripted_libvirt.h does, for backup jobs and the image that is read from them. */
#pragma once

#include "driver/image/image_stream.h"
#include "tests/unit/driver/scripted_libvirt.h"

/* The script of this part. */
static struct {
    const char *late;   /* a job with this scratch file begins after the next look, if it can */
    bool job_of_others; /* of any kind */
    const char *xml;    /* what libvirt tells of the job; NULL: the truth */
    /* what happened */
    unsigned closed_early; /* readers, before the job had ended */
} backup_script;

/* Of a guest whose QEMU nobody knows. */
const char *__wrap_virDomainGetName(virDomainPtr domain);
const char *__wrap_virDomainGetName(virDomainPtr domain)
{
    (void)domain;
    return "no such guest";
}

int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info);
int __wrap_virDomainGetJobInfo(virDomainPtr domain, virDomainJobInfoPtr info)
{
    (void)domain;
    DOMAIN_CALL("GetJobInfo", (void)0);
    info->type = backup_script.job_of_others ? VIR_DOMAIN_JOB_UNBOUNDED : VIR_DOMAIN_JOB_NONE;
    return 0;
}

/* As libvirt with REUSE_EXTERNAL: what is not there cannot be used. */
static bool begin_backup(const char *scratch)
{
    if (access(scratch, F_OK) < 0)
        return false;
    world.backup = true;
    (void)snprintf(world.scratch_path, sizeof(world.scratch_path), "%s", scratch);
    return true;
}

/* In a buffer of its own: a process that dies frees nothing. */
static const char *text_between(const char *text, const char *begin, const char *end)
{
    static char found[DRIVER_PATH_MAX];
    const char *from = strstr(text, begin);
    const char *to = from ? strstr(from + strlen(begin), end) : NULL;
    if (!to)
        abort(); /* no description of a backup */
    from += strlen(begin);
    (void)snprintf(found, sizeof(found), "%.*s", (int)(to - from), from);
    return found;
}

int __wrap_virDomainBackupBegin(virDomainPtr domain, const char *xml, const char *checkpoint,
                                unsigned flags);
int __wrap_virDomainBackupBegin(virDomainPtr domain, const char *xml, const char *checkpoint,
                                unsigned flags)
{
    (void)domain;
    const char *scratch = text_between(xml, "<scratch file=\"", "\"");
    bool good = strstr(xml, "mode=\"pull\"") && strstr(xml, "<disk name=\"vda\"") && !checkpoint &&
                flags == VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL;
    if (!good)
        abort();
    DOMAIN_CALL("BackupBegin", good = begin_backup(scratch));
    return good ? 0 : refuse("BackupBegin", VIR_ERR_OPERATION_FAILED);
}

char *__wrap_virDomainBackupGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainBackupGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    bool acts;
    char *xml = NULL;
    (void)domain;
    (void)flags;
    if (fails("BackupGetXMLDesc", &acts))
        return NULL;
    if (!world.backup)
        (void)fail_with("BackupGetXMLDesc", VIR_ERR_NO_DOMAIN_BACKUP);
    else if (backup_script.xml)
        xml = strdup(backup_script.xml);
    else if (asprintf(&xml,
                      "<domainbackup mode='pull'><disks><disk name='vdb' backup='no'/>"
                      "<disk name='vda'><scratch file='%s'/></disk></disks></domainbackup>",
                      world.scratch_path) < 0)
        abort();
    if (backup_script.late)
        (void)begin_backup(backup_script.late);
    backup_script.late = NULL;
    return xml;
}

/* The client is never looked at: it is the stream's. */
int __wrap_nbd_client_new(unsigned stall_timeout_s, struct nbd_client **ret_client,
                          struct error *err);
int __wrap_nbd_client_new(unsigned stall_timeout_s, struct nbd_client **ret_client,
                          struct error *err)
{
    bool acts;
    (void)stall_timeout_s;
    if (fails("nbd new", &acts))
        return error_set(err, 5, EXC_INTERNAL_ERROR, "injected in nbd new");
    *ret_client = calloc(1, sizeof(**ret_client));
    return 0;
}

int __wrap_nbd_client_connect(struct nbd_client *client, const char *socket_path,
                              const char *export_name, struct error *err);
int __wrap_nbd_client_connect(struct nbd_client *client, const char *socket_path,
                              const char *export_name, struct error *err)
{
    bool acts;
    (void)client;
    (void)socket_path;
    if (strcmp(export_name, "vda") != 0 || !world.backup)
        abort();
    return fails("nbd connect", &acts)
               ? error_set(err, 5, EXC_INTERNAL_ERROR, "injected in nbd connect")
               : 0;
}

void __wrap_nbd_client_free(struct nbd_client *client);
void __wrap_nbd_client_free(struct nbd_client *client)
{
    backup_script.closed_early += client && world.backup;
    free(client);
}

/* What is read from the job. */
struct scripted_stream {
    struct image_source base;
    struct image_source *file;
    struct nbd_client *client;
};

static ssize_t scripted_read(struct image_source *source, void *buffer, size_t length,
                             struct error *err)
{
    struct image_source *file = ((struct scripted_stream *)source)->file;
    return file->ops->read(file, buffer, length, err);
}

static int scripted_rewind(struct image_source *source, struct error *err)
{
    struct image_source *file = ((struct scripted_stream *)source)->file;
    return file->ops->rewind(file, err);
}

static void scripted_close(struct image_source *source)
{
    struct scripted_stream *stream = (struct scripted_stream *)source;
    image_source_close(stream->file);
    __wrap_nbd_client_free(stream->client);
    free(stream);
}

int __wrap_image_stream_open(struct nbd_client *client, const char *format, uint64_t bytes_per_s,
                             struct image_source **ret_source, struct error *err);
int __wrap_image_stream_open(struct nbd_client *client, const char *format, uint64_t bytes_per_s,
                             struct image_source **ret_source, struct error *err)
{
    static const struct image_source_ops ops = {
        .read = scripted_read, .rewind = scripted_rewind, .close = scripted_close};
    bool acts;
    (void)format;
    (void)bytes_per_s;
    if (fails("stream", &acts))
        return error_set(err, 5, EXC_INTERNAL_ERROR, "injected in stream");
    struct scripted_stream *stream = calloc(1, sizeof(*stream));
    int r = write_file(temp_path("streamed"), err);
    if (r == 0)
        r = image_source_open_file(temp_path("streamed"), &stream->file, err);
    if (r < 0) {
        free(stream);
        return r;
    }
    stream->base = (struct image_source){.ops = &ops, .size_bytes = stream->file->size_bytes};
    stream->client = client;
    *ret_source = &stream->base;
    return 0;
}
