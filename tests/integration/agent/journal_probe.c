/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a record of the journal until its disk is full, makes room and writes on, then reads it as
 * the next agent would: journal_probe STATE_DIR FILLER. The filler is a file that may go. Prints
 * how many notes were taken, how many refused, and how many were found again; fails when they
 * differ.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/journal.h"
#include "amqp/bus.h"

#define NOTES_MAX 100000
#define NOTES_AFTER 20

struct counts {
    unsigned records, taken, refused, found;
};

static struct rpc_request *make_request(struct error *err)
{
    struct rpc_request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->method = strdup("snapshot_instance");
    request->args = json_object();
    (void)request_context_new_admin(&request->context, err);
    return request;
}

static int length;

static json_t *note(unsigned number)
{
    char text[200];
    (void)snprintf(text, sizeof(text), "%*u", length, number);
    return json_pack("{s:s}", "text", text);
}

static int fill(struct journal_record *record, const char *filler, struct counts *counts)
{
    unsigned number = 0;
    struct error err = ERROR_INIT;
    while (number < NOTES_MAX && journal_note(record, "driver", note(number++), &err) == 0)
        counts->taken++;
    counts->refused++;
    journal_mark(record, "driver", note(number++)); /* refused as well, or not */
    counts->taken = (unsigned)json_array_size(journal_all(record, "driver"));
    if (unlink(filler) < 0)
        return -1;
    for (unsigned i = 0; i < NOTES_AFTER; i++)
        if (journal_note(record, "driver", note(number++), &err) < 0)
            return -1;
    counts->taken += NOTES_AFTER;
    return 0;
}

static void look(void *arg, struct rpc_request *request, struct journal_record *record)
{
    struct counts *counts = arg;
    counts->records++;
    counts->found = (unsigned)json_array_size(journal_all(record, "driver"));
    rpc_request_free(request);
    journal_end(record);
}

static int run(const char *state_dir, const char *filler, struct counts *counts, struct error *err)
{
    struct journal *journal = NULL;
    struct journal_record *record = NULL;
    struct rpc_request *request = make_request(err);
    int r = request ? journal_open(state_dir, "probe", &journal, err) : error_nomem(err);
    if (r == 0)
        r = journal_begin(journal, request, &record, err);
    if (r == 0 && fill(record, filler, counts) < 0)
        r = error_set(err, EIO, EXC_INTERNAL_ERROR, "there is no room again");
    journal_leave(record);
    if (r == 0)
        r = journal_read_all(journal, look, counts, err);
    rpc_request_free(request);
    journal_free(journal);
    return r;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct counts counts = {0};
    if (argc != 4)
        return EXIT_FAILURE;
    length = (int)strtol(argv[3], NULL, 10);
    int r = run(argv[1], argv[2], &counts, &err);
    printf("records=%u taken=%u refused=%u found=%u %s\n", counts.records, counts.taken,
           counts.refused, counts.found, err.message);
    return r == 0 && counts.records == 1 && counts.found == counts.taken ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
