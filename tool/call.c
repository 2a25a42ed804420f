/* SPDX-License-Identifier: Apache-2.0 */
/* See call.h. */
#include "tool/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/control_socket.h"
#include "common/http.h"
#include "common/json.h"
#include "common/text.h"

#define TIMEOUT_MS 10000
#define ID_MAX 64
enum { NOT_FOUND = 404, NOT_ALLOWED = 405 };

static const char *socket_path(const struct invocation *invocation)
{
    const char *given = invocation->values[INVOCATION_SOCKET];
    return given ? given : CONTROL_SOCKET_PATH;
}

/* What libcurl says of it is no help. */
static int look_at_socket(const char *path, struct error *err)
{
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    (void)error_errno(err, errno, "no agent can be asked at %s", path);
    return -err->errnum;
}

/* Why nobody can be reached there, an errno; 0: somebody listens, or is busy. */
static int try_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return 0;
    return errno == ENOENT || errno == ECONNREFUSED || errno == EACCES ? errno : 0;
}

/* Says it instead of libcurl, which names a host and a port that nobody has. */
static void tell_refused(const char *path, struct error *err)
{
    struct stat st;
    if (try_socket(path) != ECONNREFUSED || stat(path, &st) < 0)
        return;
    bool is_socket = S_ISSOCK(st.st_mode);
    *err = (struct error)ERROR_INIT;
    (void)error_set(err, ECONNREFUSED, EXC_INTERNAL_ERROR, "no agent can be asked at %s: %s", path,
                    is_socket ? "nobody listens there, an agent that died has left it: systemctl "
                                "status nova-snapshot-agent"
                              : "it is no socket");
}

/* An id is part of a path: only what one can be made of. */
static bool is_id(const char *id)
{
    size_t length = strlen(id);
    return length > 0 && length <= ID_MAX && strspn(id, "0123456789abcdefABCDEF-") == length;
}

static int send_call(struct http_client *client, const struct call *call,
                     struct http_response *ret_response, struct error *err)
{
    char url[256];
    enum http_failure failure;
    cleanup_free char *body = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
    const struct http_header headers[] = {{"Content-Type", call->body ? "application/json" : NULL}};
    (void)snprintf(url, sizeof(url), "http://agent%s%s", call->path, call->id ? call->id : "");
    const struct http_request request = {.method = call->method,
                                         .url = url,
                                         .headers = headers,
                                         .header_count = ARRAY_SIZE(headers),
                                         .total_ms =
                                             call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS,
                                         .body = body,
                                         .body_bytes = body ? strlen(body) : 0};
    return http_request(client, &request, ret_response, &failure, err);
}

static int get_response(const char *path, const struct call *call,
                        struct http_response *ret_response, struct error *err)
{
    const struct http_options options = {.unix_socket = path};
    struct http_client *client = NULL;
    int r = look_at_socket(path, err);
    if (r == 0)
        r = http_client_new(&options, &client, err);
    if (r < 0)
        return r;
    r = send_call(client, call, ret_response, err);
    http_client_free(client);
    if (r < 0)
        tell_refused(path, err);
    return r;
}

static enum invocation_exit complain(enum invocation_exit status, const char *text)
{
    (void)fprintf(stderr, "nova-snapshot: %s\n", text);
    return status;
}

/* What a job can be missing for; all else that is not there is a path an agent of before lacks. */
static bool is_of_job(const struct call *call)
{
    return strncmp(call->path, "/v1/jobs/", strlen("/v1/jobs/")) == 0 ||
           json_object_get(call->body, "job");
}

static enum invocation_exit complain_of_refusal(const struct call *call,
                                                const struct http_response *response)
{
    char reason[HTTP_REASON_SIZE];
    http_response_reason(response, reason);
    if (response->status != NOT_FOUND && response->status != NOT_ALLOWED)
        return complain(INVOCATION_FAILED, reason);
    if (is_of_job(call))
        return complain(INVOCATION_NO_JOB, reason);
    (void)fprintf(stderr,
                  "nova-snapshot: the agent is older than this tool: it does not know %s %s\n",
                  call->method, call->path);
    return INVOCATION_FAILED;
}

/* What the agent says is others' text in part: nothing in it may command a terminal. */
static void make_texts_whole(json_t *value)
{
    const char *key;
    size_t i;
    json_t *member;
    cleanup_free char *copy = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
    if (copy) {
        text_make_whole(copy);
        (void)json_string_set(value, copy);
    }
    json_object_foreach (value, key, member)
        make_texts_whole(member);
    json_array_foreach (value, i, member)
        make_texts_whole(member);
}

static enum invocation_exit read_response(const struct call *call,
                                          const struct http_response *response, json_t **ret_answer)
{
    struct error err = ERROR_INIT;
    json_t *answer = NULL;
    if (response->status / 100 != 2)
        return complain_of_refusal(call, response);
    if (http_response_json(response, "the agent's answer", &answer, &err) < 0)
        return complain(INVOCATION_FAILED, err.message);
    *ret_answer = answer;
    return INVOCATION_DONE;
}

enum invocation_exit call_agent(const struct invocation *invocation, const struct call *call,
                                json_t **ret_answer)
{
    struct http_response response;
    struct error err = ERROR_INIT;
    if (call->id && !is_id(call->id))
        return complain(INVOCATION_NO_JOB, "a job is a number, or the id of an image");
    if (get_response(socket_path(invocation), call, &response, &err) < 0)
        return call->asks_again ? INVOCATION_UNREACHABLE
                                : complain(INVOCATION_UNREACHABLE, err.message);
    enum invocation_exit status = read_response(call, &response, ret_answer);
    http_response_done(&response);
    if (status == INVOCATION_DONE && !invocation->values[INVOCATION_JSON])
        make_texts_whole(*ret_answer);
    return status;
}

enum invocation_exit call_complain_of_lack(const char *member)
{
    (void)fprintf(stderr,
                  "nova-snapshot: the agent's answer has no '%s': is it of another version?\n",
                  member);
    return INVOCATION_FAILED;
}

bool call_finds_nobody(const struct invocation *invocation)
{
    return try_socket(socket_path(invocation)) != 0;
}

bool call_print_json(const struct invocation *invocation, const json_t *answer)
{
    if (!invocation->values[INVOCATION_JSON])
        return false;
    (void)json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)putchar('\n');
    return true;
}
