/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what is made from the option table: doc sample | doc man. Runs at build time. */
#include <string.h>

#include "conf/conf.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sample") == 0)
        conf_write_sample(stdout);
    else if (argc == 2 && strcmp(argv[1], "man") == 0)
        conf_write_man(stdout);
    else
        return 2;
    return ferror(stdout) ? 1 : 0;
}
