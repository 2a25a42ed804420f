/* SPDX-License-Identifier: Apache-2.0 */
/* nova-snapshot: what an operator sees and changes of the agent on this host. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "tool/command_line.h"

/*
 * None of 0 to 2 is to become a file of ours, which what is meant for a terminal would then go
 * into. What was closed fails as if it were: what stands for it is opened the wrong way round.
 */
static void fill_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct invocation invocation;
    enum invocation_exit status = INVOCATION_DONE;
    fill_standard_files();
    const struct command *command = command_line_parse(argc, argv, &invocation, &status);
    log_init(LOG_LEVEL_ERROR);
    if (command)
        status = command->run(&invocation);
    if (fflush(stdout) != 0 && status == INVOCATION_DONE)
        status = INVOCATION_FAILED;
    return (int)status;
}
