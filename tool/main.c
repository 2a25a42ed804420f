/* SPDX-License-Identifier: Apache-2.0 */
/* nova-snapshot: what an operator sees and changes of the agent on this host. */
#include <stdio.h>

#include "common/log.h"
#include "tool/command_line.h"

int main(int argc, char **argv)
{
    struct invocation invocation;
    enum invocation_exit status = INVOCATION_DONE;
    const struct command *command = command_line_parse(argc, argv, &invocation, &status);
    log_init(LOG_LEVEL_ERROR);
    if (command)
        status = command->run(&invocation);
    if (fflush(stdout) != 0 && status == INVOCATION_DONE)
        status = INVOCATION_FAILED;
    return (int)status;
}
