/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what is made from the table of commands: doc man | doc completion. Runs at build time. */
#include <string.h>

#include "tool/command_doc.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "man") == 0)
        command_doc_man(stdout);
    else if (argc == 2 && strcmp(argv[1], "completion") == 0)
        command_doc_completion(stdout);
    else
        return 2;
    return ferror(stdout) ? 1 : 0;
}
