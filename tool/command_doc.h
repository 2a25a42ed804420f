/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of the table of commands: --help, sections of the man page, bash's completion. */
#pragma once

#include <stdio.h>

void command_doc_help(FILE *out);
void command_doc_man(FILE *out);
void command_doc_completion(FILE *out);
